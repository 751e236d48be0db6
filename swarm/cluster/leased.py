"""The event loop as a seat uses it: nothing is sent without a lease."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from swarm.cluster.lease import Lease
from swarm.delivery.context import StopRequested
from swarm.scheduler import Event, Scheduler

if TYPE_CHECKING:
    import pycurl

_T = TypeVar("_T")


class LeasedLoop:
    """The `swarm.scheduler.Scheduler` of a seat, on the loop that all seats of a process share."""

    def __init__(self, loop: Scheduler, lease: Lease) -> None:
        self._loop = loop
        self._lease = lease
        self._transfers: set[pycurl.Curl] = set()

    def spawn(self, function: Callable[..., None], *arguments: Any) -> None:
        """Start a job."""
        self._loop.spawn(function, *arguments)

    def call_soon(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have a function called soon."""
        self._loop.call_soon(function, *arguments)

    def event(self) -> Event:
        """Return a new event."""
        return self._loop.event()

    def run_in_thread(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call a slow function while other jobs run."""
        return self._loop.run_in_thread(function, *arguments)

    def yield_control(self) -> None:
        """Let other jobs run."""
        self._loop.yield_control()

    def prefetch(self, items: Iterator[_T]) -> Iterator[_T]:
        """Yield items that are made in advance."""
        return self._loop.prefetch(items)

    def transfer(self, handle: "pycurl.Curl") -> None:
        """Run a transfer; raise `StopRequested` if there is no lease."""
        if self._lease.left() <= 0:
            raise StopRequested
        self._transfers.add(handle)
        try:
            self._loop.transfer(handle)
        finally:
            self._transfers.discard(handle)

    def abort(self, handle: "pycurl.Curl") -> None:
        """End a transfer."""
        self._loop.abort(handle)

    def abort_all(self) -> None:
        """Drop the connections of all transfers under way, and what they have not sent yet."""
        for handle in list(self._transfers):
            self._loop.abort(handle)
