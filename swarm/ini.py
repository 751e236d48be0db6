"""The INI's text -> sections and options with their line numbers; problems of form, all of them.

configparser reads the values. It forgets where a value stood, ends at the first repeated option and
quotes whole lines, passwords too, in its messages: so the lines are looked at here first.
"""

import re
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path

from swarm.errors import SettingsError

_SECTION = re.compile(r"\[(?P<header>.+)\]\s*$")
_OPTION = re.compile(r"(?P<option>[^=]+?)\s*=")


@dataclass
class Option:
    """One value of the INI and the line on which it begins."""

    value: str
    line: int


@dataclass
class Ini:
    """What an INI says; ``lines`` holds the line of each section's header."""

    path: Path
    sections: dict[str, dict[str, Option]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def where(self, section: str, option: str | None = None) -> str:
        """Return ``FILE:LINE: [section] option``, as far as it is known."""
        found = self.sections.get(section, {}).get(option or "")
        line = found.line if found else self.lines.get(section)
        place = f"{self.path}:{line}" if line else str(self.path)
        return f"{place}: [{section}]" + (f" {option}" if option else "")

    def report(self, section: str, option: str | None, message: str) -> None:
        """Add a problem."""
        self.problems.append(f"{self.where(section, option)}: {message}")


class _Parser(ConfigParser):
    # The default matches any line that merely begins with a bracket, such as "[x] = a.csv".
    SECTCRE = _SECTION

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def read_text(path: Path) -> str:
    """Return a file's text; `SettingsError` says in one line why it can't be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{path}: can't be read: {error.strerror}") from None


def read(path: Path) -> Ini:
    """Read an INI. Names keep their case in [meters]; elsewhere they are lower-cased."""
    ini = Ini(path)
    lines = read_text(path).splitlines()
    kept = list(_survey(ini, lines))
    parser = _Parser(
        interpolation=None,
        strict=False,
        delimiters=("=",),
        comment_prefixes=("#", ";"),
        empty_lines_in_values=False,
        default_section="",
    )
    parser.read_file(kept, source=str(path))
    for section, options in ini.sections.items():
        for name, option in options.items():
            option.value = parser[section].get(name, "")
    ini.sections = {name: _folded(name, options) for name, options in ini.sections.items()}
    return ini


def _folded(section: str, options: dict[str, Option]) -> dict[str, Option]:
    if section == "meters":
        return options
    return {name.lower(): option for name, option in options.items()}


def _survey(ini: Ini, lines: list[str]) -> Iterator[str]:
    """Note where each section and option stands; yield the lines that the parser may see."""
    section: str | None = None
    indent: int | None = None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        depth = len(line) - len(line.lstrip())
        if not text:
            indent = None
            yield line
        elif text[0] in "#;":
            continue  # configparser would end a value at a comment
        elif indent is not None and depth > indent:
            yield line
        elif header := _SECTION.match(text):
            section, indent = _enter(ini, header["header"], number), None
            yield text
        elif _note(ini, section, text, number):
            indent = depth
            yield line
        else:
            indent = None
            yield ""


def _enter(ini: Ini, name: str, line: int) -> str:
    if name in ini.lines:
        ini.problems.append(
            f"{ini.path}:{line}: [{name}]: the section stands twice, first on line "
            f"{ini.lines[name]}; make it one"
        )
    ini.lines.setdefault(name, line)
    ini.sections.setdefault(name, {})
    return name


def _note(ini: Ini, section: str | None, text: str, line: int) -> bool:
    """Note an option's line; False where the line is none (its text may be a secret: not shown)."""
    match = _OPTION.match(text)
    if section is None:
        ini.problems.append(f"{ini.path}:{line}: a line before the first [section]")
        return False
    if not match:
        ini.problems.append(f"{ini.path}:{line}: [{section}]: a line that is no 'option = value'")
        return False
    name = match["option"]
    same = name if section == "meters" else name.lower()
    for known, option in ini.sections[section].items():
        if same == (known if section == "meters" else known.lower()):
            ini.problems.append(
                f"{ini.path}:{line}: [{section}] {name}: given twice, first on line {option.line}"
            )
            return False
    ini.sections[section][name] = Option("", line)
    return True
