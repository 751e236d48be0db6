"""Text for terminals: tables, and columns of a width that some characters take two of."""

import json
import unicodedata
from collections.abc import Sequence


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


def printable(text: str) -> str:
    r"""Return a text that moves no cursor: control characters are escaped.

    >>> printable("a\tb\x1b[2J")
    'a\\tb\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def printable_json(text: str) -> str:
    r"""Return JSON that moves no cursor: what is not printable is escaped, as JSON has it.

    >>> printable_json('{"id": "ü\x9b\U000e0041"}')
    '{"id": "ü\\u009b\\udb40\\udc41"}'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def fitted(text: str, columns: int) -> str:
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


def counted(number: int, noun: str) -> str:
    """Return a number and what it counts.

    >>> counted(1, "row"), counted(2000, "retry")
    ('1 row', '2,000 retries')
    """
    if number != 1:
        noun = noun.removesuffix("y") + "ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number:,} {noun}"


def span(seconds: float) -> str:
    """Return how long something takes, about.

    >>> span(3.14), span(100), span(7380)
    ('3.1 s', '1 min 40 s', '2 h 03 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def spacing(seconds: float) -> str:
    """Return an interval exactly.

    >>> spacing(900), spacing(5400), spacing(86400), spacing(0.5)
    ('15m', '1h30m', '1d', '0.5s')
    """
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number:g}{unit}" for number, unit in parts if number) or "0s"


def clock(timestamp: str) -> str:
    """Return a packet's local time as people read it, without zeros that say nothing.

    >>> clock("2023-07-01T00:15:00.000+01:00"), clock("2023-07-01T00:15:30.000+01:00")
    ('2023-07-01 00:15', '2023-07-01 00:15:30')
    """
    text = timestamp[:23].replace("T", " ").removesuffix(".000")
    return text.removesuffix(":00")


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
