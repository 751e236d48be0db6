"""The results as a table in Markdown."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_BEGIN, _END = "<!-- results -->", "<!-- /results -->"

COUNT = "{:,.0f}"
RATE = "{:,.0f} /s"
SECONDS = "{:.2f} s"
MICROSECONDS = "{:.1f} µs"
MEGABYTES = "{:.0f} MB"
PERCENT = "{:+.1f} %"
TIMES = "{:.2f} x"


class NotMeasured(Exception):  # noqa: N818 - its message is printed after "not measured:"
    """A requirement of a measurement is missing, or a run failed; the message is one line."""


@dataclass(frozen=True)
class Bar:
    """The limit for the median of a result."""

    limit: float
    at_most: bool = False

    def is_met(self, value: float) -> bool:
        """Return True if a value passes."""
        return value <= self.limit if self.at_most else value >= self.limit


def at_least(limit: float) -> Bar:
    """Return the bar that a value must reach."""
    return Bar(limit)


def at_most(limit: float) -> Bar:
    """Return the bar that a value must not exceed."""
    return Bar(limit, at_most=True)


@dataclass(frozen=True)
class Result:
    """A row of the table: the value of each run, and the format of such a value.

    ``other`` are the values of the version that is compared; empty if not measured.
    """

    name: str
    values: Sequence[float]
    form: str
    bar: Bar | None = None
    other: Sequence[float] = ()

    def cells(self) -> list[str]:
        """Return the cells of the row."""
        median = statistics.median(self.values)
        low, high = (self.form.format(value) for value in (min(self.values), max(self.values)))
        bar, met = "", ""
        if self.bar:
            bar = f"{'≤' if self.bar.at_most else '≥'} {self.form.format(self.bar.limit)}"
            met = "yes" if self.bar.is_met(median) else "**no**"
        span = f"{low} to {high}" if len(self.values) > 1 else ""
        other = self.form.format(statistics.median(self.other)) if self.other else ""
        return [self.name, self.form.format(median), span, str(len(self.values)), other, bar, met]


@dataclass(frozen=True)
class Missing:
    """A row of the table that could not be measured."""

    name: str
    why: str

    def cells(self) -> list[str]:
        """Return the cells of the row."""
        return [self.name, f"not measured: {self.why}", "", "", "", "", ""]


def markdown(
    heading: Iterable[str], rows: Iterable[Result | Missing], other: str | None = None
) -> str:
    """Return the lines of the heading and the table; ``other`` is the version that is compared."""
    titles = ["measure", "median", "range", "runs", other or "", "bar", "met"]
    dashes = ["---", "---:", "---:", "---:", "---:", "---:", "---"]
    lines = [titles, dashes, *(row.cells() for row in rows)]
    if other is None:
        lines = [[*cells[:4], *cells[5:]] for cells in lines]
    table = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([*(f"* {line}" for line in heading), "", *table, ""])


def split(path: Path) -> tuple[str, str]:
    """Return the text of a document before the results and the text after them."""
    try:
        before, begin, rest = path.read_text("utf-8").partition(_BEGIN)
    except OSError as error:
        raise NotMeasured(f"{path}: {error.strerror}") from None
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise NotMeasured(f"{path}: expected a line '{_BEGIN}' and, after it, a line '{_END}'")
    return before + begin, end + after


def insert(text: str, path: Path) -> None:
    """Replace the text between the two marks of a document by the results."""
    before, after = split(path)
    path.write_text(f"{before}\n\n{text}\n{after}", encoding="utf-8")
