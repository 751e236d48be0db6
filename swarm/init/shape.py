"""Signs that a CSV has several meters: a column for each, or a row for each meter and time."""

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from swarm.csv.cells import column_number
from swarm.csv.guessed_formats import moment
from swarm.errors import GuessError
from swarm.init.dialect import Dialect
from swarm.text import printable, quoted

#: The shortest time between the end of a meter's rows and the beginning of those of the next one.
_BACK = timedelta(hours=3)
#: The number of rows that are compared.
_ROWS = 2000
_LIKE_QUANTITIES = re.compile(
    r"k?wh?|mwh?|k?varh?|k?vah?|m3|m³|[avw]|hz|pf|cos|phi|l?[123]|phase|total|sum|net|gross|avg|min|max"
    r"|active|reactive|apparent|mean|power|energy|energie|leistung|arbeit|verbrauch|wert|value|"
    r"valeur|usage|use|consumption|consommation|cost|costs|price|preis|kosten|temp|temperature|"
    r"temperatur|humidity|voltage|current|spannung|strom|frequency|factor|flow|volume|counter|index|"
    r"reading|zählerstand|status|quality|flag|import|export|delivered|received|generation|"
    r"production|demand|tariff|tarif|ht|nt|hp|hc|peak|off|on|units?|duration|hour|day|month|year"
)
_NAME = re.compile(r"[^\W_]+")


def is_wide(dialect: Dialect) -> bool:
    """Return True if the columns of numbers seem to be of several meters, by their names."""
    names = [
        name
        for name, is_number in zip(dialect.header[1:], dialect.numeric, strict=False)
        if is_number and name
    ]
    return len(names) >= 2 and len(set(names)) == len(names) and all(map(_is_of_meter, names))


def _is_of_meter(name: str) -> bool:
    """Return True if the name of a column has more than a quantity, a unit and a phase."""
    words = _NAME.findall(name.lower())
    return any(not _LIKE_QUANTITIES.fullmatch(word) for word in words)


def wide_hint(path: Path) -> str:
    """Return the advice for a file with a column for each meter."""
    return (
        "if each column of numbers is a meter of its own, make a file of each: swarm split "
        f"{_word(str(path))} --into FOLDER"
    )


def refuse_long(path: Path, dialect: Dialect, form: str) -> None:
    """Raise `GuessError` for a file with a row for each meter and time.

    ``form`` is the format of the timestamps.
    """
    for index in range(1, len(dialect.rows[0])):
        others = [*dialect.numeric[: index - 1], *dialect.numeric[index:]]
        # Without another column of numbers, it is the column of the values.
        if True not in others:
            continue
        blocks = _is_in_blocks(dialect.rows, index, form)
        if not blocks and not _is_key(dialect.rows[:_ROWS], index):
            continue
        name = dialect.header[index] if dialect.header else ""
        name = name or str(column_number(index - 1, dialect.stamps))
        first, second = list(dict.fromkeys(row[index] for row in dialect.rows))[:2]
        raise GuessError(
            f"several meters in one file: the column {quoted(name)} has {quoted(first)}, "
            f"{quoted(second)} at the same time; make a file of each: swarm split "
            f"{_word(str(path))} --by {_word(name)} --into FOLDER"
        )


def _word(text: str) -> str:
    """Return a text as one word of a shell's line."""
    return shlex.quote(printable(text))


def _is_key(rows: Sequence[Sequence[str]], index: int) -> bool:
    """Return True if most times occur several times, but once for each text of a column."""
    times = Counter(row[0] for row in rows)
    repeated = sum(count > 1 for count in times.values())
    if 2 * repeated < len(times) or len(rows) < 4:
        return False
    kinds = {row[index] for row in rows}
    is_key = len({(row[0], row[index]) for row in rows}) == len({tuple(row) for row in rows})
    return is_key and 2 <= len(kinds) <= len(rows) / 2 and "" not in kinds


def _is_in_blocks(rows: Sequence[Sequence[str]], index: int, form: str) -> bool:
    """Return True if a column has a block of rows for each text, and each begins again in time.

    A flag for summer time also has blocks, but time goes back by an hour only.
    """
    changes = [(old, new) for old, new in pairwise(rows) if old[index] != new[index]]
    kinds = {row[index] for row in rows}
    if not changes or len(kinds) != len(changes) + 1 or len(kinds) > len(rows) / 2 or "" in kinds:
        return False
    for old, new in changes:
        end, start = moment(old[0], form), moment(new[0], form)
        if end is None or start is None or end - start < _BACK:
            return False
    return True
