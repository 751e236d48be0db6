"""The names of sections and options in an INI, and problems with them: unknown, or repeated."""

import re
from collections.abc import Iterator, Mapping

from swarm.config.document import Document
from swarm.config.options import FLAG_ONLY
from swarm.text import STRICT_CUTOFF, closest, suggestion

#: The options of each kind of section, None for any. ``meter:`` stands for all ``[meter:NAME]``.
Schema = Mapping[str, tuple[str, ...] | None]

_NAME = re.compile(r"[A-Za-z][\w-]*")


def check_names(document: Document, schema: Schema) -> None:
    """Report every unknown name."""
    for line, message in unknown_names(document, schema):
        document.report_at(line, message)


def check_repeats(document: Document, schema: Schema) -> None:
    """Report each option that is given more than once in its section."""
    for section, options in document.sections.items():
        for option, entry in options.items():
            name = _shown(option, section, schema)
            for line in entry.repeats:
                document.report_at(
                    line, f"[{section}]{name}: given twice, first on line {entry.line}"
                )


def unknown_names(document: Document, schema: Schema) -> Iterator[tuple[int, str]]:
    """Yield line and message for each section and option that is not in a schema.

    The options of an unknown section are left out.
    """
    for section, line in document.headers.items():
        kind, colon, name = section.partition(":")
        if not name and f"{kind}:" in schema and (colon or kind not in schema):
            yield line, f"[{section}]: a section without a name; expected [{kind}:NAME]"
        elif kind + colon not in schema:
            kinds = [known for known in schema if known.endswith(":") == bool(colon)]
            close = closest(kind + colon, kinds)
            yield line, f"[{section}]: unknown section{suggestion(close and close + name)}"
    for section, options in document.sections.items():
        allowed = schema.get(_kind(section))
        for option, entry in options.items():
            if allowed is None or option in allowed:
                continue
            home = next((kind for kind, known in schema.items() if option in (known or ())), None)
            if option in FLAG_ONLY:
                hint = "; it can only be given as a flag"
            elif home:
                hint = f"; it belongs under [{home}]"
            else:
                hint = suggestion(closest(option, allowed))
            name = _shown(option, section, schema)
            yield entry.line, f"[{section}]{name}: unknown option{hint}"


def _shown(option: str, section: str, schema: Schema) -> str:
    """Return an option's name for a message, after a blank; empty if it may be secret.

    A line with a password may look like an option.
    """
    allowed = schema.get(_kind(section), ())
    is_known = allowed is None or any(option in (options or ()) for options in schema.values())
    is_name = _NAME.fullmatch(option) is not None
    if "password" in (allowed or ()):
        is_name = option.isalpha() and closest(option, allowed or (), STRICT_CUTOFF) is not None
    return f" {option}" if is_known or is_name else ""


def _kind(section: str) -> str:
    kind, colon, _ = section.partition(":")
    return kind + colon
