"""The contents of an INI, option by option with its line, and every problem found in it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarm.config.parsers import INVALID, Parser
from swarm.config.paths import is_stream
from swarm.errors import SettingsError
from swarm.text import comment_hint, quoted

#: The one section whose options keep their letter case: stream IDs.
METERS = "meters"


@dataclass
class OptionValue:
    """One value of an INI and its line; ``None`` as value was reported already.

    ``repeats`` are the lines on which the option stands once more.
    """

    line: int
    value: str | None = None
    repeats: list[int] = field(default_factory=list)


class Document:
    """An INI: its sections, the line of each header, and the problems that gather in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sections: dict[str, dict[str, OptionValue]] = {}
        self.headers: dict[str, int] = {}
        self._problems: dict[str, float] = {}
        self._hints: dict[str, None] = {}

    @property
    def folder(self) -> Path:
        """The folder that its paths are relative to: its own, or where it has none the current."""
        return current_folder(self.path) if is_stream(self.path) else self.path.absolute().parent

    @staticmethod
    def key(section: str, option: str) -> str:
        """Return the name under which an option is kept."""
        return option if section == METERS else option.lower()

    def open_section(self, name: str, line: int) -> None:
        """Note a section's header."""
        self.headers.setdefault(name, line)
        self.sections.setdefault(name, {})

    def named(self, kind: str) -> dict[str, str]:
        """Return the sections ``[KIND:NAME]``, by name; those that lack one are left out."""
        prefix = f"{kind}:"
        return {
            section.removeprefix(prefix): section
            for section in self.sections
            if section.startswith(prefix) and section != prefix
        }

    def entry(self, section: str, option: str) -> OptionValue | None:
        """Return an option, if it is given."""
        return self.sections.get(section, {}).get(self.key(section, option))

    def text(self, section: str, option: str, *, is_list: bool = False) -> str | None:
        """Return a value, which only a list may have on several lines.

        None if there is none; a value that can't be used is reported, and None too.
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
                "goes over several lines; begin each option at the left, an indented line "
                "belongs to the one above",
            )
            return None
        return entry.value

    def values(
        self, section: str, parsers: Mapping[str, Parser], lists: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return the values of the options given; one that does not parse is `INVALID`."""
        return {
            option: self._parsed(section, option, parse, option in lists)
            for option, parse in parsers.items()
            if self.entry(section, option)
        }

    def _parsed(self, section: str, option: str, parse: Parser, is_list: bool) -> Any:
        text = self.text(section, option, is_list=is_list)
        if text is None:
            return INVALID
        try:
            return parse(text)
        except ValueError as error:
            self.report(section, option, f"{_found(text)}, expected {error}")
            self.hint(section, option, *getattr(error, "__notes__", ()))
            return INVALID

    def place(self, section: str, option: str | None = None) -> str:
        """Return where an option or section stands, as messages begin."""
        return self._at(self._line(section, option), _label(section, option))

    def report(self, section: str, option: str | None, message: str) -> None:
        """Add a problem of an option, or of a section."""
        line = self._line(section, option)
        self.report_at(line, f"{_label(section, option)}: {message}")

    def hint(self, section: str, option: str, *notes: str) -> None:
        """Add what may help with a problem of an option, also where its value ends in a comment."""
        text = getattr(self.entry(section, option), "value", None) or ""
        known = notes if _is_showable(text) else ()
        for note in filter(None, (*known, comment_hint(text))):
            self._hints[self._at(self._line(section, option), note)] = None

    def report_at(self, line: int | None, message: str) -> None:
        """Add a problem of a line; of the whole file without one."""
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
        """Raise `SettingsError` if there is a problem; its notes are the hints."""
        if self._problems:
            error = SettingsError(*self.problems)
            for hint in self._hints:
                error.add_note(hint)
            raise error


def _label(section: str, option: str | None) -> str:
    return f"[{section}] {option}" if option else f"[{section}]"


def _found(text: str) -> str:
    """Return how a message names a wrong value: never what may be the password in a URL.

    Nor what may be two lines run into one, the second with a password.
    """
    if not _is_showable(text):
        return "found a value that is not shown here (it may hold a password)"
    return f"found {quoted(text)}"


def _is_showable(text: str) -> bool:
    return not (set("@=") & set(text) or ("://" in text and set("?#") & set(text)))


def current_folder(of: Path) -> Path:
    """Return the current folder, to which the paths in an INI are relative: ``of`` names it."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise SettingsError(
            f"{of}: its paths are relative to the current folder, which was removed; run the "
            "command in another"
        ) from None
