"""The channel between a run's pool and the worker processes of a Dask cluster.

A thread with an event loop calls functions of `swarm.cluster.seat` on each worker, by
`Client.run`: one call at a time for reports, and one for orders. A call that fails or takes too
long makes the worker a lost one: once its lease is over, its jobs move to others.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import distributed

from swarm.checkpoint.grants import Grants
from swarm.cluster import seat
from swarm.cluster.messages import Hello, Opening, seal
from swarm.cluster.served import CLOSE_SECONDS, ServedSeat
from swarm.config.parsers import FOREVER
from swarm.errors import ExitCode, SwarmError
from swarm.run.pool import Link
from swarm.run.report import ClusterUse
from swarm.run.shared import SharedState
from swarm.text import format_duration, pluralize
from swarm.version import VERSION

#: The time (s) between two looks at which workers there are.
_LOOK_SECONDS = 0.5
#: The time (s) that a worker has to open a seat, and the scheduler to answer.
_OPEN_SECONDS = 10.0
_APPLYING_THREADS = 16


class ClusterError(SwarmError):
    """The scheduler of a cluster can't be used."""

    exit_code = ExitCode.TEMPORARY


class Cluster:
    """The workers of a Dask cluster, as a `swarm.run.pool.Provider`.

    ``failure`` is the reason why there will be no worker any more. ``notify`` is called with
    notices, in the thread of the pool.
    """

    is_local = False

    def __init__(  # noqa: PLR0913, PLR0917 - what a run and a cluster have to do with one another
        self,
        address: str,
        security: "distributed.Security | None",
        opening: Opening,
        shared: SharedState,
        grants: Grants | None,
        notify: Callable[[str], None],
    ) -> None:
        self.failure: str | None = None
        self.seats: list[ServedSeat] = []
        self.run_id = opening.run
        self.address = address
        self.sealed = seal(opening)
        self.upload = opening.upload
        self.shared = shared
        self.grants = grants
        self.executor = ThreadPoolExecutor(_APPLYING_THREADS, "swarm-keeper")
        self.client: Any
        self._security = security
        self._notify = notify
        self._notices: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._arrivals: queue.SimpleQueue[ServedSeat] = queue.SimpleQueue()
        self._known: set[str] = set()
        self._none_since: float | None = None
        self._has_noticed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._is_closing: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=self._run, name="swarm-cluster", daemon=True)

    @property
    def most(self) -> int:
        """The number of workers that there are."""
        return max(sum(each.is_there for each in self.seats), 1)

    def use(self, moved: int) -> ClusterUse:
        """Return what was used of the cluster; ``moved`` streams have moved."""
        lost = sum(each.is_lost for each in self.seats)
        return ClusterUse(self.address, _hosts(self.seats), len(self.seats), lost, moved)

    def start(self) -> None:
        """Connect to the scheduler; raises `ClusterError`."""
        self._thread.start()
        error = self._ready.get()
        if error is not None:
            raise ClusterError(
                f"the scheduler at {self.address} can't be reached: {error}; is it running?"
            )

    def provide(self, wanted: int, present: int, slots: int) -> Iterator[Link]:
        """Yield the workers that have joined; notice if there is none, and for how long."""
        with suppress(queue.Empty):
            while True:
                self._notify(self._notices.get_nowait())
        found: list[ServedSeat] = []
        with suppress(queue.Empty):
            while True:
                found.append(self._arrivals.get_nowait())
        if found:
            self._notify(_joined(found))
        yield from (each.link for each in found)
        if present or found or not wanted:
            self._none_since, self._has_noticed = None, False
            return
        now = time.monotonic()
        self._none_since = self._none_since or now
        if not self._has_noticed:
            self._has_noticed = True
            limit = self.upload.retry_for
            until = "" if limit == FOREVER else f", for up to {format_duration(limit)}"
            self._notify(f"no worker at {self.address}: waiting{until}")
        if now - self._none_since > self.upload.retry_for:
            self.failure = f"no worker has come to the scheduler at {self.address}"

    def close(self) -> bool:
        """End all seats, and leave the cluster; return True if all leases are known to be over."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._is_closing.set)
            self._thread.join(2 * CLOSE_SECONDS)
        self.executor.shutdown(wait=False)
        return all(each.is_over for each in self.seats)

    # The channel's thread

    def _run(self) -> None:
        # Dask logs to standard error: what matters is told by this module.
        for name in ("distributed", "distributed.client", "distributed.comm", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self.failure = f"the connection to the scheduler at {self.address} failed: {error}"
            self._ready.put(error)
        else:
            # Only `start` takes this, if it still waits.
            self._ready.put(ConnectionError("it does not answer"))

    async def _serve(self) -> None:
        self._loop, self._is_closing = asyncio.get_running_loop(), asyncio.Event()
        client = distributed.Client(
            self.address,
            security=self._security,
            asynchronous=True,
            set_as_default=False,
            timeout=_OPEN_SECONDS,
            name="swarm",
        )
        self.client = await asyncio.wait_for(client, 2 * _OPEN_SECONDS)
        try:
            await self._follow_workers()
        finally:
            for each in self.seats:
                each.close()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
            with suppress(Exception):
                await asyncio.wait_for(self.client.close(), CLOSE_SECONDS)

    async def _follow_workers(self) -> None:
        """Open a seat on each worker that joins, until the run is over.

        The pool begins when those that are there at first are open, so that all get streams.
        """
        failures, is_ready = 0, False
        while not self._is_closing.is_set():
            try:
                scheduler: Any = self.client.scheduler
                found = await asyncio.wait_for(scheduler.identity(), _OPEN_SECONDS)
            except Exception:
                failures += 1
                if failures > 1:
                    self.failure = f"the scheduler at {self.address} is gone"
                    return
            else:
                failures = 0
                present = set(found["workers"])
                joined, self._known = present - self._known, present
                opening = [self._go_on(self._hire(address)) for address in joined]
                if not is_ready:
                    if opening:
                        await asyncio.wait(opening)
                    is_ready = True
                    self._ready.put(None)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_closing.wait(), _LOOK_SECONDS)

    def _go_on(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Do some work beside the rest; the end of the run waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _hire(self, address: str) -> None:
        """Open a seat on a worker; from then on it is served."""
        try:
            hello: Hello = await self.call(
                address, _OPEN_SECONDS, seat.open_seat, VERSION, self.sealed
            )
            obstacle = hello.obstacle and f"on {hello.host}: {hello.obstacle}"
        except Exception as error:
            obstacle = str(error) or type(error).__name__
        if obstacle:
            self.notice(f"worker {address} is not used: {obstacle}")
            return
        member = ServedSeat(self, address, hello)
        self.seats.append(member)
        self._arrivals.put(member)
        self._go_on(member.serve())

    async def call(
        self, address: str, seconds: float, function: Callable[..., Any], *arguments: Any
    ) -> Any:
        """Call a function in a worker process; raises any error, also if it takes too long."""
        calling = self.client.run(function, *arguments, workers=[address])
        return (await asyncio.wait_for(calling, seconds))[address]

    def notice(self, text: str) -> None:
        """Have a notice shown."""
        self._notices.put(text)

    def refused(self) -> frozenset[int]:
        """Return the credentials that the collector has refused, to any seat."""
        return frozenset().union(*(each.refused for each in self.seats))

    def rate_limit(self) -> float | None:
        """Return the share of a seat in the requests a second."""
        busy = sum(each.is_busy for each in self.seats)
        limit = self.shared.rate_limit
        return limit and limit / max(busy, 1)


def _joined(seats: Sequence[ServedSeat]) -> str:
    """Return the notice that workers have joined."""
    if len(seats) == 1:
        return f"{seats[0].name} has joined"
    return f"{len(seats)} workers on {pluralize(_hosts(seats), 'host')} have joined"


def _hosts(seats: Sequence[ServedSeat]) -> int:
    """Return the number of hosts of some seats: two may have the same name."""
    return len({(each.hello.host, urlsplit(each.address).hostname) for each in seats})
