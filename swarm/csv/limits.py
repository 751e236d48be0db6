"""``minimum`` and ``maximum``: limits of the values of a CSV, in the units of the CSV."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from operator import methodcaller

from swarm.config.settings import CsvRules

#: The limits of a column: lowest and highest value, None without one.
Bounds = tuple[str | None, str | None]
_split = methodcaller("split", ",")


class Limits:
    """The limits of a meter's columns."""

    def __init__(self, rules: CsvRules) -> None:
        self.are_set = bool(rules.minimum or rules.maximum)
        self._minimum = rules.minimum
        self._maximum = rules.maximum

    def of(self, columns: Sequence[str]) -> Iterator[Bounds]:
        """Yield the limits of each column."""
        for index, name in enumerate(columns):
            is_sent = name != "-"
            yield (
                _limit(self._minimum, index) if is_sent else None,
                _limit(self._maximum, index) if is_sent else None,
            )

    def are_kept(self, columns: Sequence[str], cells: Sequence[str]) -> bool:
        """Return True if no value of some rows is near a limit, or beyond it.

        ``cells`` are the cells of each row that are sent, with commas between them.
        """
        pairs = zip(self.of(columns), columns, strict=True)
        bounds = [each for each, name in pairs if name != "-"]
        for (low, high), column in zip(bounds, zip(*map(_split, cells), strict=True), strict=True):
            values = [float(cell) for cell in column if cell]
            if values and low is not None and min(values) <= float(low):
                return False
            if values and high is not None and max(values) >= float(high):
                return False
        return True


def breach(value: str, bounds: Bounds) -> str | None:
    """Return what is expected of a value (a JSON number), None if it is within its limits."""
    low, high = bounds
    if low is not None and Decimal(value) < Decimal(low):
        return f"at least {low}, the minimum"
    if high is not None and Decimal(value) > Decimal(high):
        return f"at most {high}, the maximum"
    return None


def _limit(limits: tuple[str, ...] | None, index: int) -> str | None:
    """Return the limit of a column: the only one, or the column's own; ``-`` is none."""
    if not limits:
        return None
    text = limits[0] if len(limits) == 1 else limits[index]
    return None if text == "-" else text
