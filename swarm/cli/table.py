"""Tables and widths of text on a terminal."""

import unicodedata
from collections.abc import Sequence

from swarm.text import printable


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes.

    >>> width("gas"), width("東京"), width("e\N{COMBINING ACUTE ACCENT}")
    (3, 4, 1)
    """
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad_or_truncate(text: str, columns: int) -> str:
    """Return a text in so many columns: cut, or filled up with blanks.

    >>> fitted("elec-meter", 6), fitted("東京都", 4), fitted("gas", 4)
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
    """Return the lines of a table: ``left`` are the columns that are text, the rest are numbers."""
    cells = [[printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    lines = [_line(row, widths, left) for row in cells]
    return [lines[0], "  ".join("-" * columns for columns in widths), *lines[1:]]


def _line(row: Sequence[str], widths: Sequence[int], left: Sequence[int]) -> str:
    parts = []
    for at, (cell, columns) in enumerate(zip(row, widths, strict=True)):
        blanks = " " * (columns - width(cell))
        # The last column is text in every table of swarm.
        parts.append(cell + blanks if at in left or at == len(row) - 1 else blanks + cell)
    return "  ".join(parts).rstrip()
