"""Rows of a repeated hour that were sent keep their reading when the file grows.

Only where the count of every time decides (see `RepeatedHours`) can what comes later change what
an earlier row means: sent as the second of its time, it would now be the first.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from swarm.csvtimes import Counted
from swarm.packet import body, digest
from swarm.settings import Meter
from swarm.timeorder import MeterReader, Span, Window

#: Returns the digests of what was sent at each of some instants (ms), where anything was.
Sent = Callable[[Collection[int]], Mapping[int, Collection[int]]]


def kept(
    meter: Meter,
    spans: tuple[Span, ...],
    registers: tuple[str, ...],
    counted: Mapping[int, tuple[Counted, ...]],
    sent: Sent,
) -> tuple[Span, ...]:
    """Return the spans with the times of which the first row went out as the second.

    ``counted`` are the times that the count decides, by the number of the file. Raises
    `FileChangedError`.
    """
    every = [each for times in counted.values() for each in times]
    known = sent({instant for each in every for instant in (each.first, each.second)})
    second = {
        each.first: known[each.second]
        for each in every
        if each.second in known and each.first not in known
    }
    if not second:
        return spans
    moved = {
        (row.file, row.instant)
        for row in MeterReader(meter, spans, Window()).rows()
        if row.instant in second and digest(body(registers, row.cells)) in second[row.instant]
    }
    return tuple(
        replace(span, swapped=_walls(counted.get(file, ()), file, moved))
        for file, span in enumerate(spans)
    )


def _walls(
    times: tuple[Counted, ...], file: int, moved: Collection[tuple[int, int]]
) -> frozenset[int]:
    return frozenset(each.wall for each in times if (file, each.first) in moved)
