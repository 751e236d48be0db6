"""Charts as plain data for the templates: values by day, the load profile, the course of a run."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from swarm.csv.statistics import Statistics
from swarm.csv.sums import WEEK_HOURS, DailyValues
from swarm.report.days import date_of
from swarm.run.timeline import Sample
from swarm.text import format_duration
from swarm.web.svg import Cell, cells, line, months, short, ticks

#: The size (px) of the plots of values by day, and of a run.
WIDTH = 860
HEIGHT = 150
_STEPS = 1000
#: Colours of a load profile, from low to high.
SHADES = 7
PROFILE_CELL = 18
_LABELS = 12


class Mark(NamedTuple):
    """A label of an axis at a place (px)."""

    at: float
    text: str


class Daily(NamedTuple):
    """Values by day: a path in a box of ``days`` by `_STEPS`, and the labels of the axes."""

    title: str
    path: str
    days: int
    steps: int
    x: Sequence[Mark]
    y: Sequence[Mark]
    low: str
    high: str


class Profile(NamedTuple):
    """A load profile: a path for each shade from low to high, and the range of the means."""

    paths: Sequence[str]
    low: str
    high: str
    peak: str


class Course(NamedTuple):
    """The course of a run: packets a second, retries, and when streams got no answer."""

    rate: str
    retries: str
    outages: str
    x: Sequence[Mark]
    y: Sequence[Mark]
    peak: str


def daily(statistics: Statistics) -> Daily | None:
    """Return the chart of values by day: means, or the growth of a counter; None without two."""
    found = statistics.daily
    is_counter = len(found.lasts) > 0
    points = list(_growth(found) if is_counter else _means(found))
    if len(points) < 2:
        return None
    values = [value for _, value in points]
    low, high = min(values), max(values)
    bottom, top = (low, high) if high > low else (low - 1, high + 1)
    if 0 <= bottom < 0.6 * top:
        bottom = 0.0
    first, last = points[0][0], points[-1][0]
    scale = _STEPS / (top - bottom)
    path = _path(points, first, bottom, scale)
    days = max(last - first, 1)
    y = [
        Mark(HEIGHT * (1 - (tick - bottom) / (top - bottom)), short(tick))
        for tick in ticks(bottom, top, 4)
    ]
    x = list(_date_marks(first, last))
    return Daily(
        "Growth of each day" if is_counter else "Mean of each day",
        path,
        days,
        _STEPS,
        x,
        y,
        short(low),
        short(high),
    )


def profile(statistics: Statistics) -> Profile | None:
    """Return the load profile: the mean of each hour of the week; None without values."""
    pairs = zip(statistics.profile_sums, statistics.profile_counts, strict=True)
    means = [total / count if count else None for total, count in pairs]
    present = [mean for mean in means if mean is not None]
    if not present:
        return None
    low, high = min(present), max(present)
    found: list[list[Cell]] = [[] for _ in range(SHADES)]
    for hour in range(WEEK_HOURS):
        mean = means[hour]
        if mean is not None:
            shade = int((mean - low) / (high - low) * SHADES) if high > low else 0
            weekday, clock = divmod(hour, 24)
            box = (clock * PROFILE_CELL, weekday * PROFILE_CELL, PROFILE_CELL - 1, PROFILE_CELL - 1)
            found[min(shade, SHADES - 1)].append(box)
    peak = max((mean, hour) for hour, mean in enumerate(means) if mean is not None)[1]
    when = f"{WEEKDAYS[peak // 24]} {peak % 24:02}:00"
    return Profile([cells(each) for each in found], short(low), short(high), when)


WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def course(samples: Sequence[Sample]) -> Course | None:
    """Return the course of a run; None if nothing was sent long enough to draw it."""
    if len(samples) < 2 or samples[-1].seconds <= 0 or not samples[-1].sent + samples[-1].retries:
        return None
    end = samples[-1].seconds
    rates = [
        (later.seconds, (later.sent - earlier.sent) / (later.seconds - earlier.seconds))
        for earlier, later in pairwise(samples)
        if later.seconds - earlier.seconds > end / 1000
    ]
    top = max((rate for _, rate in rates), default=0.0) or 1.0
    scale = WIDTH / end
    points = [(seconds * scale, HEIGHT * (1 - rate / top)) for seconds, rate in rates]
    steps = [
        cell
        for earlier, later in pairwise(samples)
        for cell in [(earlier.seconds * scale, (later.seconds - earlier.seconds) * scale, later)]
    ]
    more = [later.retries - earlier.retries for earlier, later in pairwise(samples)]
    retries = [
        (x, HEIGHT + 4, max(width, 1), 7)
        for (x, width, _), count in zip(steps, more, strict=True)
        if count
    ]
    outages = [(x, 0, max(width, 1), HEIGHT) for x, width, sample in steps if sample.waiting]
    return Course(
        line([(0, HEIGHT), *points] if points else []),
        cells(retries),
        cells(outages),
        [Mark(tick * scale, format_duration(tick) if tick else "0") for tick in ticks(0, end, 6)],
        [Mark(HEIGHT * (1 - tick / top), short(tick)) for tick in ticks(0, top, 4)],
        f"{top:,.0f}",
    )


def _means(found: DailyValues) -> Iterator[tuple[int, float]]:
    """Yield the mean of each day."""
    for day, count, total in zip(found.days, found.counts, found.sums, strict=True):
        yield day, total / count


def _growth(found: DailyValues) -> Iterator[tuple[int, float]]:
    """Yield by how much a counter grew on each day; days after a day without rows are left out."""
    pairs = pairwise(zip(found.days, found.lasts, strict=True))
    for (before, earlier), (day, later) in pairs:
        if day == before + 1:
            yield day, later - earlier


def _path(points: Sequence[tuple[int, float]], first: int, bottom: float, scale: float) -> str:
    """Return a line through the values, with breaks where days are missing."""
    heights = [int(_STEPS - (value - bottom) * scale) for _, value in points]
    parts = [f"M{points[0][0] - first} {heights[0]}"]
    previous = points[0][0]
    for (day, _), height in zip(points[1:], heights[1:], strict=True):
        parts.append(
            f"L{day - first} {height}" if day == previous + 1 else f"M{day - first} {height}h.1"
        )
        previous = day
    return "".join(parts)


def _date_marks(first: int, last: int) -> Iterator[Mark]:
    """Yield marks at months or years."""
    span = max(last - first, 1)
    start, end = date_of(first), date_of(last)
    days = list(months(start, end))
    if len(days) > _LABELS:
        days = (
            [day for day in days if day.month == 1]
            if len(days) > 3 * _LABELS
            else days[:: len(days) // _LABELS + 1]
        )
    for day in days or [start]:
        text = f"{day.year}" if day.month == 1 and len(days) > 1 else day.strftime("%b %Y")
        yield Mark((day - start).days / span * WIDTH, text)
