"""The first and the last question to the collector: what it held before, and what it holds now."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from swarm.checkpoint.ledger import ACKNOWLEDGED, Ledger, Record
from swarm.checkpoint.ledger_format import Baseline, Begun
from swarm.collector.client import Last, Question
from swarm.collector.retry import Patience, Verdict
from swarm.delivery.context import Down, Ended, Halted
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


class First(NamedTuple):
    """The collector's state of a stream without a checkpoint; ``last`` is None for nothing."""

    last: Last | None
    notice: str | None = None


def first(task: Task, exchange: Exchange, rows: Rows) -> First:
    """Ask what the collector holds of a stream without a checkpoint.

    The stream ends where the answer can't be read, and, but for ``--adopt``, where the last packet
    is not older than the first row: only its user knows what was sent.
    """
    question = exchange.ask(Patience(task.upload.retry_for), None)
    if not question.is_known:
        return _without_answer(task, exchange, question)
    last = question.last
    if last is None or task.upload.adopt:
        return First(last)
    head = next(iter(rows()), None)
    if head is not None and head.instant <= last.instant:
        message = (
            f"no checkpoint in {task.state} says what was sent, but the collector holds packets of "
            f"this stream up to {_time(last)}, and the files begin at or before that; {_WAYS_ON}"
        )
        exchange.stop("no checkpoint", message, 3, head.where)
    return First(last)


_WAYS_ON = (
    "if these rows were sent before, --adopt takes those up to that packet as acknowledged and "
    "goes on behind it; if they were not, as with old readings for a stream that also gets live "
    "data, --restart sends all from the first row"
)


def _without_answer(task: Task, exchange: Exchange, question: Question) -> First:  # noqa: RET503
    outcome = question.outcome
    if outcome.verdict is Verdict.REFUSED and outcome.status not in _NOT_OFFERED:
        exchange.get_over(outcome, Patience(0), None)
    if outcome.verdict is Verdict.REFUSED and not task.upload.adopt:
        return First(
            None,
            f"{task.meter.id}: the collector does not offer the question for a stream's last "
            f"packet ({outcome.words}): no checkpoint says what was sent, nor does it",
        )
    message = (
        "the collector's answer to the question for the stream's last packet can't be read "
        f"({outcome.words}), and no checkpoint in {task.state} says what was sent; see whether the "
        "URL is right and try again, or send all from the first row with --restart"
    )
    exchange.stop("no checkpoint", message, 5, status=outcome.status)


def baseline(last: Last | None) -> Baseline:
    """Return what is noted of the collector's last packet when a stream is begun anew."""
    if last is None:
        return Baseline()
    return Baseline(Begun.HELD, last.instant, *marked(last.fields))


def unknown(
    task: Task, ledger: Ledger, last: Last | None, head: RowItem, rows: Rows
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


def _is_known(ledger: Ledger, last: Last) -> bool:
    held = ledger.baseline.held
    if ledger.newest == last.instant or (held is not None and is_noted(held, last)):
        return True
    return any(instant == last.instant for instant, _ in ledger.doubts) or any(
        entry.instant == last.instant and entry.kind == ACKNOWLEDGED for entry in ledger.entries()
    )


def _is_sent_since(ledger: Ledger, row: RowItem, last: Last) -> bool:
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


def fallen_behind(task: Task, exchange: Exchange, row: RowItem) -> None:
    """End the stream whose checkpoint has fallen behind: ``row`` is the collector's last packet."""
    message = (
        f"the checkpoint in {task.state} does not know this row, which is the collector's last "
        "packet: it has fallen behind, as one restored from a backup has, or another state folder "
        f"was used since; {_WAYS_ON}"
    )
    exchange.stop("no checkpoint", message, 3, row.where)


def adopted(last: Last, rows: Iterable[RowItem], record: Record) -> Iterator[tuple[int, int]]:
    """Yield instant and digest of all rows up to the collector's last packet, but recorded ones."""
    for row in rows:
        if row.instant > last.instant:
            return
        if record.at(row.instant, row.digest) is None:
            yield row.instant, row.digest


def verify(exchange: Exchange, expected: Expected) -> Verified:
    """Ask whether the collector's last packet is one that it may be."""
    verified: Verified = "unknown"
    with suppress(Ended, Halted, Down):
        for attempt in range(_TRIES if expected else 0):
            verified = _compared(exchange, expected)
            if verified != "no":
                break
            if attempt < _TRIES - 1:
                exchange.pause(_FIRST_WAIT * 2**attempt)
    return verified


def _compared(exchange: Exchange, expected: Expected) -> Verified:
    question = exchange.ask_once()
    last = question.last
    if not question.is_known:
        return "unknown"
    if last is None:
        return "no"
    if last.instant in expected:
        item = expected[last.instant]
        return "yes" if item is None or item.is_same(last) else "no"
    return "newer" if last.instant > max(expected) else "no"


def _time(last: Last) -> object:
    return last.fields.get("tsISO8601")
