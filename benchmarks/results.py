"""What was measured, as a table in Markdown."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import NotMeasured

_BEGIN, _END = "<!-- results -->", "<!-- /results -->"

RATE = "{:,.0f} /s"
SECONDS = "{:.2f} s"
MICROSECONDS = "{:.1f} µs"
MEGABYTES = "{:.0f} MB"
PERCENT = "{:+.1f} %"
TIMES = "{:.2f} x"


@dataclass(frozen=True)
class Bar:
    """What a median is held to."""

    limit: float
    at_most: bool = False

    def is_met(self, value: float) -> bool:
        """Tell whether a value passes."""
        return value <= self.limit if self.at_most else value >= self.limit


def at_least(limit: float) -> Bar:
    """Return the bar that a value must reach."""
    return Bar(limit)


def at_most(limit: float) -> Bar:
    """Return the bar that a value must not pass."""
    return Bar(limit, at_most=True)


@dataclass(frozen=True)
class Result:
    """One row of the table: a value of each run, and how such a value is written."""

    name: str
    values: Sequence[float]
    form: str
    bar: Bar | None = None

    def cells(self) -> list[str]:
        """Return the row's cells."""
        median = statistics.median(self.values)
        low, high = (self.form.format(value) for value in (min(self.values), max(self.values)))
        bar, met = "", ""
        if self.bar:
            bar = f"{'≤' if self.bar.at_most else '≥'} {self.form.format(self.bar.limit)}"
            met = "yes" if self.bar.is_met(median) else "**no**"
        span = f"{low} to {high}" if len(self.values) > 1 else ""
        return [self.name, self.form.format(median), span, str(len(self.values)), bar, met]


@dataclass(frozen=True)
class Missing:
    """A row of the table that could not be measured."""

    name: str
    why: str

    def cells(self) -> list[str]:
        """Return the row's cells."""
        return [self.name, f"not measured: {self.why}", "", "", "", ""]


def markdown(heading: Iterable[str], rows: Iterable[Result | Missing]) -> str:
    """Return the heading's lines and the table."""
    titles = ["measure", "median", "range", "runs", "bar", "met"]
    lines = [titles, ["---", "---:", "---:", "---:", "---:", "---"], *(row.cells() for row in rows)]
    table = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([*(f"* {line}" for line in heading), "", *table, ""])


def parted(path: Path) -> tuple[str, str]:
    """Return what of a document stands before the results and behind them."""
    try:
        before, begin, rest = path.read_text("utf-8").partition(_BEGIN)
    except OSError as error:
        raise NotMeasured(f"{path}: {error.strerror}") from None
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise NotMeasured(f"{path}: expected a line '{_BEGIN}' and, after it, a line '{_END}'")
    return before + begin, end + after


def put(text: str, path: Path) -> None:
    """Put results between the two marks of a document; all else in it stays."""
    before, after = parted(path)
    path.write_text(f"{before}\n\n{text}\n{after}", encoding="utf-8")
