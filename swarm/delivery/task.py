"""One stream to send, as plain data: the task, its target, and its rows as they go out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from swarm.checkpoint import paths
from swarm.checkpoint.ledger_format import Note
from swarm.collector.client import LastPacket
from swarm.collector.transport.base import Access
from swarm.config.options import Upload
from swarm.config.settings import Credentials, Meter, Settings
from swarm.config.urls import with_route
from swarm.csv import CheckResult, MeterReader, Row, Window
from swarm.delivery.result import StreamProblem
from swarm.packet import Mark, body, digest, mark, same_measurements
from swarm.scheduler import THREADS, Scheduler

LOCKED = StreamProblem("locked", "another run is sending this stream", 6)


def invalid(survey: CheckResult) -> StreamProblem | None:
    """Return the first problem of a meter's files, None if they may be sent."""
    if survey.is_sound:
        return None
    first = survey.problems[0]
    return StreamProblem(first.kind, str(first), 3, line=first.line, file=first.file)


@dataclass(frozen=True)
class Task:
    """One stream to send, as plain data; ``credential`` is its number on the run's board."""

    meter: Meter
    survey: CheckResult
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
        return paths.ledger_path(Path(self.state), self.collector, self.meter.id)

    @property
    def rejects(self) -> Path:
        """Where the stream's rejected rows are kept."""
        return paths.rejects_path(Path(self.state), self.collector, self.meter.id)

    @property
    def senders_lock(self) -> Path:
        """The file in which a worker locks the stream."""
        return paths.senders_lock(Path(self.state), self.collector)


class Target(NamedTuple):
    """Where a stream's packets go, by whom, and for how long (s) each is tried."""

    stream: str
    url: str
    access: Access
    credential: int
    retry_for: float


class RowPlace(NamedTuple):
    """The row that a problem is about."""

    file: str
    line: int


class Item:
    """A packet to send: its instant (ms) and body."""

    __slots__ = ("body", "instant")

    def __init__(self, instant: int, body: str) -> None:
        self.instant = instant
        self.body = body

    @property
    def where(self) -> RowPlace | None:
        """The row that it comes from, if it comes from a file."""
        return None

    def is_same(self, last: LastPacket) -> bool:
        """Tell whether a packet that the collector holds is this one."""
        return self.instant == last.instant and same_measurements(self.body, last.fields)


def is_noted(note: Note, last: LastPacket) -> bool:
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
    def where(self) -> RowPlace:
        """The row in its file."""
        return RowPlace(str(self.files[self.row.file]), self.row.line)


def number_credentials(meters: Sequence[Meter]) -> dict[str, int]:
    """Return each credential set's number on the board."""
    names = dict.fromkeys(credential_name(meter) for meter in meters)
    return {name: number for number, name in enumerate(names)}


def credential_name(meter: Meter) -> str:
    """Return the name of a meter's credential set, empty for the default."""
    return meter.credentials.name if meter.credentials else ""


def make_tasks(
    settings: Settings, surveys: Mapping[str, CheckResult], url: str | None = None
) -> list[Task]:
    """Make the tasks of the streams that were surveyed, the longest first: it decides the end.

    ``url`` is that of a collector which the run brings.
    """
    numbers = number_credentials(settings.meters)
    tasks = [
        Task(
            meter=replace(meter, url=with_route(url, meter.route)) if url else meter,
            survey=surveys[meter.id],
            upload=settings.upload,
            collector=settings.collector,
            state=str(settings.state),
            access=_access(settings, meter),
            credential=numbers[credential_name(meter)],
        )
        for meter in settings.meters
        if meter.id in surveys
    ]
    return sorted(tasks, key=lambda task: -task.survey.packets)


def _access(settings: Settings, meter: Meter) -> Access:
    credentials = meter.credentials or Credentials("", "", "")
    return Access(
        username=credentials.username,
        password=credentials.password,
        timeout=settings.upload.timeout,
        ca_bundle=settings.ca_bundle,
        proxy=settings.proxy,
    )
