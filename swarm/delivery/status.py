"""The status of one stream: its rows against the ledger, and the collector's own last packet.

Nothing is written and nothing is locked: a run that sends the stream may go on meanwhile.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from swarm.checkpoint.ledger import ACKNOWLEDGED, REJECTED, Ledger, LedgerCursor
from swarm.collector.client import Outcome
from swarm.collector.retry import RetryBudget, Verdict, backoff
from swarm.delivery.context import CollectorDown, Context, StopRequested, StreamEnded, stop_problem
from swarm.delivery.exchange import Exchange
from swarm.delivery.result import StreamProblem
from swarm.delivery.resume import changed_series
from swarm.delivery.task import Task, invalid
from swarm.errors import FileChangedError, StateError
from swarm.localtime import Zone
from swarm.packet import instant_of, timestamp
from swarm.scheduler import THREADS, Scheduler

_TRIES = 3
#: The longest wait (s) before the collector is asked again; a person is looking.
_LONGEST_WAIT = 2.0
_MILLISECOND = timedelta(milliseconds=1)
#: What an upload does not get over either, but by a fresh session.
_REFUSALS = frozenset({Verdict.UNAUTHORIZED, Verdict.REDIRECTED, Verdict.UNTRUSTED})
#: Answers that do not change by asking again.
_ANSWERS = frozenset({Verdict.ACKNOWLEDGED, Verdict.NOT_ALLOWED, Verdict.REJECTED})


@dataclass(frozen=True)
class StreamStatus:
    """The status of a stream; times as in packets, None where there is none.

    ``rows = acknowledged + waiting + rejected + late + filtered``, each as an upload would have
    it; None where that is not known. ``invalid`` is what is wrong with the files, ``problems``
    what else stood in the way.
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
    """Return how a stream stands, here and with the collector."""
    standing = _look_here(task, context.scheduler)
    try:
        return replace(standing, collector_last=_ask(task, context))
    except StreamEnded as end:
        problem = end.problem
    except StopRequested:
        problem = stop_problem(task, context)
    except CollectorDown as error:
        message = f"the collector can't be asked for its last packet: {error.detail}"
        problem = StreamProblem("temporary", message, error.exit_code)
    if problem.kind == "unauthorized":
        # In the same words for all of its streams: it is one cause.
        user = task.access.username
        message = f"the collector does not accept the credentials of {user}"
        problem = replace(problem, message=message)
    return replace(standing, problems=(*standing.problems, problem))


def read_status_offline(task: Task, _context: Context) -> StreamStatus:
    """Return how a stream stands as far as this machine knows."""
    return _look_here(task, THREADS)


def _look_here(task: Task, scheduler: Scheduler) -> StreamStatus:
    standing = StreamStatus(task.meter.id, task.survey.rows, invalid=invalid(task.survey))
    try:
        ledger = Ledger.view(task.ledger, task.meter.id)
        if ledger is None:
            return _counted(task, standing, None, scheduler)
        with closing(ledger):
            standing = replace(standing, last_acknowledged=_newest(task, ledger))
            return _counted(task, standing, ledger, scheduler)
    except StateError as error:
        problem = StreamProblem("state", str(error), error.exit_code)
    except FileChangedError as error:
        problem = StreamProblem("file changed", str(error), error.exit_code)
    return replace(standing, problems=(problem,))


def _counted(
    task: Task, standing: StreamStatus, ledger: Ledger | None, scheduler: Scheduler
) -> StreamStatus:
    if not task.survey.is_sound:
        return standing
    counts = (
        Counter(_kinds(task, ledger, scheduler)) if ledger else Counter(waiting=task.survey.packets)
    )
    message = changed_series(counts["altered"], counts["acknowledged"], "an upload sends nothing")
    problems = (StreamProblem("late", message, 3),) if message else ()
    return replace(
        standing,
        acknowledged=counts["acknowledged"],
        waiting=counts["waiting"],
        rejected=counts["rejected"],
        late=counts["late"] + counts["altered"],
        filtered=task.survey.filtered,
        problems=problems,
    )


def _kinds(task: Task, ledger: Ledger, scheduler: Scheduler) -> Iterator[str]:
    """Yield what an upload would make of each row, in order of time.

    A late row that was sent with other values is ``altered``.
    """
    record = LedgerCursor(ledger.entries())
    newest = None if task.upload.late == "send" else ledger.newest
    for item in task.items(task.reader(task.window, scheduler)):
        known = record.lookup(item.instant, item.digest)
        if known == ACKNOWLEDGED:
            yield "acknowledged"
        elif known == REJECTED:
            yield "rejected"
        else:
            is_waiting = newest is None or item.instant > newest
            yield "waiting" if is_waiting else "altered" if record.has_other else "late"


def _newest(task: Task, ledger: Ledger) -> str | None:
    """Return the time of the newest row that is acknowledged, also if no file has it any more."""
    instant, rules, ends = ledger.newest, task.meter.rules, task.survey.ends
    if instant is None:
        return None
    if rules.utc or rules.timezone is None or "%z" in rules.timestamp_format:
        # Offsets that the CSV brings itself are not in the ledger: that of the last row will do.
        return timestamp(instant, ends[-1].offset if ends else 0)
    return timestamp(instant, Zone(rules.timezone).offset_at(instant))


def _ask(task: Task, context: Context) -> str | None:
    """Return the time of the collector's last packet; raises `Ended`, `Halted`, `Down`."""
    exchange = Exchange(task.target, context)
    attempt = 0
    try:
        while True:
            question = exchange.ask_last_packet_once()
            outcome = question.outcome
            if question.is_known:
                return question.last and as_sent(str(question.last.fields["tsISO8601"]))
            # A collector that is out of reach is probed once for all streams: see `may_send`.
            if outcome.verdict is not Verdict.UNREACHABLE:
                _get_over(exchange, outcome, attempt)
                attempt += 1
    finally:
        exchange.release_slot()


def _get_over(exchange: Exchange, outcome: Outcome, attempt: int) -> None:
    """Return when it makes sense to ask again, which is soon; raise `Ended` if never."""
    words = f"the collector can't be asked for its last packet: {outcome.detail}"
    if outcome.verdict in _REFUSALS:
        exchange.recover(outcome, RetryBudget(0), None)
    elif outcome.verdict in _ANSWERS:
        exchange.end_stream("refused", words, 4, status=outcome.status)
    elif attempt + 1 == _TRIES:
        exchange.end_stream("temporary", words, 5, status=outcome.status)
    else:
        exchange.pause(min(outcome.wait or backoff(attempt), _LONGEST_WAIT))


def as_sent(text: str) -> str:
    """Return an ISO 8601 time as packets have it; ValueError if it has no offset."""
    offset = datetime.fromisoformat(text).utcoffset() or timedelta()
    return timestamp(instant_of(text), offset // _MILLISECOND)
