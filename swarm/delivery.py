"""One stream, in order, until done or stopped: section 5 of the contract.

One thread sends one stream as a plain loop: next row, packet, post, settle, record. Nothing of a
stream is sent while the fate of an earlier packet is open.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import NoReturn, Protocol

from swarm import state
from swarm.collector import Last, Link, Outcome, Question
from swarm.errors import FileChangedError, StateError, SwarmError
from swarm.events import State, StreamProblem, StreamResult, Tally, Verified
from swarm.ledger import ACKNOWLEDGED, REJECTED, Entry, Ledger
from swarm.meterfile import MeterReader, Row, Survey, Window
from swarm.options import Upload
from swarm.packet import body, digest, packet, same_measurements
from swarm.rejects import Rejects
from swarm.retry import Verdict, backoff
from swarm.settings import Meter
from swarm.transport import Access

#: So many packets refused in a row stop a meter, also with ``on_reject = skip``.
REJECTS_IN_A_ROW = 100
_LISTED_LATE_ROWS = 20
_WATCH_SECONDS = 1.0
_VERIFY_TRIES = 3
_VERIFY_WAIT = 0.5


@dataclass(frozen=True)
class Task:
    """One stream to send, as plain data; ``credential`` is its number on the run's board."""

    meter: Meter
    survey: Survey
    upload: Upload
    collector: str
    state: str
    access: Access
    credential: int


class Halted(SwarmError):
    """The run is told to stop: no new packets."""

    exit_code = 5


class Down(SwarmError):
    """The collector was out of reach for as long as a packet may be tried."""

    exit_code = 5


class Context(Protocol):
    """What a stream needs of the process that it is sent in."""

    def enter(self, access: Access) -> Link:
        """Wait for a place and return a session in it; raises `Halted`."""

    def leave(self, link: Link) -> None:
        """Give the place back, and the session with it."""

    def may_send(self, credential: int) -> None:
        """Wait for the rate limit and for a collector that is down; raises `Halted`, `Down`."""

    def sleep(self, seconds: float) -> None:
        """Wait; raises `Halted` as soon as the run is told to stop."""

    def heard(self, outcome: Outcome, credential: int) -> None:
        """Take note of an exchange: for the others, and for the run as a whole."""

    def gives_up(self, retry_for: float) -> bool:
        """Whether no stream got an answer for so many seconds."""

    def is_accepted(self, credential: int) -> bool:
        """Whether the collector took a packet under this credential in this run."""

    def condemn(self, credential: int) -> None:
        """Stop all streams of a credential."""

    def is_condemned(self, credential: int) -> bool:
        """Whether another stream found that the collector does not know the credential."""

    def lock(self, task: Task) -> bool:
        """Lock the stream for as long as this process may send it; False if another holds it."""

    def unlock(self, task: Task) -> None:
        """Let go of the stream."""

    def follow(self, task: Task, tally: Tally) -> None:
        """Let the parent see a stream's tally from now on."""


LOCKED = StreamProblem("locked", "another run is sending this stream", 6)


class _Stopped(Exception):  # noqa: N818 - ends a stream, told in its result
    def __init__(self, problem: StreamProblem, *, stops_run: bool = False) -> None:
        super().__init__(problem, stops_run)
        self.problem = problem
        self.stops_run = stops_run


class _Item:
    """A row on its way, with what is made of it once."""

    __slots__ = ("body", "digest", "row")

    def __init__(self, row: Row, registers: tuple[str, ...]) -> None:
        self.row = row
        self.body = body(registers, row.cells)
        self.digest = digest(self.body)


def deliver(task: Task, context: Context) -> StreamResult:
    """Send one stream; every way that it can end is in the result."""
    delivery = _Delivery(task, context)
    state, problem, stops_run = delivery.run()
    return StreamResult(
        id=task.meter.id,
        state=state,
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
        self.tally = Tally(filtered=task.survey.filtered)
        self.notices: list[str] = []
        self.verified: Verified = "unknown"
        self.meter = task.meter
        self.upload = task.upload
        self.registers = task.survey.registers
        window = Window(task.upload.since, task.upload.until)
        self.reader = MeterReader(task.meter, task.survey.spans, window)
        self.rejects = Rejects(state.rejects_path(_state(task), task.collector, task.meter.id))
        self.rejected_in_a_row = 0
        self.late: list[Row] = []
        self.link: Link | None = None
        self.ledger: Ledger | None = None
        self.newest: _Item | None = None
        self.final: _Item | None = None
        self.next_watch = 0.0
        self.is_fresh_session = False

    def run(self) -> tuple[State, StreamProblem | None, bool]:
        """Send the stream; return its state, its problem, and whether the run has to stop."""
        try:
            if not self.context.lock(self.task):
                return "locked", LOCKED, False
            try:
                return self._locked()
            finally:
                self.context.unlock(self.task)
        except _Stopped as stopped:
            return "stopped", stopped.problem, stopped.stops_run
        except Halted:
            return self._halted()
        except Down as error:
            return "stopped", StreamProblem("temporary", str(error), error.exit_code), True
        except FileChangedError as error:
            return "stopped", StreamProblem("file changed", str(error), error.exit_code), False
        except StateError as error:
            return "stopped", StreamProblem("state", str(error), error.exit_code), True

    def _halted(self) -> tuple[State, StreamProblem | None, bool]:
        if self.context.is_condemned(self.task.credential):
            problem = StreamProblem(
                "unauthorized",
                f"the collector does not accept the credentials of {self.task.access.username}",
                4,
                status=401,
            )
        else:
            problem = StreamProblem("interrupted", "stopped before its last row", 5)
        return "stopped", problem, False

    def _locked(self) -> tuple[State, StreamProblem | None, bool]:
        path = state.ledger_path(_state(self.task), self.task.collector, self.meter.id)
        self.ledger = None if self.upload.restart else Ledger.open(path, self.meter.id)
        self.context.follow(self.task, self.tally)
        try:
            self.link = self.context.enter(self.task.access)
            if self.ledger is None:
                self._first_contact()
                self.ledger = Ledger.create(path, self.meter.id)
                self._adopt()
            elif self.ledger.notice:
                self.notices.append(self.ledger.notice)
            self._send_all(self.ledger)
            self._verify()
        finally:
            self._leave()
            if self.ledger is not None:
                self.ledger.close()
        return self._done()

    def _done(self) -> tuple[State, StreamProblem | None, bool]:
        if self.tally.rejected:
            message = f"{self.tally.rejected} rows rejected by the collector: {self.rejects.path}"
            return "done", StreamProblem("rejected", message, 3), False
        if self.late:
            first = self.late[0]
            lines = ", ".join(f"{self._file(row)}:{row.line}" for row in self.late)
            more = ", ..." if self.tally.late > len(self.late) else ""
            message = (
                f"{self.tally.late} rows are older than the last acknowledged and were never"
                f" sent: {lines}{more}; send them with --late send"
            )
            return (
                "done",
                StreamProblem("late", message, 3, first.line, file=self._file(first)),
                False,
            )
        if self.verified == "no":
            message = "the collector's last packet is not the last one that it acknowledged"
            return "done", StreamProblem("not verified", message, 3), False
        return "done", None, False

    # The way through the rows

    def _items(self) -> Iterator[_Item]:
        return (_Item(row, self.registers) for row in self.reader.rows())

    def _send_all(self, ledger: Ledger) -> None:
        """Go through the file and the ledger in step, both in order of time."""
        last = ledger.last_acknowledged
        final = ledger.last_recorded
        waiting = self._unsettled(ledger, self._tell_apart(ledger, last, final))
        for item in waiting:
            self._watch()
            self._send(ledger, item)

    def _tell_apart(self, ledger: Ledger, last: int | None, final: int | None) -> Iterator[_Item]:
        """Count what needs no packet; yield the rows that do."""
        record = _Record(ledger.entries())
        pending = ledger.pending
        for item in self._items():
            instant = item.row.instant
            known = record.at(instant, item.digest)
            if known == ACKNOWLEDGED:
                self.tally.resumed += 1
                self._remember(item, is_final=instant == final)
            elif known == REJECTED:
                self.tally.rejected += 1
            elif (
                last is not None
                and instant <= last
                and self.upload.late == "report"
                and not (pending and (instant, item.digest) == (pending.instant, pending.digest))
            ):
                self._note_late(item.row)
            else:
                yield item

    def _note_late(self, row: Row) -> None:
        self.tally.late += 1
        if len(self.late) < _LISTED_LATE_ROWS:
            self.late.append(row)

    def _remember(self, item: _Item, *, is_final: bool) -> None:
        if self.newest is None or item.row.instant >= self.newest.row.instant:
            self.newest = item
        if is_final:
            self.final = item

    def _watch(self) -> None:
        now = time.monotonic()
        if now >= self.next_watch:
            self.next_watch = now + _WATCH_SECONDS
            self.reader.watch()

    def _file(self, row: Row) -> str:
        return str(self.meter.files[row.file])

    # One packet

    def _send(self, ledger: Ledger, item: _Item) -> None:
        """Send one row until it is settled."""
        row = item.row
        data = packet(self.meter.id, row.instant, row.offset, item.body)
        patience = _Patience(self.upload.retry_for)
        while True:
            self.context.may_send(self.task.credential)
            ledger.begin(row.instant, item.digest)
            sent_at = time.monotonic()
            outcome = self._link.post(self.meter.url, data)
            self.context.heard(outcome, self.task.credential)
            if outcome.verdict is Verdict.ACKNOWLEDGED:
                return self._acknowledged(ledger, item, sent_at)
            if outcome.verdict is Verdict.UNSETTLED:
                if self._is_stored([item], outcome, sent_at, patience):
                    return self._acknowledged(ledger, item, sent_at)
            elif self._is_settled_otherwise(ledger, item, outcome, patience):
                return None
            self.tally.retries += 1

    def _is_settled_otherwise(
        self, ledger: Ledger, item: _Item, outcome: Outcome, patience: "_Patience"
    ) -> bool:
        """Deal with an answer that says the packet is not stored; True if the row is done with."""
        ledger.withdraw()
        if outcome.verdict is Verdict.REJECTED:
            self._reject(ledger, item, outcome)
            return True
        if outcome.verdict is Verdict.UNAUTHORIZED:
            self._unauthorized(outcome, item.row)
        elif outcome.verdict in {Verdict.THROTTLED, Verdict.UNREACHABLE}:
            self._wait(patience, outcome, item.row)
        else:
            self._refused(outcome, item.row)
        return False

    def _acknowledged(self, ledger: Ledger, item: _Item, sent_at: float) -> None:
        ledger.record(item.row.instant, item.digest, ACKNOWLEDGED)
        self._remember(item, is_final=True)
        tally = self.tally
        tally.sent += 1
        tally.first = tally.first or sent_at
        tally.last = time.monotonic()
        self.rejected_in_a_row = 0
        self.is_fresh_session = False

    def _reject(self, ledger: Ledger, item: _Item, outcome: Outcome) -> None:
        """Stop, or keep the row aside and go on. A stop leaves the row to be tried again."""
        self.tally.rejected += 1
        self.rejected_in_a_row += 1
        if self.upload.on_reject == "stop":
            self._stop(
                "rejected",
                f"rejected by the collector: {outcome.words}",
                3,
                item.row,
                outcome.status,
            )
        self.rejects.add(self._file(item.row), item.row, outcome)
        ledger.record(item.row.instant, item.digest, REJECTED)
        if self.rejected_in_a_row >= REJECTS_IN_A_ROW:
            self._stop(
                "rejected",
                f"{REJECTS_IN_A_ROW} rows rejected in a row, the last with: {outcome.words}",
                3,
                item.row,
                outcome.status,
            )

    def _unauthorized(self, outcome: Outcome, row: Row | None) -> None:
        """Try once more with a fresh session; after that the credentials are wrong."""
        if not self.is_fresh_session:
            self.is_fresh_session = True
            self._link.renew()
            return
        if not self.context.is_accepted(self.task.credential):
            self.context.condemn(self.task.credential)
        self._stop(
            "unauthorized",
            "the collector does not accept the credentials of "
            f"{self.task.access.username}: {outcome.words}",
            4,
            row,
            outcome.status,
        )

    def _refused(self, outcome: Outcome, row: Row | None) -> NoReturn:
        if outcome.verdict is Verdict.REDIRECTED:
            self._stop(
                "redirect",
                f"the collector redirects, which is never followed: "
                f"{outcome.words}; correct the URL",
                4,
                row,
                outcome.status,
                stops_run=True,
            )
        if outcome.verdict is Verdict.UNTRUSTED:
            self._stop("tls", f"{outcome.words}; no credential was sent", 4, row, stops_run=True)
        self._stop("refused", f"refused by the collector: {outcome.words}", 4, row, outcome.status)

    def _stop(  # noqa: PLR0913 - the parts of one message
        self,
        kind: str,
        message: str,
        exit_code: int,
        row: Row | None = None,
        status: int | None = None,
        *,
        stops_run: bool = False,
    ) -> NoReturn:
        place = {"line": row.line, "file": self._file(row)} if row else {}
        raise _Stopped(
            StreamProblem(kind, message, exit_code, status=status, **place), stops_run=stops_run
        )

    # Waiting

    @property
    def _link(self) -> Link:
        if self.link is None:
            self.link = self.context.enter(self.task.access)
        return self.link

    def _leave(self) -> None:
        if self.link is not None:
            link, self.link = self.link, None
            self.context.leave(link)

    def _pause(self, seconds: float) -> None:
        """Wait with the place free for another stream."""
        if seconds > 0:
            self._leave()
            self.context.sleep(seconds)
            self.link = self.context.enter(self.task.access)

    def _wait(self, patience: "_Patience", outcome: Outcome, row: Row | None) -> None:
        """Wait as the collector asks, or as the backoff says; stop when patience is used up."""
        if patience.is_used_up():
            silent = outcome.status is None and self.context.gives_up(self.upload.retry_for)
            self._stop(
                "temporary",
                f"given up after {self.upload.retry_for:g} s: {outcome.words};"
                " run the command again to go on",
                5,
                row,
                outcome.status,
                stops_run=silent,
            )
        if outcome.verdict is Verdict.UNREACHABLE:
            patience.attempt += 1
            # The run's board spaces the tries; see `Context.may_send`.
        elif outcome.wait is not None:
            patience.asked(outcome.wait)
            self._pause(outcome.wait)
        else:
            self._pause(patience.next_wait())

    # What became of a packet

    def _is_stored(
        self, items: list[_Item], outcome: Outcome, sent_at: float, patience: "_Patience"
    ) -> bool:
        """Ask what became of a packet; False if it has to be sent again."""
        self._wait(patience, outcome, items[0].row)
        self._pause(sent_at + self.upload.settle - time.monotonic())
        question = self._ask(patience, items[0].row)
        return self._place(items, question, items[0].row) is not None

    def _ask(self, patience: "_Patience", row: Row | None) -> Question:
        """Ask for the stream's last packet until the collector says something of use."""
        while True:
            self.context.may_send(self.task.credential)
            question = self._link.last(self.meter.url, self.meter.id)
            outcome = question.outcome
            self.context.heard(outcome, self.task.credential)
            if question.is_known or outcome.verdict in {
                Verdict.ACKNOWLEDGED,
                Verdict.REFUSED,
                Verdict.REJECTED,
            }:
                return question
            if outcome.verdict is Verdict.UNAUTHORIZED:
                self._unauthorized(outcome, row)
            elif outcome.verdict in {Verdict.REDIRECTED, Verdict.UNTRUSTED}:
                self._refused(outcome, row)
            else:
                self._wait(patience, outcome, row)

    def _place(self, items: list[_Item], question: Question, row: Row) -> int | None:
        """Return which of the next rows the collector's last packet is; None to send the first.

        Where that can't be settled, ``on_ambiguous`` decides.
        """
        last = question.last
        if question.is_known and (last is None or last.instant < items[0].row.instant):
            return None
        if last is not None:
            for place, item in enumerate(items):
                if _is_same(item, last):
                    return place
        if self.upload.on_ambiguous == "stop":
            self._stop(
                "ambiguous",
                "it can't be settled whether the packet was stored: "
                f"{_ambiguity(question)}; --on-ambiguous resend sends it again",
                5,
                row,
            )
        self.tally.possible_duplicates += 1
        return None

    def _unsettled(self, ledger: Ledger, items: Iterator[_Item]) -> Iterator[_Item]:
        """Settle what an earlier run may have sent without recording it; yield the rest."""
        pending = ledger.pending
        if pending is None:
            return items
        ahead = list(islice(items, pending.window))
        if pending.digest is not None:
            return self._one_pending(ledger, ahead, items)
        if ahead:
            self._settle_ahead(ledger, ahead, pending.sent_at)
        return chain(ahead, items)

    def _one_pending(
        self, ledger: Ledger, ahead: list[_Item], items: Iterator[_Item]
    ) -> Iterator[_Item]:
        """Settle the one packet in flight when an earlier run died, where it stands in the file."""
        pending = ledger.pending
        for item in chain(ahead, items):
            if pending and (item.row.instant, item.digest) == (pending.instant, pending.digest):
                found = [item]
                self._settle_ahead(ledger, found, pending.sent_at)
                if not found:
                    continue
                last = ledger.last_acknowledged
                if last is not None and item.row.instant <= last and self.upload.late == "report":
                    self._note_late(item.row)
                    continue
            yield item

    def _settle_ahead(self, ledger: Ledger, items: list[_Item], sent_at: float) -> None:
        """Ask once for rows that may have been sent; take those that are stored out of ``items``."""
        patience = _Patience(self.upload.retry_for)
        wait = sent_at + self.upload.settle - time.time()
        self._pause(min(wait, self.upload.settle))
        question = self._ask(patience, items[0].row)
        place = self._place(items, question, items[0].row)
        if place is None:
            return
        for item in items[: place + 1]:
            ledger.record(item.row.instant, item.digest, ACKNOWLEDGED)
            self._remember(item, is_final=True)
            self.tally.resumed += 1
        del items[: place + 1]

    # The beginning and the end

    def _first_contact(self) -> None:
        """Without a checkpoint, ask what the collector holds before anything is sent."""
        self.adopted: Last | None = None
        if self.upload.restart or not self.task.survey.ends:
            return
        question = self._ask(_Patience(self.upload.retry_for), None)
        last = question.last
        if last is None:
            return
        if self.upload.adopt:
            self.adopted = last
            return
        first, final = self.task.survey.ends
        if first.instant <= last.instant <= final.instant:
            for item in self._items():
                if item.row.instant >= last.instant:
                    self._refuse_known(item, last)
                    return

    def _refuse_known(self, item: _Item, last: Last) -> None:
        if _is_same(item, last):
            self._stop(
                "no checkpoint",
                "the collector already holds this row of the file, but "
                "there is no checkpoint that says what was sent: --adopt goes on behind it, "
                "--restart sends all from the first row",
                3,
                item.row,
            )

    def _adopt(self) -> None:
        """Take the collector's last packet as the checkpoint."""
        if self.ledger is None or self.adopted is None:
            return
        for item in self._items():
            if item.row.instant > self.adopted.instant:
                break
            self.ledger.record(item.row.instant, item.digest, ACKNOWLEDGED)
        self.ledger.freeze()
        self.notices.append(
            f"{self.meter.id}: adopted the collector's last packet as the "
            f"checkpoint: {self.ledger.count} rows are taken as acknowledged"
        )

    def _verify(self) -> None:
        """Ask whether the collector's last packet is the last row acknowledged."""
        if self.newest is None:
            return
        with suppress(_Stopped, Halted, Down):
            for attempt in range(_VERIFY_TRIES):
                self.verified = self._verdict_of_last()
                if self.verified != "no":
                    return
                if attempt < _VERIFY_TRIES - 1:
                    self._pause(_VERIFY_WAIT * 2**attempt)

    def _verdict_of_last(self) -> Verified:
        self.context.may_send(self.task.credential)
        question = self._link.last(self.meter.url, self.meter.id)
        self.context.heard(question.outcome, self.task.credential)
        if not question.is_known:
            return "unknown"
        last, newest = question.last, self.newest
        if last is None or newest is None:
            return "no"
        if any(item and _is_same(item, last) for item in (newest, self.final)):
            return "yes"
        return "newer" if last.instant > newest.row.instant else "no"


class _Record:
    """A ledger's entries, read in step with rows in order of time."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = iter(entries)
        self._head = next(self._entries, None)

    def at(self, instant: int, digest: int) -> int | None:
        """Return what is recorded of a row: a kind, or None. Acknowledged wins over rejected."""
        known: int | None = None
        while (head := self._head) is not None and head.instant <= instant:
            if head.instant == instant and head.digest == digest and known != ACKNOWLEDGED:
                known = head.kind
            self._head = next(self._entries, None)
        return known


class _Patience:
    """How long one packet has been tried; waits that the collector asked for do not count."""

    def __init__(self, seconds: float) -> None:
        self.attempt = 0
        self._seconds = seconds
        self._start: float | None = None
        self._asked = 0.0

    def is_used_up(self) -> bool:
        """Whether the packet has been tried for long enough; the first call starts the clock."""
        return self._left() <= 0

    def asked(self, seconds: float) -> None:
        """Take out a wait that the collector asked for."""
        self._asked += seconds

    def next_wait(self) -> float:
        """Return the seconds of the next step of the backoff, at most what is left."""
        self.attempt += 1
        return min(backoff(self.attempt - 1), max(self._left(), 0.0))

    def _left(self) -> float:
        now = time.monotonic()
        self._start = now if self._start is None else self._start
        return self._seconds - (now - self._start - self._asked)


def _is_same(item: _Item, last: Last) -> bool:
    return item.row.instant == last.instant and same_measurements(item.body, last.fields)


def _ambiguity(question: Question) -> str:
    if question.last is None:
        return f"the collector does not tell its last packet ({question.outcome.words})"
    return f"the collector's last packet is of {question.last.fields.get('tsISO8601')}"


def _state(task: Task) -> "state.Path":
    return state.Path(task.state)
