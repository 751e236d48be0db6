"""One stream, in order, until done or stopped: "Delivery" in docs/reference.md.

One job sends one stream as a plain loop: next row, packet, post, settle, record. Nothing of a
stream is sent while the fate of an earlier packet is open.
"""

import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

from swarm.checkpoint.ledger import REJECTED, Ledger, LedgerCursor
from swarm.checkpoint.ledger_format import Begun
from swarm.checkpoint.rejects import Rejects
from swarm.collector.client import LastPacketReply, Outcome
from swarm.collector.retry import RetryBudget, Verdict
from swarm.csv import Window
from swarm.delivery import verify
from swarm.delivery.context import (
    CollectorDown,
    Context,
    StoppableScheduler,
    StopRequested,
    StreamEnded,
    stop_problem,
)
from swarm.delivery.exchange import Exchange
from swarm.delivery.result import State, StreamProblem, StreamResult, Tally, Verified
from swarm.delivery.resume import Resume, changed_series, noted_before_sending
from swarm.delivery.settlement import RetryPolicy, Settlement
from swarm.delivery.task import LOCKED, RowItem, Task
from swarm.errors import FileChangedError, StateError
from swarm.packet import packet
from swarm.text import pluralize

#: So many packets refused in a row stop a meter, also with ``on_reject = skip``.
REJECTS_IN_A_ROW = 100


_WATCH_SECONDS = 1.0


def deliver(task: Task, context: Context) -> StreamResult:
    """Send one stream; every way that it can end is in the result."""
    delivery = _Delivery(task, context)
    ended: State = "stopped"
    stops_run = False
    try:
        ended, problem = delivery.run()
    except StreamEnded as end:
        problem, stops_run = end.problem, end.stops_run
    except StopRequested:
        problem = stop_problem(task, context)
    except CollectorDown as error:
        problem, stops_run = StreamProblem("temporary", str(error), error.exit_code), True
    except FileChangedError as error:
        problem = StreamProblem("file changed", str(error), error.exit_code)
    except StateError as error:
        problem, stops_run = StreamProblem("state", str(error), error.exit_code), True
    return StreamResult(
        id=task.meter.id,
        state=ended,
        tally=delivery.tally,
        problem=problem,
        verified=delivery.verified,
        stops_run=stops_run,
        notices=tuple(delivery.notices),
    )


class _Delivery:
    def __init__(self, task: Task, context: Context) -> None:
        self.task = task
        self.context = context
        self.scheduler = StoppableScheduler(
            context.scheduler, partial(context.raise_if_stopped, task.credential)
        )
        self.upload = task.upload
        self.tally = Tally(filtered=task.survey.filtered)
        self.notices: list[str] = []
        self.verified: Verified = "unknown"
        self.exchange = Exchange(task.target, context, self.tally)
        upload = task.upload
        terms = RetryPolicy(upload.settle, upload.on_ambiguous, upload.retry_for)
        self.settlement = Settlement(self.exchange, terms, self.tally)
        self.reader = task.reader(task.window, self.scheduler)
        self.rejects = Rejects(task.rejects)
        self.rejected_in_a_row = 0
        self.ledger: Ledger
        self.resume: Resume | None = None
        self.question: LastPacketReply | None = None
        self.is_checked = False
        self.next_watch = 0.0

    def run(self) -> tuple[State, StreamProblem | None]:
        """Send the stream under its lock."""
        if not self.context.lock_stream(self.task):
            return "locked", LOCKED
        try:
            self.context.publish_tally(self.task, self.tally)
            ledger = self._open()
            if ledger is not None:
                self._with_ledger(ledger)
            return "done", self._shortcoming()
        finally:
            self.exchange.release_slot()
            self.context.unlock_stream(self.task)

    def _open(self) -> Ledger | None:
        """Open the stream's ledger, or make it; None where there is nothing to record."""
        task = self.task
        ledger = Ledger.open(task.ledger, task.meter.id, scheduler=self.scheduler)
        if ledger is None:
            return self._first_ledger()
        if ledger.notice:
            self.notices.append(ledger.notice)
        return ledger

    def _first_ledger(self) -> Ledger | None:
        """Ask the collector, then make the ledger, with what is adopted in it from the start."""
        if not (self.task.survey.ends or self.upload.adopt):
            return None
        path, stream = self.task.ledger, self.task.meter.id
        held = verify.check_before_first(self.task, self.exchange, self._all_items)
        if held.notice:
            self.notices.append(held.notice)
        rows: Iterable[tuple[int, int]] = ()
        if held.last is not None and self.upload.adopt:
            rows = verify.rows_until(held.last, self._all_items(), LedgerCursor(()))
        ledger = Ledger.create(path, stream, acknowledged=rows, scheduler=self.scheduler)
        if held.last is not None and self.upload.adopt:
            self._tell_adopted(ledger.count)
        self.is_checked = True
        return ledger

    def _with_ledger(self, ledger: Ledger) -> None:
        self.ledger = ledger
        try:
            self._settle(ledger, time.monotonic())
            self._follow()
            unsent = self._unsent()
            head = next(unsent, None)
            if head is not None and not self.is_checked and self._catches_up(head):
                unsent = self._unsent()
                head = next(unsent, None)
            if head is not None:
                self._refuse_altered()
                self.settlement.baseline = self.ledger.baseline
                self._send_all(chain([head], unsent))
            self.verified = verify.verify(self.exchange, self._resumed().expected())
        finally:
            self.ledger.close()

    def _settle(self, ledger: Ledger, opened: float) -> None:
        """Ask what became of the rows that an earlier run left in doubt."""
        if ledger.in_doubt:
            self.settlement.baseline = ledger.baseline
            settled = self.settlement.reconcile_earlier_run(ledger.in_doubt, opened)
            ledger.settle(settled.stored, settled.doubtful)
            self.question = settled.reply

    def _follow(self) -> None:
        """Let the parent know what is recorded before anything is sent."""
        self.tally.base = self.ledger.count
        self.context.publish_tally(self.task, self.tally)

    def _catches_up(self, head: RowItem) -> bool:
        """Hold the checkpoint to what the collector holds; tell whether it had to catch up.

        ``head`` is the first row that needs a packet.
        """
        ledger = self.ledger
        question = self.question or self.exchange.ask_last_packet(
            RetryBudget(self.upload.retry_for), None
        )
        if ledger.baseline.begun is Begun.ANEW:
            if question.is_known:
                ledger.set_baseline(verify.baseline(question.last))
            return False
        last = question.last
        row = verify.first_unrecorded(self.task, ledger, last, head, self._all_items)
        if last is None or row is None:
            return False
        if not self.upload.adopt:
            verify.end_fallen_behind(self.task, self.exchange, row)
        before = ledger.count
        rows = verify.rows_until(last, self._all_items(), LedgerCursor(ledger.entries()))
        self.ledger = ledger.rewritten(rows)
        self._tell_adopted(self.ledger.count - before)
        self._follow()
        return True

    def _tell_adopted(self, count: int) -> None:
        self.notices.append(
            f"{self.task.meter.id}: the collector's last packet is taken as the checkpoint: "
            f"{pluralize(count, 'row')} taken as acknowledged"
        )

    def _unsent(self) -> Iterator[RowItem]:
        """Begin to read the rows that need a packet."""
        self.tally.resumed = self.tally.rejected = self.tally.late = 0
        self.resume = Resume(self.ledger, self.tally, self.upload.late)
        return self.resume.to_send(self._items())

    def _refuse_altered(self) -> None:
        """End the stream where nearly all that was sent has other values: it is another series."""
        problem = self._changed_series()
        if problem is not None:
            raise StreamEnded(problem)

    def _changed_series(self) -> StreamProblem | None:
        """Return the problem where nearly all that was sent has other values now."""
        resume = self._resumed()
        message = changed_series(resume.altered, self.tally.resumed, "nothing was sent")
        if message is None:
            return None
        where = resume.late[0].where
        return StreamProblem("late", message, 3, where.line, file=where.file)

    def _send_all(self, unsent: Iterator[RowItem]) -> None:
        ahead = self._packets(noted_before_sending(self.ledger, unsent))
        for item, data in self.scheduler.prefetch(ahead):
            self._watch()
            self._send(self._resumed(), item, data)

    def _resumed(self) -> Resume:
        if self.resume is None:
            raise RuntimeError("the rows were not read yet")
        return self.resume

    def _shortcoming(self) -> StreamProblem | None:
        """Return what a stream that went through to its end still lacks."""
        tally = self.tally
        if tally.rejected:
            message = (
                f"{pluralize(tally.rejected, 'row')} rejected by the collector, kept in "
                f"{self.rejects.path}"
            )
            return StreamProblem("rejected", message, 3)
        if self.resume and self.resume.late:
            return self._changed_series() or _late(self.resume, tally.late)
        if self.verified == "no":
            message = "the collector's last packet is not the last one that it acknowledged"
            return StreamProblem("not verified", message, 3)
        return None

    def _items(self) -> Iterator[RowItem]:
        return self.task.items(self.reader)

    def _all_items(self) -> Iterator[RowItem]:
        """Return the rows that are filtered as well: the collector may hold them."""
        return self.task.items(self.task.reader(Window(), self.scheduler))

    def _packets(self, items: Iterator[RowItem]) -> Iterator[tuple[RowItem, bytes]]:
        for item in items:
            row = item.row
            yield item, packet(self.task.meter.id, row.instant, row.offset, item.body)

    def _watch(self) -> None:
        now = time.monotonic()
        if now >= self.next_watch:
            self.next_watch = now + _WATCH_SECONDS
            self.reader.watch()

    # One packet

    def _send(self, resume: Resume, item: RowItem, data: bytes) -> None:
        """Send one row until it is settled."""
        ledger = resume.ledger
        patience = RetryBudget(self.upload.retry_for)
        is_again = resume.is_in_doubt(item)
        while True:
            self.exchange.wait_until_allowed()
            ledger.mark_in_flight()
            # Counted before it goes out: of a run that ends here, nothing else tells of it.
            self.tally.possible_duplicates += is_again
            began = time.monotonic()
            outcome = self.exchange.post(data)
            ended = time.monotonic()
            if outcome.verdict is Verdict.ACKNOWLEDGED:
                return self._acknowledged(resume, item, began)
            if outcome.verdict is Verdict.UNSETTLED:
                is_again = False
                if self.settlement.reconcile(item, outcome, ended, patience):
                    return self._acknowledged(resume, item, began)
            else:
                ledger.clear_in_flight()
                self.tally.possible_duplicates -= is_again
                if outcome.verdict is Verdict.REJECTED:
                    return self._rejected(ledger, item, outcome)
                self.exchange.recover(outcome, patience, item.where)
            self.tally.retries += 1

    def _acknowledged(self, resume: Resume, item: RowItem, began: float) -> None:
        resume.acknowledged(item)
        tally = self.tally
        tally.sent += 1
        tally.first = tally.first or began
        tally.last = time.monotonic()
        self.rejected_in_a_row = 0

    def _rejected(self, ledger: Ledger, item: RowItem, outcome: Outcome) -> None:
        """Stop, or keep the row aside and go on. A stop leaves the row to be tried again."""
        self.rejected_in_a_row += 1
        where, words, status = item.where, outcome.detail, outcome.status
        if self.upload.on_reject == "stop":
            self.tally.rejected += 1
            self.exchange.end_stream(
                "rejected", f"rejected by the collector: {words}", 3, where, status
            )
        row = item.row
        self.scheduler.run_in_thread(
            self.rejects.add, where.file, row.line, row.text, status, words
        )
        ledger.record(item.instant, item.digest, REJECTED)
        # Only now, and in this order: whoever looks meanwhile must not count the row twice.
        self.tally.base = ledger.count - self.tally.sent
        self.tally.rejected += 1
        if self.rejected_in_a_row >= REJECTS_IN_A_ROW:
            message = f"{REJECTS_IN_A_ROW} rows rejected in a row, the last with: {words}"
            self.exchange.end_stream("rejected", message, 3, where, status)


def _late(resume: Resume, count: int) -> StreamProblem:
    """Return the problem of rows that are not newer than the last acknowledged."""
    kinds = {
        "never sent, older than the last acknowledged": count - resume.altered,
        "sent before with other values": resume.altered,
    }
    which = ", ".join(f"{number:,} {kind}" for kind, number in kinds.items() if number)
    places = [item.where for item in resume.late]
    lines = ", ".join(f"{where.file}:{where.line}" for where in places)
    more = ", ..." if count > len(places) else ""
    message = f"{pluralize(count, 'late row')} ({which}): {lines}{more}; --late send sends them"
    return StreamProblem("late", message, 3, places[0].line)
