"""The parts of sending one stream: its target, the context that it runs in, the ways it can end."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from swarm import state
from swarm.collector import Last, Link, Outcome
from swarm.errors import SwarmError
from swarm.events import StreamProblem, Tally
from swarm.ledgerformat import Note
from swarm.meterfile import MeterReader, Row, Survey, Window
from swarm.options import Upload
from swarm.packet import Mark, body, digest, mark, same_measurements
from swarm.retry import backoff
from swarm.scheduler import THREADS, Scheduler
from swarm.settings import Meter
from swarm.transport import Access

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERRUPTED: Final = "interrupted"
LOCKED = StreamProblem("locked", "another run is sending this stream", 6)


def invalid(survey: Survey) -> StreamProblem | None:
    """Return the first problem of a meter's files, None if they may be sent."""
    if survey.is_sound:
        return None
    first = survey.problems[0]
    return StreamProblem(first.kind, str(first), 3, line=first.line, file=first.file)


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

    @property
    def target(self) -> "Target":
        """Where the stream's packets go."""
        return Target(
            stream=self.meter.id,
            url=self.meter.url,
            access=self.access,
            credential=self.credential,
            retry_for=self.upload.retry_for,
        )

    @property
    def newest(self) -> int:
        """An instant (ms) that no row of the files is sent after."""
        lasts = [span.last for span in self.survey.spans if span.last is not None]
        return max(lasts, default=0) + round(self.meter.rules.shift * 1000)

    @property
    def window(self) -> Window:
        """The rows that were asked for."""
        return Window(self.upload.since, self.upload.until)

    def reader(self, window: Window, scheduler: Scheduler = THREADS) -> MeterReader:
        """Return what reads the rows of a window, in a job of a scheduler."""
        meter = self.meter if self.survey.is_padded else self.meter.unpadded
        return MeterReader(meter, self.survey.spans, window, scheduler)

    def items(self, reader: MeterReader) -> "Iterator[RowItem]":
        """Begin a pass over a reader's rows; raises `FileChangedError` on its way."""
        registers, files = self.survey.registers, self.meter.files
        return (RowItem(row, registers, files) for row in reader.rows())

    @property
    def ledger(self) -> Path:
        """Where the stream's ledger lies."""
        return state.ledger_path(Path(self.state), self.collector, self.meter.id)

    @property
    def rejects(self) -> Path:
        """Where the stream's rejected rows are kept."""
        return state.rejects_path(Path(self.state), self.collector, self.meter.id)

    @property
    def senders_lock(self) -> Path:
        """The file in which a worker locks the stream."""
        return state.senders_lock(Path(self.state), self.collector)


class Target(NamedTuple):
    """Where a stream's packets go, by whom, and for how long (s) each is tried."""

    stream: str
    url: str
    access: Access
    credential: int
    retry_for: float


class Where(NamedTuple):
    """The row that a problem is about."""

    file: str
    line: int


class Halted(SwarmError):  # noqa: N818 - like Ended
    """The run is told to stop: no new packets."""

    exit_code = 5


class Down(SwarmError):  # noqa: N818 - like Ended
    """The collector was out of reach for as long (s) as a packet may be tried; ``words`` say so."""

    exit_code = 5

    def __init__(self, seconds: float, words: str) -> None:
        super().__init__(seconds, words)
        self.seconds = seconds
        self.words = words

    def __str__(self) -> str:
        return (
            f"given up after {self.seconds:g} s: {self.words}; run the same command again to go on"
        )


class Ended(Exception):  # noqa: N818 - the end of a stream, told in its result
    """A stream ends before its last row; ``stops_run`` if no other stream can do better."""

    def __init__(self, problem: StreamProblem, *, stops_run: bool = False) -> None:
        super().__init__(problem, stops_run)
        self.problem = problem
        self.stops_run = stops_run


class ExchangeContext(Protocol):
    """The services of a process that exchanges with a collector need."""

    def enter(self, access: Access) -> Link:
        """Wait for a place and return a session in it; raises `Halted`."""

    def leave(self, link: Link) -> None:
        """Give the place back, and the session with it."""

    def may_send(self, credential: int) -> None:
        """Wait for the rate limit and for a collector that is down; raises `Halted`, `Down`."""

    def sleep(self, seconds: float, credential: int) -> None:
        """Wait; raises `Halted` soon after the run, or the credential's streams, are to stop."""

    def heard(self, outcome: Outcome, credential: int) -> None:
        """Take note of an exchange: for the others, and for the run as a whole."""

    def gives_up(self, retry_for: float) -> bool:
        """Tell whether no stream got an answer for so many seconds."""

    def is_accepted(self, credential: int) -> bool:
        """Tell whether the collector took a packet under this credential in this run."""

    def condemn(self, credential: int) -> None:
        """Stop all streams of a credential."""


class Context(ExchangeContext, Protocol):
    """The services of a process that a stream from a file needs."""

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler that runs the streams side by side."""

    def check(self, credential: int) -> None:
        """Raise `Halted` if the run, or the streams of a credential, are to stop."""

    def is_condemned(self, credential: int) -> bool:
        """Tell whether a stream found that the collector does not know the credential."""

    def lock(self, task: Task) -> bool:
        """Lock the stream for as long as this process may send it; False if another holds it."""

    def unlock(self, task: Task) -> None:
        """Let go of the stream."""

    def follow(self, task: Task, tally: Tally) -> None:
        """Let the parent see a stream's tally from now on."""


def halted(task: Task, context: Context) -> StreamProblem:
    """Return why a stream that was told to stop had to."""
    if context.is_condemned(task.credential):
        user = task.access.username
        message = f"not sent: the collector does not accept the credentials of {user}"
        return StreamProblem("unauthorized", message, 4, status=401)
    return StreamProblem(INTERRUPTED, "stopped before its last row", 5)


class Item:
    """A packet to send: its instant (ms) and body."""

    __slots__ = ("body", "instant")

    def __init__(self, instant: int, body: str) -> None:
        self.instant = instant
        self.body = body

    @property
    def where(self) -> Where | None:
        """The row that it comes from, if it comes from a file."""
        return None

    def is_same(self, last: Last) -> bool:
        """Tell whether a packet that the collector holds is this one."""
        return self.instant == last.instant and same_measurements(self.body, last.fields)


def is_noted(note: Note, last: Last) -> bool:
    """Tell whether a packet that the collector holds is of a row that the ledger has a note of."""
    if note.instant != last.instant:
        return False
    return not note.registers or Mark(note.values, note.registers).is_of(last.fields)


class RowItem(Item):
    """A row of a meter's file on its way; ``digest`` is what the ledger knows it by."""

    __slots__ = ("digest", "files", "registers", "row")

    def __init__(self, row: Row, registers: tuple[str, ...], files: tuple[Path, ...]) -> None:
        super().__init__(row.instant, body(registers, row.cells))
        self.digest = digest(self.body)
        self.row = row
        self.registers = registers
        self.files = files

    @property
    def note(self) -> Note:
        """The ledger's note of the row before it goes out."""
        return Note(self.instant, self.digest, *mark(self.registers, self.row.cells))

    @property
    def where(self) -> Where:
        """The row in its file."""
        return Where(str(self.files[self.row.file]), self.row.line)


class Patience:
    """The time spent on trying a packet; waits that the collector asked for do not count."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._attempt = 0
        self._start: float | None = None
        self._asked = 0.0

    def is_used_up(self) -> bool:
        """Tell whether the packet was tried for long enough; the first call starts the clock."""
        return self._left() <= 0

    def next_wait(self, asked: float | None) -> float:
        """Return the seconds to wait: what the collector asked for, or a step of the backoff.

        A collector that asks to be tried at once is, but once: it may ask for that for ever.
        """
        if asked:
            self._asked += asked
            return asked
        self._attempt += 1
        if asked == 0 and self._attempt == 1:
            return 0.0
        return min(backoff(self._attempt - 1), max(self._left(), 0.0))

    def _left(self) -> float:
        now = time.monotonic()
        self._start = now if self._start is None else self._start
        return self._seconds - (now - self._start - self._asked)
