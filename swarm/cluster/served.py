"""A seat on the command's side: its link to the pool, its lease, and the exchanges with it."""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Protocol

from swarm.checkpoint.grants import LEASE_SECONDS, Grants, boottime
from swarm.cluster import seat
from swarm.cluster.keeper import Keeper
from swarm.cluster.messages import Answer, Hello, Order, Report, seal, unseal
from swarm.collector.transport.base import Access
from swarm.config.options import Upload
from swarm.delivery.check import CheckTask
from swarm.delivery.result import StreamResult, Tally
from swarm.delivery.task import Task
from swarm.run.pool import Ended
from swarm.run.shared import SharedState
from swarm.run.worker import Job, Message
from swarm.text import pluralize

#: The longest time (s) between two looks at what a seat must be told.
_LOOK_SECONDS = 0.5
#: The time (s) that a seat has to end when the run does.
CLOSE_SECONDS = 3.0
_NO_ACCESS = Access("", "")


class Channel(Protocol):
    """The channel as a seat uses it; in its thread."""

    run_id: str
    upload: Upload
    shared: SharedState
    grants: Grants | None
    executor: ThreadPoolExecutor
    #: Dask's client, which has no annotations.
    client: Any

    @property
    def seats(self) -> "Sequence[ServedSeat]":
        """All seats of the run."""

    async def call(
        self, address: str, seconds: float, function: Callable[..., Any], *arguments: Any
    ) -> Any:
        """Call a function in a worker process; raises any error, also if it takes too long."""

    def notice(self, text: str) -> None:
        """Have a notice shown."""

    def refused(self) -> frozenset[int]:
        """Return the credentials that the collector has refused, to any seat."""

    def rate_limit(self) -> float | None:
        """Return the share of a seat in the requests a second."""


class SeatLink:
    """The pool's side of a seat: a `swarm.run.pool.Link`."""

    def __init__(self, pipe: Connection, sentinel: Connection) -> None:
        self.slots = 0
        self.pipe = pipe
        self.sentinel: Connection | int = sentinel
        self._sentinel = sentinel
        self.how = "its worker was lost"

    def join(self, seconds: float) -> None:
        """Wait (s) for the end of the seat."""
        with suppress(OSError, EOFError):
            self._sentinel.poll(seconds)

    def kill(self) -> None:
        """Have the seat end at once."""
        self.pipe.close()

    def ended(self) -> Ended:
        """Return how the seat has ended: its jobs move."""
        self.pipe.close()
        self._sentinel.close()
        return Ended(self.how, moves=True)


class ServedSeat:
    """A seat as the channel's thread serves it.

    ``is_over`` is True once the seat can't send any more, ``is_lost`` if it did not end in order.
    """

    def __init__(self, cluster: Channel, address: str, hello: Hello) -> None:
        ours, self._pipe = Pipe()
        sentinel, self._sentinel = Pipe(duplex=False)
        self.link = SeatLink(ours, sentinel)
        self.hello = hello
        self.name = f"worker {address} on {hello.host}"
        self.is_there = True
        self.is_over = False
        self.is_lost = False
        self.refused: frozenset[int] = frozenset()
        self.is_down = False
        self._cluster = cluster
        self.address = address
        self._keeper = Keeper()
        self._running: dict[int, Job] = {}
        self._clock = hello.clock
        self._heard = boottime()
        self._offset = time.monotonic() - hello.monotonic
        self._congested = 0
        self._messages: list[Any] = []
        self._answers: list[Answer] = []
        self._told: tuple[frozenset[int], float | None] = (frozenset(), None)
        self._is_due = asyncio.Event()
        self._is_closing = asyncio.Event()
        self._reports: asyncio.Queue[Report | None] = asyncio.Queue()

    @property
    def is_busy(self) -> bool:
        """True if the seat is there and has jobs."""
        return self.is_there and bool(self._running)

    def close(self) -> None:
        """End the seat."""
        self._is_closing.set()

    async def serve(self) -> None:
        """Exchange reports and orders until the seat has ended, or is lost."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pipe.fileno(), self._read_pipe)
        occupied = self._cluster.client.submit(
            seat.occupy,
            self._cluster.run_id,
            key=f"swarm-{self._cluster.run_id}-{uuid.uuid4().hex[:8]}",
            workers=[self.address],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
        applying = asyncio.create_task(self._apply_all())
        ordering = asyncio.create_task(self._order())
        reporting = asyncio.create_task(self._report())
        closing = asyncio.create_task(self._is_closing.wait())
        try:
            await asyncio.wait({ordering, reporting, closing}, return_when=asyncio.FIRST_COMPLETED)
            if closing.done() and not self.is_over:
                await self._end_now()
            elif not self.is_over:
                await self._outlive()
            ordering.cancel()
            reporting.cancel()
            self._reports.put_nowait(None)
            await applying
        finally:
            for task in (applying, ordering, reporting, closing):
                task.cancel()
            self.is_there = False
            with suppress(Exception):
                occupied.release()
            loop.remove_reader(self._pipe.fileno())
            await loop.run_in_executor(self._cluster.executor, self._keeper.close)
            self._sentinel.close()
            self._pipe.close()

    async def _outlive(self) -> None:
        """Wait until the lease is over, and what was sent last has reached the collector."""
        self.is_there, self.is_lost = False, True
        cluster = self._cluster
        settle = cluster.upload.settle
        left = self._heard + LEASE_SECONDS + settle - boottime()
        streams = sum(job.needs_slot for job in self._running.values())
        moves = f"; its {pluralize(streams, 'stream')} go on elsewhere" if streams else ""
        wait = f" in {left:.0f} s" if streams and left > 0 else ""
        cluster.notice(f"{self.name} is lost{moves}{wait}")
        self.link.how = f"{self.name} was lost"
        while (left := self._heard + LEASE_SECONDS + settle - boottime()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_closing.wait(), left)
            if self._is_closing.is_set():
                return
        self.is_over = True

    async def _end_now(self) -> None:
        with suppress(Exception):
            await self._cluster.call(
                self.address, CLOSE_SECONDS, seat.close_seat, self._cluster.run_id
            )
            self.is_over = True

    async def _report(self) -> None:
        """Extend the lease and take in reports; return when the seat has ended or fails."""
        loop, cluster = asyncio.get_running_loop(), self._cluster
        with suppress(Exception):
            while True:
                if cluster.grants is not None:
                    until = self._heard + LEASE_SECONDS
                    await loop.run_in_executor(None, cluster.grants.cover, until)
                granted = self._clock + LEASE_SECONDS
                left = self._heard + LEASE_SECONDS - boottime()
                sealed = await cluster.call(
                    self.address, max(left, 0.1), seat.report, cluster.run_id, granted
                )
                heard = boottime()
                if sealed is None:
                    self.is_over = True
                    return
                report: Report = unseal(sealed)
                self._heard, self._clock = heard, report.clock
                self._offset = time.monotonic() - report.monotonic
                self._take_in_facts(report)
                self._reports.put_nowait(report)

    async def _order(self) -> None:
        """Send orders as they are due; return when one fails."""
        cluster = self._cluster
        with suppress(Exception):
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._is_due.wait(), _LOOK_SECONDS)
                self._is_due.clear()
                facts = cluster.refused(), cluster.rate_limit()
                if not (self._messages or self._answers or facts != self._told):
                    continue
                messages, self._messages = self._messages, []
                answers, self._answers = self._answers, []
                self._told = facts
                order = seal(Order(messages, answers, *facts))
                if not await cluster.call(
                    self.address, LEASE_SECONDS, seat.instruct, cluster.run_id, order
                ):
                    return

    async def _apply_all(self) -> None:
        """Apply what the seat reports, in order; then pass its messages to the pool."""
        loop, executor = asyncio.get_running_loop(), self._cluster.executor
        while (report := await self._reports.get()) is not None:
            parts = self._keeper.by_stream(report.items).items()
            applied = await asyncio.gather(
                *(loop.run_in_executor(executor, self._keeper.apply, *part) for part in parts)
            )
            answers = [answer for part in applied for answer in part]
            if answers:
                self._answers += answers
                self._is_due.set()
            messages = [self._taken_in(message) for message in report.messages]
            if messages:
                with suppress(OSError):
                    await loop.run_in_executor(executor, self._pipe.send, messages)

    def _taken_in(self, message: Message) -> Message:
        """Return a message for the pool, with times of this computer's clock."""
        kind, content = message
        if kind == "tallies":
            return kind, {stream: self._here(tally) for stream, tally in content.items()}
        if kind in {"result", "crash"}:
            job = self._running.pop(content[0], None)
            if job is not None:
                self._keeper.end(job.task.meter.id)
        if kind == "result" and isinstance(content[1], StreamResult):
            number, result = content
            return kind, (
                number,
                self._with_outage(replace(result, tally=self._here(result.tally))),
            )
        return message

    def _with_outage(self, result: StreamResult) -> StreamResult:
        """Return a result; the run goes on if only this seat can't reach the collector."""
        shared, retry_for = self._cluster.shared, self._cluster.upload.retry_for
        is_outage = result.problem is not None and result.problem.kind == "temporary"
        if is_outage and shared.seconds_without_answer() < retry_for:
            return replace(result, stops_run=False)
        return result

    def _here(self, tally: Tally) -> Tally:
        first, last = (
            None if moment is None else moment + self._offset
            for moment in (tally.first, tally.last)
        )
        return replace(tally, first=first, last=last)

    def _take_in_facts(self, report: Report) -> None:
        facts, shared = report.facts, self._cluster.shared
        shared.record_earlier_answer(facts.answered)
        for _ in range(facts.congested - self._congested):
            shared.count_congested()
        self._congested = facts.congested
        for credential in facts.accepted:
            shared.accept_credential(credential)
        self.refused = facts.refused
        self.is_down = bool(facts.detail)
        if all(each.is_down for each in self._cluster.seats if each.is_there):
            shared.record_unreachable(0, facts.detail)
        elif shared.is_down:
            shared.record_answer()

    def _read_pipe(self) -> None:
        """Take messages of the pool for the seat."""
        try:
            while self._pipe.poll():
                message = self._pipe.recv()
                if isinstance(message, list):
                    self._keeper.begin(message)
                    self._running.update((job.number, job) for job in message)
                    message = [replace(job, task=_without_secrets(job.task)) for job in message]
                self._messages.append(message)
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self.close()
        self._is_due.set()


def _without_secrets(task: Any) -> Any:
    """Return a task as it goes to a seat, which knows the credentials by their number."""
    if isinstance(task, Task):
        meter, checked = replace(task.meter, credentials=None), replace(task.checked, state=None)
        return replace(task, meter=meter, checked=checked, access=_NO_ACCESS)
    if isinstance(task, CheckTask):
        return replace(task, meter=replace(task.meter, credentials=None))
    return task
