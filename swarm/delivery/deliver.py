"""Sends one stream, in order: "Delivery" in docs/reference.md.

One job sends one stream in a plain loop: next row, packet, post, settle, record. No row is sent
while it is unknown whether an earlier packet was stored.
"""

import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

from swarm.checkpoint.cursor import LedgerCursor
from swarm.checkpoint.ledger import REJECTED, Ledger
from swarm.checkpoint.ledger_format import Origin
from swarm.checkpoint.rejects import RejectedRow
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
from swarm.delivery.result import (
    OpenDays,
    State,
    StreamProblem,
    StreamResult,
    Tally,
    Verified,
)
from swarm.delivery.resume import Resume, changed_series, noted_before_sending
from swarm.delivery.settlement import Settlement
from swarm.delivery.task import LOCKED, ItemBatch, RowItem, Task, day_of
from swarm.errors import ExitCode, FileChangedError, StateError
from swarm.packet import packet
from swarm.text import pluralize

#: This many rejected rows in succession stop a meter, also with ``on_reject = skip``.
REJECTS_IN_A_ROW = 100
#: The time (s) between two looks at the files that are being read.
_WATCH_SECONDS = 1.0


def deliver(task: Task, context: Context) -> StreamResult:
    """Send one stream; the result says how it ended."""
    delivery = _Delivery(task, context)
    state: State = "stopped"
    stops_run = False
    try:
        state, problem = delivery.run()
    except StreamEnded as end:
        problem, stops_run = end.problem, end.stops_run
    except StopRequested as stop:
        problem = stop_problem(task, stop)
    except CollectorDown as error:
        problem, stops_run = StreamProblem.of("temporary", error), True
    except FileChangedError as error:
        problem = StreamProblem.of("file changed", error)
    except StateError as error:
        problem, stops_run = StreamProblem.of("state", error), True
    return StreamResult(
        id=task.meter.id,
        state=state,
        tally=delivery.tally,
        problem=problem,
        verified=delivery.verified,
        stops_run=stops_run,
        notices=tuple(delivery.notices),
        days=delivery.days,
        newest=delivery.newest,
    )


class _Delivery:
    def __init__(self, task: Task, context: Context) -> None:
        self.task = task
        self.context = context
        check = partial(context.raise_if_stopped, task.credential)
        self.scheduler = StoppableScheduler(context.scheduler, check)
        self.state = context.state
        self.upload = task.upload
        self.tally = Tally(filtered=task.checked.filtered)
        self.days = OpenDays()
        #: The instant (ms) of the newest acknowledged row, when the stream ended.
        self.newest: int | None = None
        self.notices: list[str] = []
        self.verified: Verified = "unknown"
        self.exchange = Exchange(task.target, task.upload, context, self.tally)
        self.settlement = Settlement(self.exchange, task.upload, self.tally)
        self.reader = task.unsettled_reader(self.scheduler)
        self.rejected_in_a_row = 0
        self.next_watch = 0.0
        self.ledger: Ledger
        self.resume: Resume
        #: What the collector said when the rows in doubt were settled.
        self.reply: LastPacketReply | None = None
        self.is_new = False

    def run(self) -> tuple[State, StreamProblem | None]:
        """Send the stream under its lock."""
        if not self.context.lock_stream(self.task):
            return "locked", LOCKED
        try:
            self.context.follow_tally(self.task, self.tally)
            task = self.task
            ledger = self.state.open_ledger(task.meter, task.checked, task.ledger, self.scheduler)
            if ledger is not None and ledger.notice:
                self.notices.append(ledger.notice)
            if ledger is None and (task.checked.ends or self.upload.adopt):
                ledger = self._create_ledger()
            if ledger is None:
                return "done", None
            self.ledger = ledger
            try:
                self._send_unsent()
                if self._is_settled():
                    self.state.store_settled(self.task.meter, self.task.checked, self.ledger)
            finally:
                self.newest = self.ledger.newest
                self.ledger.close()
            return "done", self._shortcoming()
        finally:
            self.exchange.release_slot()
            self.context.unlock_stream(self.task)

    def _create_ledger(self) -> Ledger:
        """Ask the collector for its last packet, then create the ledger.

        Rows that ``--adopt`` counts as acknowledged are in the ledger from the start: a ledger
        with a part of them would be wrong.
        """
        self.is_new = True
        found = verify.check_before_first(self.task, self.exchange, self._all_batches)
        if found.notice:
            self.notices.append(found.notice)
        adopted: Iterable[tuple[int, int]] = ()
        if found.last is not None and self.upload.adopt:
            adopted = verify.rows_until(found.last, self._all_batches(), LedgerCursor(()))
        ledger = self.state.create_ledger(
            self.task.meter.id, self.task.ledger, adopted, self.scheduler
        )
        if found.last is not None and self.upload.adopt:
            self._report_adopted(ledger.count)
        return ledger

    def _send_unsent(self) -> None:
        """Settle what an earlier run left in doubt, send the rows that need a packet, verify."""
        ledger, opened = self.ledger, time.monotonic()
        if ledger.in_doubt:
            self.settlement.baseline = ledger.baseline
            settled = self.settlement.reconcile_earlier_run(ledger.in_doubt, opened)
            ledger.settle(settled.stored, settled.in_doubt)
            self.reply = settled.reply
        unsent = self._unsent()
        head = next(unsent, None)
        if head is not None and not self.is_new and self._catches_up(head):
            unsent = self._unsent()
            head = next(unsent, None)
        if head is not None:
            # If nearly all that was sent has other values now, the rules have changed.
            problem = self._changed_series()
            if problem is not None:
                raise StreamEnded(problem)
            self.settlement.baseline = self.ledger.baseline
            self._publish_base()
            noted = noted_before_sending(self.ledger, chain([head], unsent))
            for item, data in self.scheduler.prefetch(self._packets(noted)):
                now = time.monotonic()
                if now >= self.next_watch:
                    self.next_watch = now + _WATCH_SECONDS
                    self.reader.watch()
                self._send(item, data)
        self.verified = verify.verify(self.exchange, self.resume.expected())

    def _is_settled(self) -> bool:
        """Return True if every row of the files is acknowledged."""
        tally = self.tally
        is_complete = tally.sent + tally.resumed == self.task.checked.packets
        return is_complete and not (self.ledger.unresolved or self.ledger.in_doubt)

    def _publish_base(self) -> None:
        """Report the number of recorded rows to the parent before anything is sent."""
        self.tally.base = self.ledger.count
        self.context.publish_tally(self.task, self.tally)

    def _catches_up(self, head: RowItem) -> bool:
        """Compare the checkpoint with the collector's last packet; return True if it was adopted.

        ``head`` is the first row that needs a packet. A checkpoint that has fallen behind ends the
        stream, but for ``--adopt``.
        """
        ledger = self.ledger
        reply = self.reply or self.exchange.ask_last_packet()
        if ledger.baseline.origin is Origin.RESTARTED:
            if reply.is_known:
                ledger.set_baseline(verify.baseline(reply.last))
            return False
        last = reply.last
        row = verify.missing_last_packet(self.task, ledger, last, head, self._all_batches)
        if last is None or row is None:
            return False
        if not self.upload.adopt:
            raise verify.fallen_behind(self.task, row)
        before = ledger.count
        adopted = verify.rows_until(last, self._all_batches(), LedgerCursor(ledger.runs()))
        self.ledger = ledger.rewritten(adopted)
        self._report_adopted(self.ledger.count - before)
        return True

    def _report_adopted(self, count: int) -> None:
        self.notices.append(
            f"{self.task.meter.id}: the checkpoint begins at the collector's last packet: "
            f"{pluralize(count, 'row')} treated as acknowledged"
        )

    def _unsent(self) -> Iterator[RowItem]:
        """Begin to read the rows that need a packet."""
        settled = self.task.checked.settled
        self.tally.resumed = settled.packets if settled else 0
        self.tally.rejected = self.tally.late = 0
        self.days.clear()
        self.resume = Resume(
            self.ledger, self.tally, self.upload, self.task.settled_until, self.days
        )
        return self.resume.to_send(self.task.batches(self.reader))

    def _all_batches(self) -> Iterator[ItemBatch]:
        """Begin to read all rows, also those outside of the window: the collector may hold them."""
        return self.task.batches(self.task.reader(Window(), self.scheduler))

    def _packets(self, items: Iterator[RowItem]) -> Iterator[tuple[RowItem, bytes]]:
        for item in items:
            row = item.row
            yield item, packet(self.task.meter.id, row.instant, row.offset, item.body)

    def _changed_series(self) -> StreamProblem | None:
        altered, resumed = self.resume.altered, self.tally.resumed
        message = changed_series(altered, resumed, "nothing was sent")
        if message is None:
            return None
        return StreamProblem("late", message, ExitCode.DATA).at(self.resume.late[0].place)

    def _shortcoming(self) -> StreamProblem | None:
        """Return what is wrong with a stream whose rows were all read."""
        tally = self.tally
        if tally.rejected:
            message = (
                f"{pluralize(tally.rejected, 'row')} rejected by the collector, kept in "
                f"{self.task.rejects}; --rejected send sends them again"
            )
            return StreamProblem("rejected", message, ExitCode.DATA)
        if self.resume.late:
            return self._changed_series() or _late(self.resume, tally.late)
        if self.verified == "no":
            message = "the collector's last packet is not the last one that it acknowledged"
            return StreamProblem("not verified", message, ExitCode.DATA)
        return None

    def _send(self, item: RowItem, data: bytes) -> None:
        """Send the packet of one row until it is known whether it was stored."""
        ledger, exchange, tally = self.ledger, self.exchange, self.tally
        is_again = bool(ledger.unresolved) and self.resume.may_be_stored(item)
        budget: RetryBudget | None = None
        while True:
            exchange.wait_until_allowed()
            ledger.mark_in_flight()
            # Counted before the packet is sent: if the run ends here, nothing else records it.
            tally.possible_duplicates += is_again
            start = time.monotonic()
            outcome = exchange.post(data)
            if outcome.verdict is Verdict.ACKNOWLEDGED:
                tally.exchange_seconds += time.monotonic() - start
                break
            ended = time.monotonic()
            budget = budget or RetryBudget(self.upload.retry_for)
            if outcome.verdict is Verdict.UNSETTLED:
                is_again = False
                if self.settlement.reconcile(item, outcome, ended, budget):
                    break
            else:
                ledger.clear_in_flight()
                tally.possible_duplicates -= is_again
                if outcome.verdict is Verdict.REJECTED:
                    return self._rejected(item, outcome)
                exchange.recover(outcome, budget, item.place)
            tally.retries += 1
        # With a rate limit, the next row waits: it is marked when it is about to be sent.
        self.resume.acknowledged(item, sends_next=self.upload.rate_limit is None)
        tally.sent += 1
        tally.first, tally.last = tally.first or start, time.monotonic()
        self.rejected_in_a_row = 0
        return None

    def _rejected(self, item: RowItem, outcome: Outcome) -> None:
        """Stop the stream, to try the row again next time, or keep the row aside and continue."""
        self.rejected_in_a_row += 1
        detail, status, row = outcome.detail, outcome.status, item.row
        self.days.rejected[day_of(row)] += 1
        if self.upload.on_reject == "stop":
            self.tally.rejected += 1
            message = f"rejected by the collector: {detail}"
        else:
            is_again = self.resume.is_rejected_again(item)
            rejected = RejectedRow(item.place.file, row.line, row.text, status, detail, is_again)
            self.scheduler.run_in_thread(
                self.state.add_reject, self.task.meter.id, self.task.rejects, rejected
            )
            self.ledger.record(item.instant, item.digest, REJECTED)
            # After the record, in this order: a reader meanwhile must not count the row twice.
            self.tally.base = self.ledger.count - self.tally.sent
            self.tally.rejected += 1
            if self.rejected_in_a_row < REJECTS_IN_A_ROW:
                return
            message = f"{REJECTS_IN_A_ROW} rows rejected in a row, the last with: {detail}"
        problem = StreamProblem("rejected", message, ExitCode.DATA, status=status)
        raise StreamEnded(problem.at(item.place))


def _late(resume: Resume, count: int) -> StreamProblem:
    """Return the problem of late rows; ``count`` is the number of all."""
    kinds = {
        "never sent, older than the last acknowledged row": count - resume.altered,
        "sent before with other values": resume.altered,
    }
    which = ", ".join(f"{number:,} {kind}" for kind, number in kinds.items() if number)
    places = [item.place for item in resume.late]
    lines = ", ".join(f"{place.file}:{place.line}" for place in places)
    more = ", ..." if count > len(places) else ""
    message = f"{pluralize(count, 'late row')} ({which}): {lines}{more}; --late send sends them"
    return StreamProblem("late", message, ExitCode.DATA, places[0].line)
