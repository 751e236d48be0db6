"""Pictures of a stream: its days as a calendar, its last values as a graph.

Nothing is kept per packet: the store is asked, in short steps, for streams that a page shows.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from swarm.sandbox.store import Store
from swarm.sandbox.validate import as_text
from swarm.text import format_time, pluralize
from swarm.web.calendar import MOST_YEARS, calendar, runs_of
from swarm.web.svg import line, short, ticks

Picture = dict[str, Any]

#: Packets that a graph shows.
LAST_VALUES: Final = 200

# The packets that one step counts: about a millisecond.
_STEP: Final = 5000
_MOST_DAYS: Final = MOST_YEARS * 366
_NEVER: Final = -(10**15)
# The least shares of the busiest day's packets.
_FULL: Final = 0.95
_MOST: Final = 0.5

#: The size (px) of a day's cell.
_CELL: Final = 8
_WIDTH: Final = 460
_HEIGHT: Final = 120
_LEFT: Final = 50
_RIGHT: Final = 8
_TOP: Final = 8
_BOTTOM: Final = 22
# A step longer than so many usual ones breaks the line.
_BREAK: Final = 2.5


class Days:
    """The packets of a stream on each day, counted as far as the stream was read."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self._counted = 0
        self._upto = _NEVER

    def count(self, store: Store, stream: str) -> Iterator[None]:
        """Count the packets that are new, in steps; count all again if some came late."""
        yield from self._read(store, stream)
        found = store.stream(stream)
        if found and found.packets != self._counted:
            self.counts, self._counted, self._upto = Counter(), 0, _NEVER
            yield
            yield from self._read(store, stream)

    def _read(self, store: Store, stream: str) -> Iterator[None]:
        while True:
            days = store.days(stream, self._upto, _STEP)
            found = sum(day.packets for day in days)
            self.counts.update({day.day: day.packets for day in days})
            self._counted += found
            self._upto = max([self._upto, *(day.last for day in days)])
            if found < _STEP:
                return
            yield


class _Value(NamedTuple):
    instant: int
    value: float


def days_picture(counts: Counter[int]) -> Picture:
    """Return the calendar of a stream, with a text for those who don't see it."""
    last = max(counts)
    first = max(min(counts), last - _MOST_DAYS)
    busiest = max(counts.values())
    kinds = [_kind(counts[day] / busiest) for day in range(first, last + 1)]
    drawn = calendar(list(runs_of(kinds, first)), _CELL)
    missing = kinds.count("none")
    label = f"A cell a day: {missing:,} of {len(kinds):,} days without packets"
    return {**drawn._asdict(), "label": label, "busiest": f"{busiest:,}"}


def _kind(share: float) -> str:
    if share >= _FULL:
        return "full"
    if share >= _MOST:
        return "most"
    return "some" if share else "none"


def values_picture(packets: Sequence[tuple[int, str]]) -> Picture:
    """Return the graph of the first measurement of packets, in order of time."""
    fields = [json.loads(text, parse_int=float) for _, text in packets]
    name = list(fields[-1])[2]
    # A stream may change between packets of one value and of registers.
    values = [
        _Value(instant, each[name])
        for (instant, _), each in zip(packets, fields, strict=True)
        if name in each
    ]
    low, high = min(each.value for each in values), max(each.value for each in values)
    marks = [(_y(mark, low, high), short(mark)) for mark in ticks(low, high, 4)]
    first, last = values[0].instant, values[-1].instant
    number = pluralize(len(values), "packet")
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "path": line(_points(values, low, high)),
        "rules": "".join(f"M{_LEFT} {y:g}h{_WIDTH - _LEFT - _RIGHT}" for y, _ in marks),
        "texts": [(_LEFT - 6, y + 4, "end", text) for y, text in marks]
        + [(_LEFT, _HEIGHT - 4, "start", time_text(first))]
        + [(_WIDTH - _RIGHT, _HEIGHT - 4, "end", time_text(last))] * (last > first),
        "label": f"{name} of the last {number}: {short(low)} to {short(high)}",
        "name": name,
        "packets": number,
        "latest": short(values[-1].value),
    }


def _points(values: Sequence[_Value], low: float, high: float) -> list[tuple[float, float] | None]:
    steps = sorted(after.instant - before.instant for before, after in pairwise(values))
    usual = steps[len(steps) // 2] if steps else 0
    first, span = values[0].instant, values[-1].instant - values[0].instant
    points: list[tuple[float, float] | None] = []
    before = first
    for instant, value in values:
        if instant - before > _BREAK * usual:
            points.append(None)
        share = (instant - first) / span if span else 0.5
        points.append((_LEFT + share * (_WIDTH - _LEFT - _RIGHT), _y(value, low, high)))
        before = instant
    return points


def _y(value: float, low: float, high: float) -> float:
    """Return where a value is; halves, as the distance of two doubles may be none."""
    span = high / 2 - low / 2
    share = (value / 2 - low / 2) / span if span else 0.5
    return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP), 1)


def time_text(instant: int) -> str:
    """Return an instant (ms since the epoch) for people, in UTC."""
    return format_time(as_text(instant))
