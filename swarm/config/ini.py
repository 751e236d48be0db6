"""An INI's text -> sections and options, with their lines; what is wrong with its form.

configparser reads the values. It forgets where one stood, ends at the first repeated option, and
quotes whole lines in its messages, passwords too: so each line is looked at here first, and
configparser gets those that are in order.
"""

import re
from collections.abc import Iterator
from configparser import ConfigParser, Interpolation, InterpolationError
from dataclasses import dataclass
from pathlib import Path

from swarm.config.document import Document, OptionValue
from swarm.errors import SettingsError


@dataclass(frozen=True)
class IniSyntax:
    """The syntax of an INI: patterns of a header and of the start of an option.

    ``bare`` names the options that may stand without ``=``.
    """

    header: re.Pattern[str]
    option: re.Pattern[str]
    interpolation: Interpolation | None = None
    bare: frozenset[str] = frozenset()


#: Nothing but ``=`` parts name and value, and a header holds none: ``[x] = a.csv`` is an option.
SWARM_SYNTAX = IniSyntax(
    header=re.compile(r"\[(?P<name>[^=]+)\]$"),
    option=re.compile(r"(?P<name>[^=]+?)\s*=\s*(?P<value>.*)"),
)


class _Parser(ConfigParser):
    SECTCRE = re.compile(r"\[(?P<header>[^=]+)\]$")

    def optionxform(self, optionstr: str) -> str:
        return optionstr


_NO_INI = "; name the INI's path, or have one written: swarm init FILE.csv ... > meters.ini"


def read_text(path: Path) -> str:
    """Return a file's text; `SettingsError` says in one line why it can't be read."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None
    except OSError as error:
        hint = _NO_INI if isinstance(error, FileNotFoundError) else ""
        raise SettingsError(f"{path}: can't be read: {error.strerror}{hint}") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise SettingsError(f"{path}:{line}: a NUL byte; save the file as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse(path: Path, text: str, dialect: IniSyntax = SWARM_SYNTAX) -> Document:
    """Return what an INI says; the document holds the problems of its form."""
    document = Document(path)
    parser = _Parser(
        interpolation=dialect.interpolation,
        delimiters=("=",),
        comment_prefixes=(),
        empty_lines_in_values=False,
        default_section="",
        strict=False,
    )
    parser.read_file(_Survey(document, dialect).lines(text.split("\n")), source=str(path))
    for section, options in document.sections.items():
        for name, entry in options.items():
            try:
                entry.value = parser.get(section, name, fallback="").strip()
            except InterpolationError:
                document.report(section, name, "a single '%'; write it as %% in this kind of INI")
    return document


class _Survey:
    """Goes over the lines, notes what stands where, and hands on those that are in order."""

    def __init__(self, document: Document, dialect: IniSyntax) -> None:
        self._document = document
        self._dialect = dialect
        self._section: str | None = None
        # Of the option whose value may go on: how far in it stands, and whether it is handed on.
        self._depth: int | None = None
        self._is_kept = False
        self._is_lost = False

    def lines(self, lines: list[str]) -> Iterator[str]:
        """Yield the lines for the parser, each in one plain form."""
        for number, line in enumerate(lines, 1):
            text = line.strip()
            depth = len(line) - len(line.lstrip())
            if not text:
                self._depth = None
                yield ""
            elif text[0] in "#;":
                continue  # configparser would end a value at a comment
            elif self._depth is not None and depth > self._depth:
                if self._is_kept:
                    yield f" {text}"
            else:
                yield self._opened(text, number, depth)

    def _opened(self, text: str, line: int, depth: int) -> str:
        """Take a line that begins something; return its plain form, empty if it is none."""
        self._depth = None
        header = self._dialect.header.match(text)
        if header and header["name"].strip():
            return self._header(_normal(header["name"]), line)
        if self._section is None:
            return self._astray(line)
        match = self._dialect.option.match(text)
        if match:
            self._depth = depth
            return self._option(match["name"], match["value"], line)
        if text.lower() in self._dialect.bare:
            return self._option(text, "", line)
        # The text may be a secret: it is not shown.
        self._document.report_at(line, f"[{self._section}]: a line that is no 'option = value'")
        return ""

    def _header(self, name: str, line: int) -> str:
        document = self._document
        if name in document.headers:
            document.report_at(
                line,
                f"[{name}]: the section stands twice, first on line {document.headers[name]}; "
                "make it one",
            )
        document.open_section(name, line)
        self._section = name
        return f"[{name}]"

    def _astray(self, line: int) -> str:
        """Report a line before the first header, once."""
        if not self._is_lost:
            self._document.report_at(line, "a line before the first [section]")
        self._is_lost = True
        return ""

    def _option(self, name: str, value: str, line: int) -> str:
        options = self._document.sections[self._section or ""]
        key = self._document.key(self._section or "", name)
        self._is_kept = key not in options
        if not self._is_kept:
            options[key].repeats.append(line)
            return ""
        options[key] = OptionValue(line)
        return f"{key}={value}"


def _normal(name: str) -> str:
    """Return a section's name without needless blanks: ``meter : gas`` is ``meter:gas``."""
    kind, colon, rest = name.partition(":")
    return kind.strip() + colon + rest.strip()
