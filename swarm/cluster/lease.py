"""The lease: how long a seat may send without news from the command.

A seat sends only while it holds a lease. Each reply of a seat carries its clock, and the next grant
ends `LEASE_SECONDS` after that reading: so a delay on the way can only shorten a lease. The command
knows when the reply came; by its own clock, the lease is over `LEASE_SECONDS` after that.
"""

from swarm.checkpoint.grants import boottime


class Lease:
    """The lease of one seat, on the clock of its computer."""

    def __init__(self) -> None:
        self._until = 0.0
        self._is_given_up = False

    def extend(self, until: float) -> None:
        """Let the lease run until a time of `boottime`, unless it was given up."""
        if not self._is_given_up:
            self._until = max(self._until, until)

    def give_up(self) -> None:
        """End the lease for good."""
        self._is_given_up = True
        self._until = 0.0

    def left(self) -> float:
        """Return how long it runs (s); 0 or less once it is over."""
        return self._until - boottime()
