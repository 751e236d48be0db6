"""Names in an INI that swarm does not know, or finds twice, and what was probably meant.

An unknown name with a likely meaning is reported and then taken for what was meant: so nothing says
that this is missing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from swarm.config.document import Document
from swarm.config.options import FLAG_ONLY
from swarm.text import STRICT_CUTOFF, closest, suggestion

#: The options of each kind of section, None for any. ``meter:`` stands for all ``[meter:NAME]``.
Schema = Mapping[str, tuple[str, ...] | None]

_NAME = re.compile(r"[A-Za-z][\w-]*")


@dataclass(frozen=True)
class Unknown:
    """An unknown section or option: its line, what to say of it, and what was probably meant."""

    line: int
    message: str
    section: str
    option: str | None = None
    meant: tuple[str, str | None] | None = None


def check_names(document: Document, layout: Schema) -> None:
    """Report every unknown name, and go on with what was meant."""
    for find in (unknown_sections, unknown_options):
        for unknown in list(find(document, layout)):
            document.report_at(unknown.line, unknown.message)
            _correct(document, unknown)


def check_repeats(document: Document, layout: Schema) -> None:
    """Report the options that stand twice in their section."""
    for section, options in document.sections.items():
        for option, entry in options.items():
            name = _quoted(option, section, layout)
            for line in entry.repeats:
                document.report_at(
                    line, f"[{section}]{name}: given twice, first on line {entry.line}"
                )


def unknown_sections(document: Document, layout: Schema) -> Iterator[Unknown]:
    """Yield the sections that have no place in a layout."""
    for section, line in document.headers.items():
        kind, colon, name = section.partition(":")
        if not name and f"{kind}:" in layout and (colon or kind not in layout):
            message = f"[{section}]: a section without a name; expected [{kind}:NAME]"
            yield Unknown(line, message, section)
        elif kind + colon not in layout:
            kinds = [known for known in layout if known.endswith(":") == bool(colon)]
            close = closest(kind + colon, kinds)
            meant = close + name if close else None
            message = f"[{section}]: unknown section{suggestion(meant)}"
            yield Unknown(line, message, section, meant=(meant, None) if meant else None)


def unknown_options(document: Document, layout: Schema) -> Iterator[Unknown]:
    """Yield the options that have no place in their section; of an unknown section none."""
    for section, options in document.sections.items():
        allowed = layout.get(_kind(section))
        for option, entry in options.items():
            if allowed is not None and option not in allowed:
                hint, meant = _likely(option, section, layout)
                name = _quoted(option, section, layout)
                message = f"[{section}]{name}: unknown option{hint}"
                yield Unknown(entry.line, message, section, option, meant)


def _likely(option: str, section: str, layout: Schema) -> tuple[str, tuple[str, str | None] | None]:
    """Return the hint for an unknown option, and the section and option that were meant."""
    if option in FLAG_ONLY:
        return "; it is a flag only", None
    home = next((kind for kind, options in layout.items() if option in (options or ())), None)
    if home:
        return f"; it belongs under [{home}]", (home, option)
    close = closest(option, layout[_kind(section)] or ())
    return suggestion(close), (section, close) if close else None


def _correct(document: Document, unknown: Unknown) -> None:
    if unknown.meant is None:
        return
    section, option = unknown.meant
    if unknown.option is None:
        document.rename(unknown.section, section)
    elif option is not None:
        document.move(unknown.section, unknown.option, section, option)


def _quoted(option: str, section: str, layout: Schema) -> str:
    """Return an option's name for a message, with a blank ahead.

    What may be a piece of a password is left out: a line of one may look like an option.
    """
    allowed = layout.get(_kind(section), ())
    is_known = allowed is None or any(option in (options or ()) for options in layout.values())
    is_name = _NAME.fullmatch(option) is not None
    if "password" in (allowed or ()):
        is_name = option.isalpha() and closest(option, allowed or (), STRICT_CUTOFF) is not None
    return f" {option}" if is_known or is_name else ""


def _kind(section: str) -> str:
    kind, colon, _ = section.partition(":")
    return kind + colon
