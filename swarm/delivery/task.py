"""One stream to send, as plain data: the task, its target, and its packets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from swarm.checkpoint import paths
from swarm.checkpoint.ledger_format import Note
from swarm.collector.transport.base import Access
from swarm.config.options import Upload
from swarm.config.settings import Credentials, Meter, Settings
from swarm.config.urls import with_route
from swarm.csv import Batch, CheckResult, MeterReader, Row, Window
from swarm.delivery.result import RowPlace, StreamProblem
from swarm.delivery.settled import newest_sent
from swarm.errors import ExitCode
from swarm.localtime import DAY_MS
from swarm.packet import Mark, body, digests, marks, same_measurements
from swarm.scheduler import THREADS, Scheduler

if TYPE_CHECKING:
    from swarm.collector.client import LastPacket

LOCKED = StreamProblem("locked", "another run is sending this stream", ExitCode.LOCKED)


def files_problem(checked: CheckResult) -> StreamProblem | None:
    """Return the first problem of a meter's files, None if they can be sent.

    The check shows the others when it reports the meter.
    """
    if checked.is_sound:
        return None
    first = checked.problems[0]
    problem = StreamProblem(first.kind, str(first), ExitCode.DATA)
    return problem.at(RowPlace(first.file, first.line))


class Target(NamedTuple):
    """The URL and user for a stream's packets; ``credential`` is its number in the run."""

    stream: str
    url: str
    access: Access
    credential: int


@dataclass(frozen=True)
class Task:
    """One stream to send; ``credential`` is the number of its credentials in the run.

    ``url`` is complete with the meter's route; ``collector`` names the folder of its checkpoint.
    """

    meter: Meter
    checked: CheckResult
    upload: Upload
    url: str
    collector: str
    state: str
    access: Access
    credential: int

    @property
    def target(self) -> Target:
        """The target of the stream's packets."""
        return Target(self.meter.id, self.url, self.access, self.credential)

    @property
    def newest(self) -> int:
        """An upper bound (ms) of the instants that rows of the files are sent with."""
        lasts = [file.last for file in self.checked.checked_files if file.last is not None]
        return max(lasts, default=0) + round(self.meter.rules.shift * 1000)

    @property
    def window(self) -> Window:
        """The period that was asked for."""
        return Window(self.upload.since, self.upload.until)

    def reader(self, window: Window, scheduler: Scheduler = THREADS) -> MeterReader:
        """Return a reader of all rows in a period, for a job of a scheduler."""
        meter = self.meter if self.checked.is_padded else self.meter.unpadded
        return MeterReader(meter, self.checked.checked_files, window, scheduler)

    def unsettled_reader(self, scheduler: Scheduler = THREADS) -> MeterReader:
        """Return a reader of the rows that were asked for, but for the settled part."""
        settled = self.checked.settled
        if settled is None:
            return self.reader(self.window, scheduler)
        files, meter = self.checked.checked_files, self.meter
        return MeterReader(meter, files, self.window, scheduler, settled=settled)

    @property
    def settled_until(self) -> int | None:
        """The instant (ms) that no packet of the settled part is after; None without one."""
        settled = self.checked.settled
        return newest_sent(self.meter, settled) if settled else None

    def batches(self, reader: MeterReader) -> "Iterator[ItemBatch]":
        """Yield a reader's rows in batches; raises `FileChangedError` while reading."""
        registers, files = self.checked.registers, self.meter.files
        make = partial(ItemBatch, registers=registers, files=files)
        # Unlike a generator, this keeps no batch while the next one is read.
        return map(make, reader.batches())

    @property
    def ledger(self) -> Path:
        """The path of the stream's ledger."""
        return paths.ledger_path(Path(self.state), self.collector, self.meter.id)

    @property
    def rejects(self) -> Path:
        """The path of the stream's rejected rows."""
        return paths.rejects_path(Path(self.state), self.collector, self.meter.id)

    @property
    def senders_lock(self) -> Path:
        """The file in which a worker process locks the stream."""
        return paths.senders_lock(Path(self.state), self.collector)


class Item:
    """A packet to send: its instant (ms) and body."""

    __slots__ = ("body", "instant")

    def __init__(self, instant: int, body: str) -> None:
        self.instant = instant
        self.body = body

    @property
    def place(self) -> RowPlace | None:
        """The place of its row; None if it does not come from a file."""
        return None

    def is_same(self, last: "LastPacket") -> bool:
        """Return True if the collector's last packet is this one."""
        return self.instant == last.instant and same_measurements(self.body, last.fields)


class RowItem(Item):
    """The packet of a row; ``digest`` is the row's digest in the ledger."""

    __slots__ = ("digest", "files", "registers", "row")

    def __init__(
        self, row: Row, row_digest: int, registers: tuple[str, ...], files: tuple[Path, ...]
    ) -> None:
        super().__init__(row.instant, body(registers, row.cells))
        self.digest = row_digest
        self.row = row
        self.registers = registers
        self.files = files

    @property
    def place(self) -> RowPlace:
        """The row's place in its file."""
        return RowPlace(str(self.files[self.row.file]), self.row.line)


class ItemBatch:
    """Rows in order of time: their instants (ms), their digests in the ledger, and their packets.

    A packet is made when it is asked for.
    """

    def __init__(self, batch: Batch, registers: tuple[str, ...], files: tuple[Path, ...]) -> None:
        self.instants = batch.instants
        self.digests = digests(registers, batch.cells())
        self._batch = batch
        self._registers = registers
        self._files = files

    def item(self, index: int) -> RowItem:
        """Return the packet of one of the rows, counted from 0."""
        row, row_digest = self._batch.row(index), self.digests[index]
        return RowItem(row, row_digest, self._registers, self._files)

    def day(self, index: int) -> int:
        """Return the day of one of the rows, in local time, counted from 1970-01-01."""
        return day_of(self.item(index).row)


def day_of(row: Row) -> int:
    """Return the day of a row, in local time, counted from 1970-01-01."""
    return (row.instant + row.offset) // DAY_MS


def notes_of(items: Sequence[RowItem]) -> list[Note]:
    """Return the ledger's notes of rows of one stream, written before their packets are sent."""
    found = marks(items[0].registers, [item.row.cells for item in items])
    pairs = zip(items, found, strict=True)
    return [Note(item.instant, item.digest, *mark) for item, mark in pairs]


def is_noted(note: Note, last: "LastPacket") -> bool:
    """Return True if the collector's last packet is the noted row."""
    if note.instant != last.instant:
        return False
    return not note.registers or Mark(note.values, note.registers).is_of(last.fields)


def number_credentials(meters: Sequence[Meter]) -> dict[str, int]:
    """Return a number for each set of credentials, by its name; the default's name is empty."""
    names = dict.fromkeys(_credential_name(meter) for meter in meters)
    return {name: number for number, name in enumerate(names)}


def make_tasks(
    settings: Settings, checked: Mapping[str, CheckResult], url: str | None = None
) -> list[Task]:
    """Return the tasks of the checked streams, longest first: the longest decides the run's end.

    ``url`` is that of the sandbox, if the run has its own.
    """
    numbers = number_credentials(settings.meters)
    tasks = []
    for meter in settings.meters:
        if meter.id in checked:
            task = Task(
                meter=meter,
                checked=checked[meter.id],
                upload=settings.upload,
                url=with_route(url or settings.url or "", meter.route),
                collector=settings.collector,
                state=str(settings.state),
                access=_access(settings, meter),
                credential=numbers[_credential_name(meter)],
            )
            tasks.append(task)
    return sorted(tasks, key=lambda task: -task.checked.packets)


def accesses(settings: Settings) -> tuple[Access, ...]:
    """Return the access of each set of credentials, by its number."""
    numbers = number_credentials(settings.meters)
    found = {numbers[_credential_name(meter)]: meter for meter in settings.meters}
    return tuple(_access(settings, found[number]) for number in sorted(found))


def _access(settings: Settings, meter: Meter) -> Access:
    credentials = meter.credentials or Credentials("", "", "")
    return Access(
        username=credentials.username,
        password=credentials.password,
        timeout=settings.upload.timeout,
        ca_bundle=settings.ca_bundle,
        proxy=settings.proxy,
    )


def _credential_name(meter: Meter) -> str:
    return meter.credentials.name if meter.credentials else ""
