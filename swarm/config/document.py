"""The contents of an INI: each option with its line, and every problem found in it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarm.config.parsers import INVALID, Parser
from swarm.config.paths import is_stream
from swarm.errors import SettingsError
from swarm.text import comment_hint, quoted

#: The only section whose options keep their letter case: they are stream IDs.
METERS = "meters"


@dataclass
class OptionValue:
    """The value of an option, and its line; the value None was reported already.

    ``repeats`` are the lines on which the option is given again.
    """

    line: int
    value: str | None = None
    repeats: list[int] = field(default_factory=list)


class Document:
    """An INI: its sections, the line of each header, and the problems found so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sections: dict[str, dict[str, OptionValue]] = {}
        self.headers: dict[str, int] = {}
        self._problems: dict[str, float] = {}
        self._hints: dict[str, None] = {}

    @property
    def folder(self) -> Path:
        """The folder that paths are relative to: the INI's, or the current one for a stream."""
        return current_folder(self.path) if is_stream(self.path) else self.path.absolute().parent

    @staticmethod
    def key(section: str, option: str) -> str:
        """Return the key of an option in its section."""
        return option if section == METERS else option.lower()

    def open_section(self, name: str, line: int) -> None:
        """Add a section, unless it is there already."""
        self.headers.setdefault(name, line)
        self.sections.setdefault(name, {})

    def named(self, kind: str) -> dict[str, str]:
        """Return the sections ``[KIND:NAME]`` by name; a section without a name is left out."""
        prefix = f"{kind}:"
        return {
            section.removeprefix(prefix): section
            for section in self.sections
            if section.startswith(prefix) and section != prefix
        }

    def entry(self, section: str, option: str) -> OptionValue | None:
        """Return an option, None if it is not given."""
        return self.sections.get(section, {}).get(self.key(section, option))

    def text(self, section: str, option: str, *, is_list: bool = False) -> str | None:
        """Return the value of an option, None if it is not given.

        Report an empty value, and one on several lines unless it is a list; return None for it.
        """
        entry = self.entry(section, option)
        if entry is None or entry.value is None:
            return None
        if not entry.value:
            self.report(section, option, "empty; give it a value or leave it out")
            return None
        if "\n" in entry.value and not is_list:
            self.report(
                section,
                option,
                "takes several lines; begin each option without indentation: an indented line "
                "continues the option above it",
            )
            return None
        return entry.value

    def values(
        self, section: str, parsers: Mapping[str, Parser], lists: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return the parsed values of the options that are given.

        Report a value that can't be parsed; it is `INVALID`. ``lists`` are the options whose
        values may span several lines.
        """
        parsed: dict[str, Any] = {}
        given = self.sections.get(section)
        if not given:
            return parsed
        for option, parse in parsers.items():
            if self.key(section, option) not in given:
                continue
            parsed[option] = INVALID
            text = self.text(section, option, is_list=option in lists)
            if text is None:
                continue
            try:
                parsed[option] = parse(text)
            except ValueError as error:
                hidden = "a value that is not shown here (it may contain a password)"
                found = quoted(text) if _is_showable(text) else hidden
                self.report(section, option, f"found {found}, expected {error}")
                self.hint(section, option, *getattr(error, "__notes__", ()))
        return parsed

    def place(self, section: str, option: str | None = None) -> str:
        """Return the place of an option or section as messages begin with it."""
        label = f"[{section}] {option}" if option else f"[{section}]"
        return self._at(self._line(section, option), label)

    def report(self, section: str, option: str | None, message: str) -> None:
        """Add a problem of an option, or of a section."""
        problem = f"{self.place(section, option)}: {message}"
        self._problems.setdefault(problem, self._line(section, option) or float("inf"))

    def hint(self, section: str, option: str, *notes: str) -> None:
        """Add hints for a problem of an option: ``notes``, and one if a comment ends its value."""
        text = getattr(self.entry(section, option), "value", None) or ""
        known = notes if _is_showable(text) else ()
        for note in filter(None, (*known, comment_hint(text))):
            self._hints[self._at(self._line(section, option), note)] = None

    def report_at(self, line: int | None, message: str) -> None:
        """Add a problem of a line, or of the whole file."""
        self._problems.setdefault(self._at(line, message), line or float("inf"))

    def _line(self, section: str, option: str | None) -> int | None:
        entry = self.entry(section, option) if option else None
        return entry.line if entry else self.headers.get(section)

    def _at(self, line: int | None, message: str) -> str:
        return f"{self.path}:{line}: {message}" if line else f"{self.path}: {message}"

    @property
    def problems(self) -> list[str]:
        """Every problem, in order of lines; those without a line come last."""
        return sorted(self._problems, key=lambda problem: self._problems[problem])

    def raise_problems(self) -> None:
        """Raise `SettingsError` if there is a problem; its notes are the hints.

        The error holds every problem of the INI, in the order of lines.
        """
        if self._problems:
            error = SettingsError(*self.problems)
            for hint in self._hints:
                error.add_note(hint)
            raise error


def _is_showable(text: str) -> bool:
    """Return False for a value that may hold a password.

    The password may be in a URL, or in a second line that was joined to the first by mistake.
    """
    return not (set("@=") & set(text) or ("://" in text and set("?#") & set(text)))


def current_folder(of: Path) -> Path:
    """Return the current folder, which the paths in the INI ``of`` are relative to.

    Raises `SettingsError` if the folder was removed.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise SettingsError(
            f"{of}: its paths are relative to the current folder, which was removed; run the "
            "command in another folder"
        ) from None
