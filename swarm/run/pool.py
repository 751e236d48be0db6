"""The pool of workers: the parent's side of a run.

`multiprocessing.Pool` hangs if a worker is killed, and `ProcessPoolExecutor` gives up all workers.
Here each worker has a pipe of its own: the death of one costs the jobs that it was running. Workers
are processes of this computer (`swarm.run.processes`), or of a cluster, whose jobs move to others.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple, Protocol

from swarm.delivery.result import Tally
from swarm.run.report import ClusterUse
from swarm.run.shared import SharedState
from swarm.run.worker import Job, Message

_TICK = 0.1
#: Small jobs that only read are handed out together: at most this many, and bytes to read.
_MOST_TOGETHER = 128
_BYTES_TOGETHER = 1024 * 1024
#: Parts that these jobs are handed out in, at least, for each process.
_PARTS = 4
#: The time (s) that an idle worker has to end by itself.
_SHUTDOWN_SECONDS = 2.0
#: A job that has lost so many workers is not handed out again: it may be the reason.
_MOST_LOST = 3


class Ended(NamedTuple):
    """The end of a worker: ``how``, for a message, and whether its jobs move to other workers."""

    how: str
    moves: bool


class Link(Protocol):
    """The parent's side of one worker: ``sentinel`` is ready once the worker has ended.

    ``slots`` is the number of connection slots that the worker begins with.
    """

    slots: int
    pipe: Connection
    sentinel: Connection | int

    def join(self, seconds: float) -> None:
        """Wait (s) for the end of an idle worker that was asked to end."""

    def kill(self) -> None:
        """End the worker at once, and release what belongs to the link."""

    def ended(self) -> Ended:
        """Return how a worker has ended, and release what belongs to the link."""


class Provider(Protocol):
    """Brings workers to a pool; there are at most ``most`` at a time, if that is known."""

    @property
    def most(self) -> int:
        """The number of workers that there may be."""

    @property
    def is_local(self) -> bool:
        """True if the workers are processes of this computer, which share its memory."""

    @property
    def failure(self) -> str | None:
        """The reason why there will be no more workers, if there is one."""

    def use(self, moved: int) -> ClusterUse | None:
        """Return what was used of a cluster, None without one; ``moved`` streams have moved."""

    def provide(self, wanted: int, present: int, slots: int) -> Iterator[Link]:
        """Yield new workers; ``wanted`` are there jobs for, ``present`` are there already.

        ``slots`` are the connection slots of all workers together.
        """


@dataclass(frozen=True)
class FailedJob:
    """The result of a job whose worker was killed, or that raised an exception.

    ``tally`` is the last that the worker reported.
    """

    message: str
    tally: Tally | None = None
    error: Exception | None = None
    traceback: str | None = None


@dataclass
class _Worker:
    """One worker of the pool: its slots, those of them that are free, and its jobs."""

    link: Link
    slots: int
    free: int
    jobs: dict[int, Job] = field(default_factory=dict)

    def room(self, job: Job) -> int:
        """Return how many jobs like this one the worker can begin now."""
        return self.free if job.needs_slot else 1 - len(self.jobs)

    def send(self, message: list[Job] | str | int | None) -> None:
        """Send a message; if the worker has ended, its sentinel says so.

        None ends an idle worker; after "stop" it sends no more packets; a number is that of its
        connection slots.
        """
        try:
            self.link.pipe.send(message)
        except OSError:
            return


class Pool:
    """A pool of workers; use it as a context manager.

    ``slots`` are the connection slots of all workers together, ``most_slots`` those that there may
    be later, after `resize`.
    """

    def __init__(
        self, shared: SharedState, provider: Provider, slots: int, most_slots: int | None = None
    ) -> None:
        self._shared = shared
        self._provider = provider
        self._slots = slots
        self.most_slots = most_slots or slots
        self._workers: list[_Worker] = []
        self._waiting: deque[Job] = deque()
        self._lost: Counter[int] = Counter()
        self._tallies: dict[str, Tally] = {}
        #: The last tallies of lost workers, for each stream that has moved.
        self.earlier: dict[str, list[Tally]] = {}
        self._changed: dict[str, Tally] = {}
        self.is_stopping = False
        #: The number of streams that have moved to another worker.
        self.moved = 0

    @property
    def is_local(self) -> bool:
        """True if the workers are processes of this computer."""
        return self._provider.is_local

    @property
    def failure(self) -> str | None:
        """The reason why there are no workers any more, if there is one."""
        return self._provider.failure

    def cluster_use(self) -> ClusterUse | None:
        """Return what was used of a cluster; None without one."""
        return self._provider.use(self.moved)

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                for worker in self._workers:
                    worker.send(None)
                for worker in self._workers:
                    worker.link.join(_SHUTDOWN_SECONDS)
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill all workers; what they sent is in their checkpoints, or can be settled."""
        while self._workers:
            # Removed first: if a signal interrupts this, the next call continues with the rest.
            self._workers.pop().link.kill()

    def stop(self) -> None:
        """Send no new packets and begin no more jobs; packets under way are finished.

        Their results still come: `run` goes on until no worker is busy.
        """
        self.is_stopping = True
        self._shared.stop()
        for worker in self._workers:
            worker.send("stop")

    def resize(self, slots: int) -> None:
        """Change the number of connection slots; streams release theirs before a packet."""
        self._slots = slots
        self._share_out()

    def start(self, jobs: int) -> None:
        """Start workers for this many jobs; they get ready while this process goes on."""
        links = list(self._provider.provide(jobs, len(self._workers), self._slots))
        self._workers += [_Worker(link, link.slots, link.slots) for link in links]
        if links and not self.is_local:
            self._share_out()

    def run(
        self,
        function: str,
        tasks: Sequence[Any],
        tick: Callable[[Mapping[str, Tally]], None],
        *,
        need_slots: bool = True,
        sizes: Sequence[int] | None = None,
    ) -> Iterator[tuple[int, Any]]:
        """Yield (number of the task, result) as results come; a `FailedJob` if there is none.

        Tasks are begun in their order as slots become free; those that need no slot, one per
        worker. ``sizes`` are the bytes that each of these reads: several small ones go to a
        worker together. ``tick`` is called about ten times a second with the tallies that have
        changed, and at the end. After `stop`, tasks that were not begun have no result.
        """
        jobs = (Job(number, function, task, need_slots) for number, task in enumerate(tasks))
        self._waiting = waiting = deque(jobs)
        self._lost.clear()
        next_tick = 0.0
        self.start(len(waiting))
        while True:
            self._hand_out(sizes)
            if self.failure:
                yield from self._fail(self.failure)
            is_busy = any(worker.jobs for worker in self._workers)
            is_over = not is_busy and (self.is_stopping or not waiting)
            if not is_over:
                yield from self._listen()
            now = time.monotonic()
            if is_over or now >= next_tick:
                next_tick = now + _TICK
                changed, self._changed = self._changed, {}
                tick(changed)
            if is_over:
                return

    def _share_out(self) -> None:
        """Share the slots between the workers; one with streams has at least one."""
        count = len(self._workers)
        for index, worker in enumerate(self._workers):
            slots = self._slots // count + (index < self._slots % count)
            slots = max(slots, 1) if worker.jobs else slots
            if slots != worker.slots:
                worker.slots = slots
                worker.send(slots)

    def _hand_out(self, sizes: Sequence[int] | None) -> None:
        waiting, handed = self._waiting, dict[int, list[Job]]()
        self.start(1 if waiting and not self.is_stopping else 0)
        while waiting and not self.is_stopping:
            job = waiting[0]
            worker = max(self._workers, key=lambda worker: worker.room(job), default=None)
            if worker is None or worker.room(job) < 1:
                break
            for each in self._next_together(waiting, sizes):
                worker.free -= each.needs_slot
                worker.jobs[each.number] = each
                handed.setdefault(self._workers.index(worker), []).append(each)
        for index, jobs in handed.items():
            self._workers[index].send(jobs)
        if any(not self._workers[index].slots for index in handed):
            # It had not heard yet that it has no slots any more: it gets one.
            self._share_out()

    def _next_together(self, waiting: deque[Job], sizes: Sequence[int] | None) -> list[Job]:
        """Take the next job, or several small ones, from those that wait."""
        jobs = [waiting.popleft()]
        if sizes is None:
            return jobs
        most = min(len(sizes) // (_PARTS * self._provider.most), _MOST_TOGETHER)
        left = _BYTES_TOGETHER - sizes[jobs[0].number]
        while waiting and len(jobs) < most and (left := left - sizes[waiting[0].number]) >= 0:
            jobs.append(waiting.popleft())
        return jobs

    def _listen(self) -> Iterator[tuple[int, Any]]:
        """Wait for messages; yield results, also of workers that have ended."""
        sources = {worker.link.pipe: worker for worker in self._workers}
        ready = wait([*sources, *(worker.link.sentinel for worker in self._workers)], _TICK)
        for pipe in ready:
            if isinstance(pipe, Connection) and pipe in sources:
                yield from self._take_in(sources[pipe], _received(sources[pipe]) or ())
        for worker in [worker for worker in self._workers if worker.link.sentinel in ready]:
            while worker.link.pipe.poll() and (messages := _received(worker)) is not None:
                yield from self._take_in(worker, messages)
            self._workers.remove(worker)
            yield from self._give_up(worker, worker.link.ended())
            self._share_out()

    def _fail(self, why: str) -> Iterator[tuple[int, FailedJob]]:
        """Yield that all jobs have failed: there are no workers any more."""
        self.is_stopping = True
        begun = [job for job in self._waiting if self._lost[job.number]]
        self._waiting.clear()
        for job in (*begun, *(job for worker in self._workers for job in worker.jobs.values())):
            yield job.number, FailedJob(why, self._tallies.get(job.stream))
        for worker in self._workers:
            worker.jobs.clear()

    def _give_up(self, worker: _Worker, ended: Ended) -> Iterator[tuple[int, FailedJob]]:
        """Hand the jobs of a worker that has ended to others, or yield that they have failed."""
        moved = []
        for number, job in worker.jobs.items():
            self._lost[number] += 1
            tally = self._tallies.get(job.stream)
            moves = ended.moves and self._lost[number] < _MOST_LOST
            if moves and not (self.is_stopping or self.failure):
                moved.append(job)
                self.moved += job.needs_slot
                if tally is not None:
                    self.earlier.setdefault(job.stream, []).append(tally)
            else:
                yield number, FailedJob(ended.how, tally)
        self._waiting.extendleft(reversed(moved))

    def _take_in(self, worker: _Worker, messages: Iterable[Message]) -> Iterator[tuple[int, Any]]:
        """Take in a worker's messages; yield results."""
        for kind, content in messages:
            if kind == "free":
                worker.free += content
            elif kind == "tallies":
                self._tallies.update(content)
                self._changed.update(content)
            elif kind == "result":
                number, result = content
                del worker.jobs[number]
                yield number, result
            else:
                number, error, line, trace = content
                del worker.jobs[number]
                yield number, FailedJob(line, error=error, traceback=trace)


def _received(worker: _Worker) -> list[Message] | None:
    """Return the next messages of a worker, None if it has ended and all have been read."""
    try:
        messages: list[Message] = worker.link.pipe.recv()
    except (EOFError, OSError):
        return None
    return messages
