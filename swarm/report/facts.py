"""Words and figures of the page: what each meter has, what is wrong, and how to go on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from swarm.config.settings import Meter
from swarm.csv import CheckResult
from swarm.csv.statistics import QUANTILES, RegisterRange
from swarm.packet import timestamp
from swarm.report import charts
from swarm.report.charts import Daily, Profile
from swarm.report.days import EPOCH, Days, Kind
from swarm.run.report import MeterReport
from swarm.text import format_interval, format_time, pluralize
from swarm.web.calendar import Calendar, Run, calendar
from swarm.web.svg import short

_LISTED_GAPS = 12
_LISTED_PROBLEMS = 20
_LISTED_FILES = 4
#: The size (px) of a day's cell.
_CELL = 10
QUANTILE_NAMES = tuple(f"{share:.0%}" for share in QUANTILES)


class GapLine(NamedTuple):
    """A gap, with the local times of the rows at its ends."""

    before: str
    after: str
    missing: int


class RegisterLine(NamedTuple):
    """The range of a register as text; ``falls`` is None where values may fall."""

    name: str
    values: int
    low: str
    quantiles: Sequence[str]
    high: str
    falls: int | None


@dataclass(frozen=True)
class MeterFacts:
    """The facts about one meter, without its pictures; ``number`` is its place in the INI.

    ``share`` is the share of the expected rows that is there, from 0 to 1, None if no interval is
    known. ``kinds`` are the kinds of its days. ``severity`` sorts the meters, worst first.
    """

    number: int
    id: str
    files: str
    rows: int
    first: str
    last: str
    interval: str
    share: float | None
    gap_count: int
    missing: int
    gaps: Sequence[GapLine]
    registers: Sequence[RegisterLine]
    problems: Sequence[str]
    problem_count: int
    notices: Sequence[str]
    kinds: frozenset[str]
    outcome: MeterReport | None

    @property
    def verdict(self) -> str:
        """The state of the meter in a word or two."""
        if self.outcome is not None:
            return self.outcome.state
        return pluralize(self.problem_count, "problem") if self.problem_count else "sound"

    @property
    def is_good(self) -> bool:
        """True if nothing is wrong with the meter."""
        if self.problem_count:
            return False
        return self.outcome is None or (self.outcome.state == "done" and not self.outcome.problem)

    @property
    def severity(self) -> tuple[bool, int, float, int]:
        """The order of the meters: the smallest is the worst."""
        lost = 0
        if self.outcome is not None:
            counts = self.outcome.counts
            lost = counts["rejected"] + counts["late"] + counts["unsent"]
        share = 1.0 if self.share is None else self.share
        return self.is_good, -(self.problem_count + lost), share, self.number


@dataclass(frozen=True)
class Pictures:
    """The pictures of one meter; those without data are None."""

    calendar: Calendar | None
    daily: Daily | None
    profile: Profile | None
    drawn: str


def meter_facts(
    number: int, meter: Meter, checked: CheckResult, days: Days | None, outcome: MeterReport | None
) -> MeterFacts:
    """Return the facts of a meter; ``outcome`` is that of an upload."""
    quality, statistics = checked.quality, checked.statistics
    first, last = (
        (format_time(timestamp(row.instant, row.offset)) for row in checked.ends)
        if checked.ends
        else ("-", "-")
    )
    problems = [str(problem) for problem in checked.problems[:_LISTED_PROBLEMS]]
    if outcome is not None and outcome.problem and checked.is_sound:
        problems = [outcome.problem.message]
    falls = quality.falls if quality else {}
    return MeterFacts(
        number=number,
        id=checked.meter,
        files=_files(meter),
        rows=checked.rows,
        first=first,
        last=last,
        interval=format_interval(quality.interval) if quality and quality.interval else "-",
        share=days.share if days else None,
        gap_count=quality.gap_count if quality else 0,
        missing=quality.missing if quality else 0,
        gaps=list(_gaps(checked)),
        registers=[
            _register(each, falls.get(each.name))
            for each in (statistics.registers if statistics else ())
        ],
        problems=problems,
        problem_count=checked.problem_count,
        notices=checked.notices,
        kinds=frozenset(run.kind for run in days.runs) if days else frozenset(),
        outcome=outcome,
    )


def pictures(checked: CheckResult, days: Days | None) -> Pictures:
    """Draw the pictures of a meter."""
    statistics = checked.statistics
    if statistics is None:
        return Pictures(_calendar(days), None, None, "")
    drawn = statistics.drawn
    is_counter = len(statistics.daily.lasts) > 0
    name = drawn[0] if len(drawn) == 1 else f"{drawn[0]} to {drawn[-1]}, added up"
    return Pictures(
        _calendar(days),
        charts.daily(statistics),
        None if is_counter else charts.profile(statistics),
        name,
    )


def _calendar(days: Days | None) -> Calendar | None:
    if days is None:
        return None
    runs = [Run(run.kind, run.start + EPOCH, run.end + EPOCH) for run in days.runs]
    # Where no row is expected, the frame of the year is seen.
    drawn = [run for run in runs if run.kind != Kind.OUTSIDE] or runs
    return calendar(drawn, _CELL)


def _files(meter: Meter) -> str:
    """Return the names of a meter's files; of many, the first and the last."""
    names = [path.name for path in meter.files]
    if len(names) <= _LISTED_FILES:
        return ", ".join(names)
    return f"{len(names)} files, {names[0]} to {names[-1]}"


def _gaps(checked: CheckResult) -> Iterator[GapLine]:
    """Yield the longest gaps, in order of time."""
    gaps = checked.quality.gaps if checked.quality else ()
    longest = sorted(gaps, key=lambda gap: -gap.missing)[:_LISTED_GAPS]
    for gap in sorted(longest, key=lambda gap: gap.before):
        yield GapLine(
            format_time(timestamp(*gap.before)), format_time(timestamp(*gap.after)), gap.missing
        )


def _register(found: RegisterRange, falls: int | None) -> RegisterLine:
    return RegisterLine(
        found.name,
        found.count,
        short(found.low),
        [short(value) for value in found.quantiles],
        short(found.high),
        falls,
    )
