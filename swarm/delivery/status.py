"""The status of one stream: its rows compared with the ledger, and the collector's last packet.

Nothing is written and nothing is locked: a run that sends the stream can continue meanwhile.
"""

from bisect import bisect_right
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from swarm.checkpoint.cursor import ALTERED, UNKNOWN, LedgerCursor
from swarm.checkpoint.ledger import ACKNOWLEDGED, REJECTED, Ledger
from swarm.collector.retry import ANSWERED, RetryBudget, Verdict, backoff
from swarm.delivery.context import (
    CollectorDown,
    Context,
    StopRequested,
    StreamEnded,
    stop_problem,
    unauthorized,
)
from swarm.delivery.exchange import Exchange
from swarm.delivery.result import StreamProblem
from swarm.delivery.resume import changed_series
from swarm.delivery.settled import known_records
from swarm.delivery.task import Task, files_problem
from swarm.errors import ExitCode, FileChangedError, StateError
from swarm.localtime import Zone
from swarm.packet import instant_of, timestamp
from swarm.scheduler import THREADS, Scheduler

_TRIES = 3
#: The longest wait (s) before the collector is asked again: a person waits for the result.
_LONGEST_WAIT = 2.0
_MILLISECOND = timedelta(milliseconds=1)
#: Answers that `Exchange.recover` handles: by a new session, or by the end of the stream.
_REFUSALS = frozenset({Verdict.UNAUTHORIZED, Verdict.REDIRECTED, Verdict.UNTRUSTED})
_NOT_ASKED = "the collector can't be asked for its last packet"


@dataclass(frozen=True)
class StreamStatus:
    """The status of a stream; times as in packets, None if there is none.

    ``rows = acknowledged + waiting + rejected + late + filtered``, counted as an upload would;
    None if that is not known. ``invalid`` is what is wrong with the files, ``problems`` are the
    others.
    """

    id: str
    rows: int
    acknowledged: int | None = None
    waiting: int | None = None
    rejected: int | None = None
    late: int | None = None
    filtered: int | None = None
    last_acknowledged: str | None = None
    collector_last: str | None = None
    invalid: StreamProblem | None = None
    problems: tuple[StreamProblem, ...] = ()


def read_status(task: Task, context: Context) -> StreamStatus:
    """Return the status of a stream, with the collector's last packet."""
    status = _read_checkpoint(task, context.scheduler)
    try:
        return replace(status, collector_last=_ask(task, context))
    except StreamEnded as end:
        problem = end.problem
    except StopRequested as stop:
        problem = stop_problem(task, stop)
    except CollectorDown as error:
        problem = StreamProblem("temporary", f"{_NOT_ASKED}: {error.detail}", error.exit_code)
    if problem.kind == "unauthorized":
        # The same message for all streams of the user: they have the same cause.
        problem = replace(problem, message=unauthorized(task.access.username))
    return replace(status, problems=(*status.problems, problem))


def read_status_offline(task: Task, _context: Context) -> StreamStatus:
    """Return the status of a stream as far as this machine knows it."""
    return _read_checkpoint(task, THREADS)


def _read_checkpoint(task: Task, scheduler: Scheduler) -> StreamStatus:
    status = StreamStatus(task.meter.id, task.checked.rows, invalid=files_problem(task.checked))
    try:
        known = known_records(task.meter, task.ledger) if task.checked.settled else None
        ledger = Ledger.view(task.ledger, task.meter.id, known)
        if ledger is None:
            return _count(task, status, None, scheduler)
        with closing(ledger):
            status = replace(status, last_acknowledged=_newest(task, ledger))
            return _count(task, status, ledger, scheduler)
    except StateError as error:
        problem = StreamProblem.of("state", error)
    except FileChangedError as error:
        problem = StreamProblem.of("file changed", error)
    return replace(status, problems=(problem,))


def _count(
    task: Task, status: StreamStatus, ledger: Ledger | None, scheduler: Scheduler
) -> StreamStatus:
    if not task.checked.is_sound:
        return status
    if ledger is None:
        counts = Counter(waiting=task.checked.packets)
    else:
        counts = _kinds(task, ledger, scheduler)
        if task.checked.settled:
            counts["acknowledged"] += task.checked.settled.packets
    message = changed_series(counts["altered"], counts["acknowledged"], "an upload sends nothing")
    return replace(
        status,
        acknowledged=counts["acknowledged"],
        waiting=counts["waiting"],
        rejected=counts["rejected"],
        late=counts["late"] + counts["altered"],
        filtered=task.checked.filtered,
        problems=(StreamProblem("late", message, ExitCode.DATA),) if message else (),
    )


def _kinds(task: Task, ledger: Ledger, scheduler: Scheduler) -> Counter[str]:
    """Return the number of rows after the settled part of each kind for an upload.

    A late row that was sent with other values is ``altered``.
    """
    kinds: Counter[str] = Counter()
    cursor = LedgerCursor(ledger.runs(task.settled_until))
    newest = None if task.upload.late == "send" else ledger.newest
    for batch in task.batches(task.unsettled_reader(scheduler)):
        found = cursor.lookup(batch.instants, batch.digests)
        first_new = 0 if newest is None else bisect_right(batch.instants, newest)
        late, new = Counter(found[:first_new]), Counter(found[first_new:])
        kinds["acknowledged"] += late[ACKNOWLEDGED] + new[ACKNOWLEDGED]
        kinds["rejected"] += late[REJECTED] + new[REJECTED]
        kinds["waiting"] += new[UNKNOWN] + new[ALTERED]
        kinds["late"] += late[UNKNOWN]
        kinds["altered"] += late[ALTERED]
    return kinds


def _newest(task: Task, ledger: Ledger) -> str | None:
    """Return the time of the newest acknowledged row, even if no file has it any more."""
    instant, rules, ends = ledger.newest, task.meter.rules, task.checked.ends
    if instant is None:
        return None
    if rules.utc or rules.timezone is None or rules.has_offsets:
        # The ledger does not hold offsets of the CSV: use that of the last row.
        return timestamp(instant, ends[-1].offset if ends else 0)
    return timestamp(instant, Zone(rules.timezone).offset_at(instant))


def _ask(task: Task, context: Context) -> str | None:
    """Return the time of the collector's last packet.

    Raises `StreamEnded`, `StopRequested` or `CollectorDown`.
    """
    exchange = Exchange(task.target, task.upload, context)
    attempt = 0
    try:
        while True:
            reply = exchange.ask_last_packet_once()
            outcome = reply.outcome
            detail, status = f"{_NOT_ASKED}: {outcome.detail}", outcome.status
            if reply.is_known:
                return reply.last and as_sent(str(reply.last.fields["tsISO8601"]))
            # During an outage one stream probes for all: `wait_for_turn` waits.
            if outcome.verdict is Verdict.UNREACHABLE:
                continue
            if outcome.verdict in ANSWERED:
                refused = StreamProblem("refused", detail, ExitCode.REFUSED, status=status)
                raise StreamEnded(refused)
            if outcome.verdict in _REFUSALS:
                exchange.recover(outcome, RetryBudget(0), None)
            elif attempt + 1 == _TRIES:
                failed = StreamProblem("temporary", detail, ExitCode.TEMPORARY, status=status)
                raise StreamEnded(failed)
            else:
                exchange.pause(min(outcome.wait or backoff(attempt), _LONGEST_WAIT))
            attempt += 1
    finally:
        exchange.release_slot()


def as_sent(text: str) -> str:
    """Return an ISO 8601 time as packets have it; ValueError if it has no offset."""
    offset = datetime.fromisoformat(text).utcoffset() or timedelta()
    return timestamp(instant_of(text), offset // _MILLISECOND)
