"""Settings as the text of an INI: what is written here is read back as it was."""

import glob
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_WIDTH = 79
_WILD = frozenset("*?[")
#: What stands for a character that an ID can't hold.
_FILLER = "_"


@dataclass(frozen=True)
class GeneratedIni:
    """An INI's text, what its user should know of it, and what is missing in it and why."""

    text: str
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """One option of an INI as it is written; ``doubt`` says what its user has to look at."""

    option: str
    text: str
    doubt: str = ""


def is_writable(text: str) -> bool:
    """Tell whether a text can stand in an INI at all: in UTF-8, on one line."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return not set("\n\r\0") & set(text)


def is_id(text: str) -> bool:
    """Tell whether a stream's ID can stand ahead of a ``=``."""
    return is_writable(text) and text == name_of(text)


def name_of(text: str) -> str:
    """Return the ID that can be written and is nearest to a text."""
    name = "".join(_FILLER if c in "=\n\r\0" else c for c in text).strip()
    return _FILLER + name[1:] if name[:1] in {"#", ";", ""} else name


def path_text(path: Path) -> str:
    """Return a path as the value of an option: it means this one file, whatever its name."""
    text = str(path)
    if text != text.rstrip():
        # Blanks at a value's end do not count; between brackets they do.
        text = f"{glob.escape(text[:-1])}[{text[-1]}]"
    elif _WILD & set(text):
        text = glob.escape(text)
    return f"./{text}" if text[0] == "~" or text[0].isspace() else text


def comment(*paragraphs: str) -> list[str]:
    """Return paragraphs as lines of a comment; one that begins with a blank keeps its form."""
    lines: list[str] = []
    for text in paragraphs:
        is_fixed = not text or text[0] == " "
        lines += [text] if is_fixed else textwrap.wrap(text, _WIDTH - 2, break_long_words=False)
    return [f"# {line}".rstrip() for line in lines]


def options(settings: Iterable[Setting]) -> list[str]:
    """Return the lines of options, each below what is doubtful of it."""
    lines: list[str] = []
    for setting in settings:
        if setting.doubt:
            lines += comment(f"CHECK: {setting.doubt}")
        lines.append(f"{setting.option} = {setting.text}")
    return lines
