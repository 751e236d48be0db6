"""Rows of repeated hours in all files of a meter, and what was sent of them -> their readings."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from swarm.config.settings import Meter
from swarm.csv.folds.decide import Misfit, decide
from swarm.csv.folds.evidence import Sent
from swarm.csv.folds.files import FIRST, SECOND
from swarm.csv.folds.occurrences import Hour
from swarm.csv.reader import pads
from swarm.csv.scan import FileScan


class SentRows(NamedTuple):
    """Rows that were sent: digests by instant (ms), of some periods; oldest and newest of all."""

    digests: Mapping[int, Collection[int]]
    oldest: int | None = None
    newest: int | None = None


#: Tells what was sent in some periods: each from an instant (ms) on and before another.
Ask = Callable[[Sequence[tuple[int, int]]], SentRows]


@dataclass
class FoldReadings:
    """The readings of rows of repeated hours: for each file, by the start of the hour."""

    files: list[dict[int, bytes]]
    misfits: list[Misfit] = field(default_factory=list)


def readings(meter: Meter, scans: Sequence[FileScan], ask: Ask | None) -> FoldReadings:
    """Return how the rows of all repeated hours are read; ``ask`` tells which of them were sent."""
    found = FoldReadings([{} for _ in scans])
    hours = sorted({run.hour for scan in scans for run in scan.runs}, key=lambda hour: hour.start)
    shift = round(meter.rules.shift * 1000)
    periods = [
        (_sent_at(hour, FIRST, shift)[0], _sent_at(hour, SECOND, shift)[1]) for hour in hours
    ]
    settled = ask(periods) if ask is not None and hours else SentRows({})
    # A packet ahead of all goes unshifted.
    begin = min(_begins(scans), default=0) + (0 if pads(meter.rules) else shift)
    has_grown = settled.oldest is not None and begin <= settled.oldest
    for hour in hours:
        parts = [scan.part(hour) for scan in scans]
        decided = decide(hour, parts, _sent(hour, shift, settled, has_grown=has_grown))
        found.misfits += decided.misfits
        for file, part, read in zip(found.files, parts, decided.readings, strict=True):
            if part.runs:
                file[hour.start] = read
    return found


def _sent_at(hour: Hour, reading: int, shift: int) -> tuple[int, int]:
    """Return the instants that a pass is sent at: from the one on, and before the other."""
    away = shift - hour.offsets[reading]
    return hour.start + away, hour.end + away


def _begins(scans: Sequence[FileScan]) -> Iterator[int]:
    """Yield instants of which the least is not before the files' first row, however it is read."""
    for scan in scans:
        if scan.span.first is not None:
            yield scan.span.first
        for run in scan.runs:
            yield min(run.walls) - run.hour.offsets[SECOND]


def _sent(hour: Hour, shift: int, settled: SentRows, *, has_grown: bool) -> Sent:
    """Return what was sent of an hour, by pass and wall time."""
    passes = [_sent_at(hour, reading, shift) for reading in (FIRST, SECOND)]
    first, second = (
        {
            hour.start + instant - begin: set(digests)
            for instant, digests in settled.digests.items()
            if begin <= instant < end
        }
        for begin, end in passes
    )
    newest, (begin, end) = settled.newest, passes[SECOND]
    return Sent(
        (first, second),
        has_grown=has_grown,
        is_over=newest is not None and newest >= end,
        is_second=newest is not None and begin <= newest < end,
    )


def misfit_notices(meter: Meter, misfits: Sequence[Misfit]) -> Iterator[tuple[int, int, str]]:
    """Yield the file, line and message of rows that can't be read."""
    for misfit in misfits:
        others = [_place(meter, misfit.file, *other) for other in misfit.others[:_NAMED]]
        message = _THIRD.format(" and ".join(others)) if others else _MISFIT
        yield misfit.file, misfit.line, message


def _place(meter: Meter, here: int, file: int, line: int) -> str:
    return f"line {line}" if file == here else f"{meter.files[file]}:{line}"


#: So many other rows of the same time are named.
_NAMED = 2
_MISFIT = (
    "a local time that the clocks repeat: found where it fits neither the first nor the second "
    "pass, expected each pass in order of time; or set ambiguous_time"
)
_THIRD = (
    "a local time that the clocks repeat: found with other values than {}, and nothing that tells "
    "of which pass it is, expected one row for each pass; remove what is wrong, or set "
    "ambiguous_time = first or second"
)
