"""The questions at both ends of a stream: what the collector held before, what it holds now."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from swarm.checkpoint.cursor import ALTERED, UNKNOWN, LedgerCursor
from swarm.checkpoint.ledger import ACKNOWLEDGED, Ledger
from swarm.checkpoint.ledger_format import Baseline, Origin
from swarm.collector.client import LastPacket
from swarm.collector.retry import Verdict
from swarm.delivery.context import CollectorDown, StopRequested, StreamEnded
from swarm.delivery.exchange import Exchange
from swarm.delivery.result import StreamProblem, Verified
from swarm.delivery.task import Item, ItemBatch, RowItem, Task, is_noted
from swarm.errors import ExitCode
from swarm.packet import marked

#: The instants (ms) that the collector's last packet can have, each with its row if it was read.
#: There are two after late rows were sent: the last packet is the newest, or the one sent last.
Expected = dict[int, Item | None]

#: Begins a pass over all rows of a meter's files, in order of time.
Rows = Callable[[], Iterable[ItemBatch]]

_TRIES = 3
_FIRST_WAIT = 0.5
#: The statuses of a collector that does not offer the question.
_NOT_OFFERED = frozenset({405, 501})
_WAYS_ON = (
    "if these rows were sent before, --adopt treats the rows up to that packet as acknowledged and "
    "continues after it; if they were not (such as old readings for a stream that also gets live "
    "data), --restart sends everything from the first row"
)


class CollectorState(NamedTuple):
    """The last packet that the collector holds of a stream.

    None if it holds none, or, with a ``notice``, if it does not offer the question.
    """

    last: LastPacket | None
    notice: str | None = None


def check_before_first(task: Task, exchange: Exchange, rows: Rows) -> CollectorState:
    """Ask what the collector holds of a stream without a checkpoint.

    The stream ends if the answer can't be read. It also ends, but for ``--adopt``, if the last
    packet is not older than the first row: only the user knows what was sent.
    """
    reply = exchange.ask_last_packet()
    if reply.is_known:
        last = reply.last
        head = None if last is None or task.upload.adopt else _first(rows())
        if last is not None and head is not None and head.instant <= last.instant:
            message = (
                f"there is no checkpoint in {task.state}, but the collector holds packets of this "
                f"stream up to {last.fields.get('tsISO8601')}, and the files begin at or before "
                f"that time; {_WAYS_ON}"
            )
            problem = StreamProblem("no checkpoint", message, ExitCode.DATA)
            raise StreamEnded(problem.at(head.place))
        return CollectorState(last)
    outcome = reply.outcome
    if outcome.verdict is Verdict.NOT_ALLOWED:
        if outcome.status not in _NOT_OFFERED:
            exchange.end_refused(outcome)
        message = f"the collector does not return a stream's last packet ({outcome.detail})"
        if not task.upload.adopt:
            notice = f"{message}, and there is no checkpoint: swarm can't know what was sent"
            return CollectorState(None, f"{task.meter.id}: {notice}")
        message += (
            ", so --adopt can't find out which rows were sent; without --adopt, all rows are sent"
        )
    else:
        message = (
            "the collector's answer to the question for the stream's last packet can't be read "
            f"({outcome.detail}), and there is no checkpoint in {task.state}; check the URL and "
            "try again, or send everything from the first row with --restart"
        )
    raise StreamEnded(
        StreamProblem("no checkpoint", message, ExitCode.TEMPORARY, status=outcome.status)
    )


def baseline(last: LastPacket | None) -> Baseline:
    """Return the ledger's note of the collector's last packet at a ``--restart``."""
    if last is None:
        return Baseline()
    return Baseline(Origin.HELD, last.instant, *marked(last.fields))


def missing_last_packet(
    task: Task, ledger: Ledger, last: LastPacket | None, head: RowItem, rows: Rows
) -> RowItem | None:
    """Return the row that is the collector's last packet, if the ledger does not have it.

    Then the checkpoint has fallen behind, like one restored from a backup. The row is known by its
    instant, as its values may have been corrected since. ``head`` is the first row that needs a
    packet.
    """
    if last is None or last.instant > task.newest:
        return None
    is_known = (
        ledger.newest == last.instant
        or _may_be_stored(ledger, last)
        or any(
            entry.instant == last.instant and entry.kind == ACKNOWLEDGED
            for entry in ledger.entries()
        )
    )
    if is_known and head.instant > last.instant:
        return None
    row = _first(rows(), last.instant)
    if row is None or row.instant != last.instant:
        return None
    return row if not is_known or _has_older_values(ledger, row, last) else None


def _may_be_stored(ledger: Ledger, last: LastPacket) -> bool:
    """Return True if the last packet may be a row in doubt, or from before a ``--restart``."""
    held = ledger.baseline.held
    if held is not None and is_noted(held, last):
        return True
    return any(instant == last.instant for instant, _ in ledger.unresolved)


def _has_older_values(ledger: Ledger, row: RowItem, last: LastPacket) -> bool:
    """Return True if the last packet is a row of which the ledger has only other values."""
    if _may_be_stored(ledger, last) or not row.is_same(last):
        return False
    digests = [entry.digest for entry in ledger.entries() if entry.instant == last.instant]
    return bool(digests) and row.digest not in digests


def fallen_behind(task: Task, row: RowItem) -> StreamEnded:
    """Return the end of a stream whose checkpoint lacks ``row``, the collector's last packet."""
    message = (
        f"the collector's last packet is this row, but the checkpoint in {task.state} does not "
        "contain it: the checkpoint is out of date (for example restored from a backup), or "
        f"another state folder was used since; {_WAYS_ON}"
    )
    return StreamEnded(StreamProblem("no checkpoint", message, ExitCode.DATA).at(row.place))


def _first(batches: Iterable[ItemBatch], instant: int | None = None) -> RowItem | None:
    """Return the first row, or the first one that is not older than an instant (ms)."""
    for batch in batches:
        index = 0 if instant is None else bisect_left(batch.instants, instant)
        if index < len(batch.instants):
            return batch.item(index)
    return None


def rows_until(
    last: LastPacket, batches: Iterable[ItemBatch], cursor: LedgerCursor
) -> Iterator[tuple[int, int]]:
    """Yield instant and digest of the rows up to the last packet that are not recorded yet."""
    for batch in batches:
        kinds = cursor.lookup(batch.instants, batch.digests)
        for instant, digest, kind in zip(batch.instants, batch.digests, kinds, strict=True):
            if instant > last.instant:
                return
            if kind in {UNKNOWN, ALTERED}:
                yield instant, digest


def verify(exchange: Exchange, expected: Expected) -> Verified:
    """Ask the collector for its last packet, up to three times, and compare it with the rows."""
    verified: Verified = "unknown"
    with suppress(StreamEnded, StopRequested, CollectorDown):
        for attempt in range(_TRIES if expected else 0):
            reply = exchange.ask_last_packet_once()
            last = reply.last
            if not reply.is_known:
                return "unknown"
            if last is not None and last.instant in expected:
                item = expected[last.instant]
                verified = "yes" if item is None or item.is_same(last) else "no"
            else:
                is_newer = last is not None and last.instant > max(expected)
                verified = "newer" if is_newer else "no"
            if verified != "no":
                break
            if attempt < _TRIES - 1:
                exchange.pause(_FIRST_WAIT * 2**attempt)
    return verified
