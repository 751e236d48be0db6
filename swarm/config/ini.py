"""The text of an INI -> sections and options with their lines, and problems of its syntax.

configparser reads the INI. It does not keep line numbers, stops at a repeated option, and quotes
whole lines in its messages, passwords included. Therefore its hooks for headers and option names
record each line, and this module reports every problem.
"""

import re
from collections.abc import Iterator
from configparser import ConfigParser, Interpolation, InterpolationError, ParsingError
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.config.document import Document, OptionValue
from swarm.errors import SettingsError

#: The section of lines before the first header; no header of an INI can have this name.
_NO_SECTION = "="
_NO_INI = "; give the path of an INI, or create one: swarm init FILE.csv ... > meters.ini"


@dataclass(frozen=True)
class IniSyntax:
    """The syntax of an INI: the pattern of a header, and what separates name and value.

    ``bare`` are the options, in lower case, that may have no value.
    """

    header: re.Pattern[str]
    delimiters: tuple[str, ...] = ("=",)
    interpolation: Interpolation | None = None
    bare: frozenset[str] = frozenset()


#: A header holds no ``=``: ``[x] = a.csv`` is an option.
SWARM_SYNTAX = IniSyntax(header=re.compile(r"\[(?P<header>[^=]+)\]$"))


def read_text(path: Path) -> str:
    """Return a file's text; a file that can't be read raises `SettingsError`."""
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


def parse(path: Path, text: str, syntax: IniSyntax = SWARM_SYNTAX) -> Document:
    """Return the contents of an INI; the document has the problems of its syntax."""
    document = Document(path)
    parser = _Parser(document, syntax)
    try:
        parser.read_file(parser.lines(text), source=str(path))
    except ParsingError as error:
        for number, _ in error.errors:
            parser.report_line(number)
    if parser.strays:
        document.report_at(min(parser.strays), "a line before the first [section]")
    for section, options in document.sections.items():
        for name, entry in options.items():
            try:
                value = parser.get(section, name, fallback="")
            except InterpolationError:
                document.report(section, name, "a single '%'; write it as %% in this kind of INI")
            else:
                entry.value = value.strip()
    return document


class _Parser(ConfigParser):
    """A configparser that records sections, options and their lines in a document."""

    def __init__(self, document: Document, syntax: IniSyntax) -> None:
        super().__init__(
            interpolation=syntax.interpolation,
            delimiters=syntax.delimiters,
            comment_prefixes=(),
            empty_lines_in_values=False,
            default_section="",
            strict=False,
        )
        # configparser calls `SECTCRE.match` for each line that does not continue a value.
        self.SECTCRE: Any = self
        self._document = document
        self._syntax = syntax
        self._numbers: list[int] = []
        self._section: str | None = None
        self._headers: list[tuple[int, str]] = []
        self._is_read = False
        self._is_bare = False
        self._ends_value = False
        self.strays: list[int] = []

    def lines(self, text: str) -> Iterator[str]:
        """Yield the lines of a text for `read_file`: first a header, then all but comments."""
        self._numbers.append(0)
        yield _NO_SECTION
        for number, line in enumerate(text.split("\n"), 1):
            content = line.strip()
            # configparser would end a value of several lines at a comment.
            if content.startswith(("#", ";")):
                continue
            self._is_bare = content.lower() in self._syntax.bare
            self._numbers.append(number)
            yield f"{line} =" if self._is_bare else line
            if self._ends_value:
                # Else an indented line below would continue the option before this line.
                self._ends_value = False
                self._numbers.append(number)
                yield ""
        self._is_read = True

    def match(self, line: str) -> "_Header | None":
        """Return the match of a header, None for another line."""
        if len(self._numbers) == 1:
            return _Header(_NO_SECTION)
        found = self._syntax.header.match(line)
        kind, colon, rest = found["header"].partition(":") if found else ("", "", "")
        name = kind.strip() + colon + rest.strip()
        if not name:
            has_delimiter = any(mark in line for mark in self._syntax.delimiters)
            self._ends_value = self._is_bare or not has_delimiter
            return None
        number = self._numbers[-1]
        first = self._document.headers.get(name)
        if first is not None:
            message = f"[{name}]: this section occurs twice, first on line {first}; merge the two"
            self._document.report_at(number, message)
        self._document.open_section(name, number)
        self._headers.append((number, name))
        self._section = name
        return _Header(name)

    def optionxform(self, optionstr: str) -> str:
        """Return the key of an option; while the text is read, record its line."""
        if self._is_read or not optionstr:
            return optionstr
        number = self._numbers[-1]
        if self._section is None:
            self.report_line(len(self._numbers))
            return optionstr
        options = self._document.sections[self._section]
        key = self._document.key(self._section, optionstr)
        if key in options:
            options[key].repeats.append(number)
            return f"{key}\0{number}"  # another key, so that the first value is kept
        options[key] = OptionValue(number)
        return key

    def report_line(self, index: int) -> None:
        """Report a line that is not an option; ``index`` counts the lines read, from 1."""
        number = self._numbers[index - 1]
        section = next((name for line, name in reversed(self._headers) if line < number), None)
        if section is not None:
            # Don't show the line: it may be secret.
            self._document.report_at(number, f"[{section}]: a line that is not 'option = value'")
        else:
            self.strays.append(number)


class _Header:
    """A match of `SECTCRE`, from which configparser takes the group ``header``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def group(self, _: str) -> str:
        """Return the name of the section."""
        return self._name
