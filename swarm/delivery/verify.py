"""The first and the last question to the collector: what it held before, and what it holds now."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from swarm.checkpoint.ledger import ACKNOWLEDGED, Ledger, LedgerCursor
from swarm.checkpoint.ledger_format import Baseline, Begun
from swarm.collector.client import LastPacket, LastPacketReply
from swarm.collector.retry import RetryBudget, Verdict
from swarm.delivery.context import CollectorDown, StopRequested, StreamEnded
from swarm.delivery.exchange import Exchange
from swarm.delivery.result import Verified
from swarm.delivery.task import Item, RowItem, Task, is_noted
from swarm.packet import marked

#: The instants (ms) of which the collector's last packet can be, each with its row where it is at
#: hand. They are two after rows were sent late: some collectors tell the last by time, others the
#: last that came.
Expected = dict[int, Item | None]

#: Begins a pass over all rows of a meter's files, in order of time.
Rows = Callable[[], Iterable[RowItem]]

_TRIES = 3
_FIRST_WAIT = 0.5
#: A collector that answers so does not offer the question.
_NOT_OFFERED = frozenset({405, 501})


class CollectorState(NamedTuple):
    """The collector's state of a stream without a checkpoint; ``last`` is None for nothing."""

    last: LastPacket | None
    notice: str | None = None


def check_before_first(task: Task, exchange: Exchange, rows: Rows) -> CollectorState:
    """Ask what the collector holds of a stream without a checkpoint.

    The stream ends where the answer can't be read, and, but for ``--adopt``, where the last packet
    is not older than the first row: only its user knows what was sent.
    """
    question = exchange.ask_last_packet(RetryBudget(task.upload.retry_for), None)
    if not question.is_known:
        return _without_answer(task, exchange, question)
    last = question.last
    if last is None or task.upload.adopt:
        return CollectorState(last)
    head = next(iter(rows()), None)
    if head is not None and head.instant <= last.instant:
        message = (
            f"no checkpoint in {task.state} says what was sent, but the collector holds packets of "
            f"this stream up to {_time(last)}, and the files begin at or before that; {_WAYS_ON}"
        )
        exchange.end_stream("no checkpoint", message, 3, head.where)
    return CollectorState(last)


_WAYS_ON = (
    "if these rows were sent before, --adopt takes those up to that packet as acknowledged and "
    "goes on behind it; if they were not, as with old readings for a stream that also gets live "
    "data, --restart sends all from the first row"
)


def _without_answer(task: Task, exchange: Exchange, question: LastPacketReply) -> CollectorState:  # noqa: RET503
    outcome = question.outcome
    if outcome.verdict is Verdict.NOT_ALLOWED and outcome.status not in _NOT_OFFERED:
        exchange.recover(outcome, RetryBudget(0), None)
    if outcome.verdict is Verdict.NOT_ALLOWED and not task.upload.adopt:
        return CollectorState(
            None,
            f"{task.meter.id}: the collector does not offer the question for a stream's last "
            f"packet ({outcome.detail}): no checkpoint says what was sent, nor does it",
        )
    message = (
        "the collector's answer to the question for the stream's last packet can't be read "
        f"({outcome.detail}), and no checkpoint in {task.state} says what was sent; see "
        "whether the URL is right and try again, or send all from the first row with --restart"
    )
    exchange.end_stream("no checkpoint", message, 5, status=outcome.status)


def baseline(last: LastPacket | None) -> Baseline:
    """Return what is noted of the collector's last packet when a stream is begun anew."""
    if last is None:
        return Baseline()
    return Baseline(Begun.HELD, last.instant, *marked(last.fields))


def first_unrecorded(
    task: Task, ledger: Ledger, last: LastPacket | None, head: RowItem, rows: Rows
) -> RowItem | None:
    """Return the row of the files that the collector's last packet is, if the ledger has none.

    Then the checkpoint has fallen behind, as one that was restored from a backup has. The row is
    known by its instant, as its values may have been corrected since; where the ledger has other
    values at that instant, by all it has. ``head`` is the first row that needs a packet.
    """
    if last is None or last.instant > task.newest:
        return None
    is_known = _is_known(ledger, last)
    if is_known and head.instant > last.instant:
        return None
    row = next((row for row in rows() if row.instant >= last.instant), None)
    if row is None or row.instant != last.instant:
        return None
    return row if not is_known or _is_sent_since(ledger, row, last) else None


def _is_known(ledger: Ledger, last: LastPacket) -> bool:
    held = ledger.baseline.held
    if ledger.newest == last.instant or (held is not None and is_noted(held, last)):
        return True
    return any(instant == last.instant for instant, _ in ledger.doubts) or any(
        entry.instant == last.instant and entry.kind == ACKNOWLEDGED for entry in ledger.entries()
    )


def _is_sent_since(ledger: Ledger, row: RowItem, last: LastPacket) -> bool:
    """Tell whether a row is the collector's last packet, where the ledger has older values of it.

    What is in doubt, or was there before the stream was begun anew, tells nothing.
    """
    held = ledger.baseline.held
    if not row.is_same(last) or (held is not None and is_noted(held, last)):
        return False
    if any(instant == last.instant for instant, _ in ledger.doubts):
        return False
    there = [entry for entry in ledger.entries() if entry.instant == last.instant]
    return bool(there) and all(entry.digest != row.digest for entry in there)


def end_fallen_behind(task: Task, exchange: Exchange, row: RowItem) -> None:
    """End the stream whose checkpoint has fallen behind: ``row`` is the collector's last packet."""
    message = (
        f"the checkpoint in {task.state} does not know this row, which is the collector's last "
        "packet: it has fallen behind, as one restored from a backup has, or another state folder "
        f"was used since; {_WAYS_ON}"
    )
    exchange.end_stream("no checkpoint", message, 3, row.where)


def rows_until(
    last: LastPacket, rows: Iterable[RowItem], record: LedgerCursor
) -> Iterator[tuple[int, int]]:
    """Yield instant and digest of all rows up to the collector's last packet, but recorded ones."""
    for row in rows:
        if row.instant > last.instant:
            return
        if record.lookup(row.instant, row.digest) is None:
            yield row.instant, row.digest


def verify(exchange: Exchange, expected: Expected) -> Verified:
    """Ask whether the collector's last packet is one that it may be."""
    verified: Verified = "unknown"
    with suppress(StreamEnded, StopRequested, CollectorDown):
        for attempt in range(_TRIES if expected else 0):
            verified = _compared(exchange, expected)
            if verified != "no":
                break
            if attempt < _TRIES - 1:
                exchange.pause(_FIRST_WAIT * 2**attempt)
    return verified


def _compared(exchange: Exchange, expected: Expected) -> Verified:
    question = exchange.ask_last_packet_once()
    last = question.last
    if not question.is_known:
        return "unknown"
    if last is None:
        return "no"
    if last.instant in expected:
        item = expected[last.instant]
        return "yes" if item is None or item.is_same(last) else "no"
    return "newer" if last.instant > max(expected) else "no"


def _time(last: LastPacket) -> object:
    return last.fields.get("tsISO8601")
