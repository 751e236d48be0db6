"""Streams that are sent within a test's own process: rows, a scripted collector, a fake clock."""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

from swarm.checkpoint.ledger import ACKNOWLEDGED, Ledger
from swarm.collector.client import CollectorClient, LastPacket, LastPacketReply, Outcome
from swarm.collector.retry import Verdict, verdict_of
from swarm.collector.transport.base import Access
from swarm.config.options import Upload
from swarm.csv import MeterReader, Row, Window
from swarm.delivery.context import Context
from swarm.delivery.result import Tally
from swarm.delivery.state import LOCAL
from swarm.delivery.task import ItemBatch, RowItem, Task, notes_of
from swarm.packet import VALUE, body, digest, instant_of, timestamp
from swarm.scheduler import THREADS
from tests.simulation.collector import Clock
from tests.support.meters import looked_at, meter_of, written

MINUTE = 60_000
STREAM = "m"


def item(minute: int, value: str = "1.5", line: int = 1) -> RowItem:
    """Return the row of a single-value file at a minute of the epoch."""
    row = Row(minute * MINUTE, 0, value, 0, line, f"{minute},{value}")
    return packet_of(row, (VALUE,), (Path("m.csv"),))


def packet_of(row: Row, registers: tuple[str, ...], files: tuple[Path, ...]) -> RowItem:
    """Return the packet of a row."""
    return RowItem(row, digest(body(registers, row.cells)), registers, files)


class Items(ItemBatch):
    """A batch of these rows."""

    def __init__(self, items: Iterable[RowItem]) -> None:
        self.items = list(items)
        self.instants = [each.instant for each in self.items]
        self.digests = [each.digest for each in self.items]

    def item(self, index: int) -> RowItem:
        """Return the row itself."""
        return self.items[index]


def batches(items: Iterable[RowItem], size: int = 2) -> Iterator[ItemBatch]:
    """Yield rows in batches, read when they are asked for."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield Items(batch)


def last_packet(of: RowItem, **fields: object) -> LastPacket:
    """Return a row's packet as the collector gives it back, with other or further fields."""
    return stored_at(of.instant, **{**json.loads(f"{{{of.body}}}"), **fields})


def stored_at(instant: int, **fields: object) -> LastPacket:
    """Return a packet that the collector holds."""
    return LastPacket(instant, {"id": STREAM, "tsISO8601": timestamp(instant, 0), **fields})


def holds(last: LastPacket | None) -> LastPacketReply:
    """Return the answer to the question for the last packet; None if nothing is stored."""
    if last is None:
        return LastPacketReply(outcome(404), is_known=True)
    return LastPacketReply(outcome(200), is_known=True, last=last)


def tells_nothing(status: int) -> LastPacketReply:
    """Return an answer that does not contain the last packet."""
    return LastPacketReply(outcome(status))


def outcome(status: int, wait: float | None = None) -> Outcome:
    """Return the outcome of an exchange that was answered with a status."""
    return Outcome(verdict_of(status), f"HTTP {status}", status, wait)


class Posted(NamedTuple):
    """The outcome of a packet, and whether the collector stores it."""

    outcome: Outcome
    is_stored: bool = False


def lost(*, is_stored: bool) -> Posted:
    """Return the outcome of a packet whose answer never came."""
    return Posted(Outcome(Verdict.UNSETTLED, "connection reset"), is_stored)


def answered(status: int) -> Posted:
    """Return the outcome of a packet that is answered with a status, and not stored."""
    return Posted(outcome(status))


class ScriptedCollector:
    """The client of a collector in memory; it plays ``posts`` and ``answers``, one per request.

    None, and every request after the last, gets the answer of a collector that works: it stores
    each packet, and its last packet is the one that came last. ``calls`` are the requests: the
    method and the time.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        posts: Iterable[Posted | None] = (),
        answers: Iterable[LastPacketReply | None] = (),
    ) -> None:
        self.calls: list[tuple[str, float]] = []
        self.packets: list[bytes] = []
        self.stored: list[bytes] = []
        self._clock = clock
        self._posts = deque(posts)
        self._answers = deque(answers)

    def post(self, _: str, packet: bytes) -> Outcome:
        """Take a packet."""
        self.calls.append(("POST", self._clock.now))
        self.packets.append(packet)
        step = self._posts.popleft() if self._posts else None
        step = step or Posted(outcome(200), is_stored=True)
        if step.is_stored:
            self.stored.append(packet)
        return step.outcome

    def last_packet(self, _url: str, _stream: str) -> LastPacketReply:
        """Answer the question for the last packet."""
        self.calls.append(("GET", self._clock.now))
        answer = self._answers.popleft() if self._answers else None
        return answer or holds(self._last())

    def renew(self) -> None:
        """Begin a fresh session."""

    def _last(self) -> LastPacket | None:
        if not self.stored:
            return None
        fields = json.loads(self.stored[-1])
        return LastPacket(instant_of(fields["tsISO8601"]), fields)

    @property
    def asked(self) -> list[float]:
        """The times of the questions for the last packet."""
        return [moment for method, moment in self.calls if method == "GET"]

    @property
    def methods(self) -> list[str]:
        """The methods of the requests."""
        return [method for method, _ in self.calls]

    @property
    def values(self) -> list[object]:
        """The values of all packets that came, stored or not."""
        return [json.loads(packet)[VALUE] for packet in self.packets]


class StreamContext:
    """The services of a process for one stream; waits take no real time.

    ``turns`` are errors, or None, that the next waits for a request's turn end with.
    """

    scheduler = THREADS
    state = LOCAL

    def __init__(
        self,
        clock: Clock,
        collector: ScriptedCollector,
        turns: Iterable[Exception | None] = (),
    ) -> None:
        self.sleeps: list[float] = []
        self.refused: set[int] = set()
        self.is_lock_free = True
        self.has_slot = False
        self.unlocked: list[str] = []
        self._clock = clock
        self._collector = collector
        self._turns = deque(turns)

    def acquire_slot(self, _: Access) -> CollectorClient:
        """Return the client of the only collector."""
        assert not self.has_slot
        self.has_slot = True
        return cast(CollectorClient, self._collector)

    def release_slot(self, _: CollectorClient) -> None:
        """Take the slot back."""
        self.has_slot = False

    def is_slot_recalled(self) -> bool:
        """Return False: this stream has the only slot."""
        return False

    def wait_for_turn(self, _: int) -> None:
        """Raise the next error, if there is one."""
        error = self._turns.popleft() if self._turns else None
        if error is not None:
            raise error

    def sleep(self, seconds: float, _: int) -> None:
        """Let time go by; a stream that waits may not hold a slot."""
        assert not self.has_slot
        self.sleeps.append(seconds)
        self._clock.sleep(seconds)

    def record_outcome(self, _outcome: Outcome, _credential: int) -> None:
        """Do nothing: there is no other stream."""

    def is_outage(self, _: float) -> bool:
        """Return False: the collector answers."""
        return False

    def refuse_credential(self, credential: int) -> None:
        """Record the credential."""
        self.refused.add(credential)

    def raise_if_stopped(self, _: int) -> None:
        """Do nothing: the stream stops by ``turns``."""

    def lock_stream(self, _: Task) -> bool:
        """Return True if no other process holds the stream."""
        return self.is_lock_free

    def unlock_stream(self, task: Task) -> None:
        """Record the stream."""
        self.unlocked.append(task.meter.id)

    def follow_tally(self, _task: Task, _tally: Tally) -> None:
        """Do nothing: there is no parent process."""

    def publish_tally(self, _task: Task, _tally: Tally) -> None:
        """Do nothing: there is no parent process."""


def as_context(context: StreamContext) -> Context:
    """Check that a context has all that the delivery of a stream needs."""
    return context


def task_of(
    folder: Path, lines: Sequence[str], *, window: Window | None = None, **upload: Any
) -> Task:
    """Return the task of a stream whose file has these lines; ``upload`` are its settings."""
    path = written(folder / "m.csv", "".join(f"{line}\n" for line in lines))
    window = window or Window()
    return Task(
        meter=meter_of(path),
        checked=looked_at(path, window=window),
        upload=Upload(since=window.since, until=window.until, **upload),
        url="",
        collector="collector",
        state=str(folder / "state"),
        access=Access("acme", "s3cr%et"),
        credential=0,
    )


def items_of(task: Task) -> list[RowItem]:
    """Return all rows of a task's files."""
    return list(items_from(task, task.reader(Window())))


def items_from(task: Task, reader: MeterReader) -> Iterator[RowItem]:
    """Yield the rows of a task's files that a reader reads."""
    for batch in task.batches(reader):
        yield from map(batch.item, range(len(batch.instants)))


def record(ledger: Ledger, *items: RowItem, kind: int = ACKNOWLEDGED) -> None:
    """Note, send and record rows, as a run does."""
    for each in items:
        ledger.note(notes_of([each]))
        ledger.mark_in_flight()
        ledger.record(each.instant, each.digest, kind)


def kill(ledger: Ledger, *in_flight: RowItem) -> None:
    """End the process that holds a ledger; of the noted rows the first is in flight."""
    if in_flight:
        ledger.note(notes_of(in_flight))
        ledger.mark_in_flight()
    ledger._file.close()


def reopened(path: Path) -> Ledger:
    """Open the ledger that is there."""
    ledger = Ledger.open(path, STREAM)
    assert ledger is not None
    return ledger
