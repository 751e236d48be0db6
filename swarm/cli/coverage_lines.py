"""The coverage of each meter as a line of blocks, for a terminal."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from swarm.cli.table import pad_or_truncate, width
from swarm.config.settings import Meter
from swarm.csv import CheckResult
from swarm.report.days import Days, days_of
from swarm.text import printable

_BLOCKS = "▁▂▃▄▅▆▇█"
_EMPTY = "·"
_MOST_BLOCKS = 60
_WIDEST_NAME = 28
#: The share in figures, with the blanks around it.
_FIGURES = 12


def can_be_shown(encoding: str) -> bool:
    """Return True if a terminal with this encoding has the blocks."""
    try:
        f"{_BLOCKS}{_EMPTY}".encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def coverage_lines(
    meters: Sequence[Meter], results: Sequence[CheckResult], columns: int
) -> Iterator[str]:
    """Yield a line for each meter with rows, at most so many columns wide."""
    found = []
    for meter, result in zip(meters, results, strict=True):
        days = days_of(meter, result)
        if days is not None:
            found.append((meter.id, days))
    name = min(max((width(printable(each)) for each, _ in found), default=0), _WIDEST_NAME)
    room = min(columns - name - _FIGURES, _MOST_BLOCKS)
    if not found or room < 1:
        return
    yield ""
    for each, days in found:
        share = days.share
        figures = "" if share is None else f"  {int(share * 1000) / 10:g} %"
        yield f"{pad_or_truncate(each, name)}  {blocks(days, room)}{figures}"


def blocks(days: Days, most: int) -> str:
    """Return the coverage of days as blocks: equal parts of the period, at most so many."""
    count = len(days.rows)
    parts = min(count, most)
    bounds = [count * part // parts for part in range(parts + 1)]
    return "".join(
        _block(days.rows[start:end], days.expected[start:end]) for start, end in pairwise(bounds)
    )


def _block(rows: Sequence[int], expected: Sequence[int]) -> str:
    there, whole = sum(map(min, rows, expected)), sum(expected)
    if not any(rows):
        return _EMPTY
    if not whole or there >= whole:
        return _BLOCKS[-1]
    return _BLOCKS[there * (len(_BLOCKS) - 1) // whole]
