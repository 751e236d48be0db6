"""The event loop as a seat uses it: nothing is sent without a lease."""

from typing import TYPE_CHECKING

from swarm.cluster.lease import Lease
from swarm.delivery.context import StopRequested
from swarm.scheduler import PassingScheduler, Scheduler

if TYPE_CHECKING:
    import pycurl


class LeasedLoop(PassingScheduler):
    """The scheduler of a seat, on the loop that all seats of a process share."""

    def __init__(self, loop: Scheduler, lease: Lease) -> None:
        super().__init__(loop)
        self._lease = lease
        self._transfers: set[pycurl.Curl] = set()

    def transfer(self, handle: "pycurl.Curl") -> None:
        """Run a transfer; raise `StopRequested` if there is no lease."""
        if self._lease.left() <= 0:
            raise StopRequested
        self._transfers.add(handle)
        try:
            super().transfer(handle)
        finally:
            self._transfers.discard(handle)

    def abort_all(self) -> None:
        """Drop the connections of all transfers under way, and what they have not sent yet."""
        for handle in list(self._transfers):
            self.abort(handle)
