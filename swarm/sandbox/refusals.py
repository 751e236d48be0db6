"""The requests that a sandbox refused last, for its page."""

import time
from collections import deque
from typing import NamedTuple

from swarm.sandbox.validate import Breach


class Refusal(NamedTuple):
    """A refused request; ``at`` in seconds since the epoch."""

    at: float
    breach: Breach


class Refusals:
    """The most recent refusals of a sandbox, the newest first; ``noted`` counts all of them."""

    def __init__(self, size: int = 20) -> None:
        self._refusals: deque[Refusal] = deque(maxlen=size)
        self.noted = 0

    def note(self, breach: Breach) -> None:
        """Add a refusal, with the current time."""
        self._refusals.appendleft(Refusal(time.time(), breach))
        self.noted += 1

    def last(self) -> list[Refusal]:
        """Return the refusals."""
        return list(self._refusals)
