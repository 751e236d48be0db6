"""Tables and widths of text on a terminal."""

import unicodedata
from collections.abc import Sequence

from swarm.text import printable


def width(text: str) -> int:
    """Return the number of columns that a text takes on a terminal.

    >>> width("gas"), width("東京"), width("e\N{COMBINING ACUTE ACCENT}")
    (3, 4, 1)
    """
    if text.isascii():
        return len(text)
    columns = 0
    for character in text:
        if unicodedata.category(character) not in {"Mn", "Me", "Cf"}:
            columns += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return columns


def pad_or_truncate(text: str, columns: int) -> str:
    """Return a text that takes exactly so many columns: cut, or padded with blanks.

    >>> pad_or_truncate("elec-meter", 6), pad_or_truncate("東京都", 4), pad_or_truncate("gas", 4)
    ('elec-…', '東… ', 'gas ')
    """
    text = printable(text)
    if width(text) > columns:
        kept = ""
        for character in text:
            if width(kept + character) >= columns:
                break
            kept += character
        text = f"{kept}…"
    return text + " " * (columns - width(text))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]) -> list[str]:
    """Return the lines of a table.

    The columns whose indexes are in ``left``, and the last column, are text and aligned left; the
    others are numbers and aligned right.
    """
    cells = [[printable(cell) for cell in row] for row in (head, *rows)]
    padded, widths = [], []
    for index, column in enumerate(zip(*cells, strict=True)):
        needed = list(map(width, column))
        widths.append(max(needed))
        is_text = index in left or index == len(head) - 1
        blanks = [" " * (widths[-1] - columns) for columns in needed]
        pairs = zip(column, blanks, strict=True) if is_text else zip(blanks, column, strict=True)
        padded.append([first + second for first, second in pairs])
    lines = ["  ".join(row).rstrip() for row in zip(*padded, strict=True)]
    lines.insert(1, "  ".join("-" * columns for columns in widths))
    return lines
