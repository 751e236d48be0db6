"""Tell whether a CSV has several meters: a column for each, or a row for each meter and time."""

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from swarm.errors import GuessError
from swarm.init.dialect import Dialect
from swarm.text import quoted

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
        f"{shlex.quote(str(path))} --into FOLDER"
    )


def refuse_long(path: Path, dialect: Dialect) -> None:
    """Raise `GuessError` for a file with a row for each meter and time."""
    rows = dialect.rows[:_ROWS]
    times = Counter(row[0] for row in rows)
    repeated = sum(count > 1 for count in times.values())
    if 2 * repeated < len(times) or len(rows) < 4:
        return
    for index in range(1, len(rows[0])):
        others = [*dialect.numeric[: index - 1], *dialect.numeric[index:]]
        if True not in others:
            # It is the column of the values.
            continue
        kinds = dict.fromkeys(row[index] for row in rows)
        is_key = len({(row[0], row[index]) for row in rows}) == len(set(rows))
        if not 2 <= len(kinds) <= len(rows) / 2 or not is_key or not all(kinds):
            continue
        name = dialect.header[index] if dialect.header else str(_place(index, dialect.stamps))
        first, second = list(kinds)[:2]
        raise GuessError(
            f"several meters in one file: the column {quoted(name)} has {quoted(first)}, "
            f"{quoted(second)} at the same time; make a file of each: swarm split "
            f"{shlex.quote(str(path))} --by {shlex.quote(name)} --into FOLDER"
        )


def _place(index: int, stamps: Sequence[int]) -> int:
    """Return the number of a measurement column, counted from 1, among all columns."""
    place = index
    for stamp in sorted(stamps):
        place += stamp <= place
    return place
