"""The command's side of a seat's state: applies what the seat's jobs do to the streams' files.

A seat names streams, never paths: the files are those of the tasks that it was given.
"""

from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from swarm.checkpoint import doubts
from swarm.checkpoint.ledger import Ledger
from swarm.checkpoint.ledger_file import LedgerFile
from swarm.checkpoint.rejects import RejectedRow
from swarm.cluster.messages import UNANSWERED, Answer, Call, Write
from swarm.config.settings import Meter
from swarm.delivery.check import CheckTask
from swarm.delivery.settled import known_records
from swarm.delivery.state import LOCAL
from swarm.delivery.task import Task
from swarm.errors import StateError, SwarmError
from swarm.run.worker import Job


class StreamFiles:
    """The files of one stream while a seat has its job; for one thread at a time."""

    def __init__(self, task: Task | CheckTask) -> None:
        self._task = task
        self._ledger: LedgerFile | None = None
        self._error: StateError | None = None

    def write(self, offset: int, data: bytes | bytearray | None) -> None:
        """Apply a write to the ledger's file; a failure is the answer to the next `call`."""
        if self._ledger is None or self._error:
            return
        try:
            if data is None:
                self._ledger.truncate(offset)
            else:
                self._ledger.write(data, offset)
        except StateError as error:
            self._error = error

    def call(self, operation: str, arguments: tuple[Any, ...]) -> Any:
        """Do an operation and return its result, or the error that the seat's job must raise."""
        if self._error:
            return self._error
        try:
            return _OPERATIONS[operation](self, *arguments)
        except SwarmError as error:
            return error

    def close(self) -> None:
        """Close the ledger, durably if possible."""
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            with suppress(StateError):
                ledger.sync()
            ledger.close()

    @property
    def _meter(self) -> Meter:
        return self._task.meter

    @property
    def _path(self) -> Path:
        path = self._task.ledger
        if path is None:
            raise StateError(f"{self._meter.id}: this check has no checkpoint")
        return path

    @property
    def _sending(self) -> Task:
        if not isinstance(self._task, Task):
            raise StateError(f"{self._meter.id}: a check changes no checkpoint")
        return self._task

    # The operations

    def _open(self) -> tuple[bytes | None, set[doubts.RowKey], Any]:
        task = self._sending
        self._ledger = LedgerFile.open(task.ledger)
        if self._ledger is None:
            return None, set(), None
        known = known_records(task.meter, task.ledger) if task.checked.settled else None
        return self._ledger.content(), doubts.load(task.ledger), known

    def _create(self, content: bytes) -> None:
        path = self._sending.ledger
        self.close()
        self._ledger = LedgerFile.replaced(path, content)

    def _sync(self) -> None:
        if self._ledger is None:
            raise StateError(f"{self._meter.id}: its checkpoint is not open")
        self._ledger.sync()

    def _doubts(self, rows: set[doubts.RowKey]) -> None:
        ledger = self._sending.ledger
        if rows:
            doubts.store(ledger, rows)
        else:
            doubts.remove(ledger)

    def _reject(self, row: RejectedRow) -> None:
        task = self._sending
        LOCAL.add_reject(task.meter.id, task.rejects, row)

    def _settled(self) -> None:
        task = self._sending
        ledger = Ledger.view(task.ledger, task.meter.id)
        if ledger is not None:
            with closing(ledger):
                LOCAL.store_settled(task.meter, task.checked, ledger)

    def _load_settled(self) -> Any:
        return LOCAL.load_settled(self._meter, self._path)

    def _sent_rows(self, *arguments: Any) -> Any:
        return LOCAL.sent_rows(self._path, self._meter.id, *arguments)

    def _has_begun(self, *arguments: Any) -> bool:
        return LOCAL.has_begun(self._path, self._meter.id, *arguments)


_OPERATIONS: dict[str, Any] = {
    "open": StreamFiles._open,
    "create": StreamFiles._create,
    "sync": StreamFiles._sync,
    "doubts": StreamFiles._doubts,
    "reject": StreamFiles._reject,
    "settled": StreamFiles._settled,
    "load_settled": StreamFiles._load_settled,
    "sent_rows": StreamFiles._sent_rows,
    "has_begun": StreamFiles._has_begun,
}


class Keeper:
    """The files of all streams of which a seat has the jobs."""

    def __init__(self) -> None:
        self._streams: dict[str, StreamFiles] = {}

    def begin(self, jobs: list[Job]) -> None:
        """Take the streams of jobs that are handed to the seat."""
        for job in jobs:
            self._streams[job.task.meter.id] = StreamFiles(job.task)

    def by_stream(self, items: list[Write | Call]) -> dict[str, list[Write | Call]]:
        """Return the items of each stream, in order: streams do not depend on one another."""
        found: dict[str, list[Write | Call]] = {}
        for item in items:
            found.setdefault(item.stream, []).append(item)
        return found

    def apply(self, stream: str, items: list[Write | Call]) -> list[Answer]:
        """Apply the items of one stream; return the answers to its calls."""
        files, answers = self._streams.get(stream), []
        for item in items:
            if files is None:
                continue
            if isinstance(item, Write):
                files.write(item.offset, item.data)
                continue
            result = files.call(item.operation, item.arguments)
            if item.number != UNANSWERED:
                answers.append(Answer(item.number, result))
        return answers

    def end(self, stream: str) -> None:
        """Release the files of a stream whose job has ended."""
        files = self._streams.pop(stream, None)
        if files is not None:
            files.close()

    def close(self) -> None:
        """Release the files of all streams."""
        for stream in list(self._streams):
            self.end(stream)
