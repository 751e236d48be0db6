"""Format settings as the text of an INI that swarm reads back as the same settings."""

import glob
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_WIDTH = 79
_GLOB = frozenset("*?[")
#: Replaces a character that an ID can't contain.
_FILLER = "_"


@dataclass(frozen=True)
class GeneratedIni:
    """The text of an INI, notes for the user, and the files left out with the reasons."""

    text: str
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """One option of an INI; ``doubt`` says what the user should check, and is empty if nothing."""

    option: str
    text: str
    doubt: str = ""


def is_writable(text: str) -> bool:
    """Return True if a text can be written into an INI: as UTF-8, on one line.

    `swarm.config.ini` refuses a NUL byte and what is not UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return not set("\n\r\0") & set(text)


def is_id(text: str) -> bool:
    """Return True if a stream's ID can be written as the name of an option."""
    return is_writable(text) and text == name_of(text)


def name_of(text: str) -> str:
    """Return a text as an ID that can be written, with as few changes as possible."""
    name = "".join(_FILLER if c in "=\n\r\0" else c for c in text).strip()
    return _FILLER + name[1:] if name[:1] in {"#", ";", ""} else name


def path_text(path: Path) -> str:
    """Return a path as the value of an option that means this one file, whatever its name."""
    text = str(path)
    if text != text.rstrip():
        # The INI parser strips a blank at the end of a value, but not one in brackets.
        text = f"{glob.escape(text[:-1])}[{text[-1]}]"
    elif _GLOB & set(text):
        text = glob.escape(text)
    return f"./{text}" if text[0] == "~" or text[0].isspace() else text


def files_text(folder: Path, pattern: str, paths: Sequence[Path]) -> str:
    """Return the value of an option that means these files: a glob in a folder, or each path."""
    if not pattern:
        return "\n    ".join(map(path_text, paths))
    text = glob.escape(str(folder / "x")[:-1]) + pattern
    return f"./{text}" if text[0] == "~" or text[0].isspace() else text


def comment(*paragraphs: str) -> list[str]:
    """Return wrapped paragraphs as comment lines; one that begins with a blank is not wrapped.

    Wrapped lines have at most 79 characters.
    """
    lines: list[str] = []
    for text in paragraphs:
        is_verbatim = not text or text[0] == " "
        lines += [text] if is_verbatim else textwrap.wrap(text, _WIDTH - 2, break_long_words=False)
    return [f"# {line}".rstrip() for line in lines]


def options(settings: Iterable[Setting]) -> list[str]:
    """Return the lines of options; a doubt is a comment above its option."""
    lines: list[str] = []
    for setting in settings:
        if setting.doubt:
            lines += comment(f"CHECK: {setting.doubt}")
        lines.append(f"{setting.option} = {setting.text}")
    return lines
