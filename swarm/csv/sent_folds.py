"""The folds of rows in repeated hours, from all files of a meter and the rows that were sent."""

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
    """Rows that were sent.

    ``digests`` are those of the rows in some periods, by instant (ms); ``oldest`` and ``newest``
    are the first and last instant of all rows.
    """

    digests: Mapping[int, Collection[int]]
    oldest: int | None = None
    newest: int | None = None


#: Returns the rows that were sent in some periods, each (start, end) in ms with the end excluded.
Ask = Callable[[Sequence[tuple[int, int]]], SentRows]


@dataclass
class MeterFolds:
    """The folds of the rows in repeated hours, for each file by the start of the hour.

    ``misfits`` are the rows whose fold can't be decided.
    """

    files: list[dict[int, bytes]]
    misfits: list[Misfit] = field(default_factory=list)


def decide_folds(
    meter: Meter,
    scans: Sequence[FileScan],
    ask: Ask | None,
    decided_before: Sequence[Mapping[int, bytes]] = (),
) -> MeterFolds:
    """Return the folds of the rows of all repeated hours; ``ask`` returns what was sent of them.

    ``decided_before`` are those of the first files, for hours that stay as they are.
    """
    found = MeterFolds([{} for _ in scans])
    for file, folds_before in zip(found.files, decided_before, strict=False):
        file.update(folds_before)
    known = {hour for folds_before in decided_before for hour in folds_before}
    hours = sorted(
        {run.hour for scan in scans for run in scan.runs if run.hour.start not in known},
        key=lambda hour: hour.start,
    )
    shift = round(meter.rules.shift * 1000)
    periods = [
        (_sent_at(hour, FIRST, shift)[0], _sent_at(hour, SECOND, shift)[1]) for hour in hours
    ]
    sent = ask(periods) if ask is not None and hours else SentRows({})
    # A bound for the first row of the files, whatever its fold.
    starts = [scan.checked_file.first for scan in scans if scan.checked_file.first is not None]
    starts += [min(run.walls) - run.hour.offsets[SECOND] for scan in scans for run in scan.runs]
    # A padding packet is sent at the unshifted time of the first row.
    start = min(starts, default=0) + (0 if pads(meter.rules) else shift)
    has_grown = sent.oldest is not None and start <= sent.oldest
    for hour in hours:
        parts = [scan.part(hour) for scan in scans]
        decided = decide(hour, parts, _sent_of(hour, shift, sent, has_grown=has_grown))
        found.misfits += decided.misfits
        for file, part, folds in zip(found.files, parts, decided.folds, strict=True):
            if part.runs:
                file[hour.start] = folds
    return found


def _sent_at(hour: Hour, fold: int, shift: int) -> tuple[int, int]:
    """Return the first instant at which rows of a pass are sent, and the end of the pass."""
    to_sent = shift - hour.offsets[fold]
    return hour.start + to_sent, hour.end + to_sent


def _sent_of(hour: Hour, shift: int, sent: SentRows, *, has_grown: bool) -> Sent:
    """Return the rows of an hour that were sent, by fold and wall time."""
    passes = [_sent_at(hour, fold, shift) for fold in (FIRST, SECOND)]
    first, second = (
        {
            hour.start + instant - start: set(digests)
            for instant, digests in sent.digests.items()
            if start <= instant < end
        }
        for start, end in passes
    )
    newest, (start, end) = sent.newest, passes[SECOND]
    return Sent(
        (first, second),
        has_grown=has_grown,
        is_over=newest is not None and newest >= end,
        is_second=newest is not None and start <= newest < end,
    )


def misfit_notices(meter: Meter, misfits: Sequence[Misfit]) -> Iterator[tuple[int, int, str]]:
    """Yield the file index, line and message of each row whose fold can't be decided."""
    for misfit in misfits:
        others = [
            f"line {line}" if file == misfit.file else f"{meter.files[file]}:{line}"
            for file, line in misfit.others[:_NAMED]
        ]
        message = _THIRD.format(" and ".join(others)) if others else _MISFIT
        yield misfit.file, misfit.line, message


#: The number of other rows of the same time that a message names.
_NAMED = 2
_MISFIT = (
    "a local time that the clocks repeat: found at a place that fits neither the first nor the "
    "second pass, expected each pass in order of time; or set ambiguous_time"
)
_THIRD = (
    "a local time that the clocks repeat: found other values than in {}, and nothing shows which "
    "pass this row belongs to, expected one row for each pass; remove the wrong row, or set "
    "ambiguous_time = first or second"
)
