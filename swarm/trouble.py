"""Tells the user which streams can't go on, and since when: once a minute at most."""

import math
from collections.abc import Callable

from swarm.table import counted

#: How long a stream may wait without a word; on a poor line the next try often gets through.
QUIET_SECONDS = 5.0
_BETWEEN_WORDS = 60.0


class Trouble:
    """Follows the streams whose packets do not get through; ``tell`` gets what is to be said."""

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._tell = tell
        self._clock = clock
        self._since: dict[str, float] = {}
        self._words = ""
        self._is_told = False
        self._due = -math.inf

    def hear(self, stream: str, words: str) -> None:
        """Take note of why a stream waits; without words it goes on."""
        if words:
            self._since.setdefault(stream, self._clock())
            self._words = words
        elif self._since.pop(stream, None) is not None and not self._since and self._is_told:
            self._tell("packets get through again")
            self._is_told = False

    def over(self, stream: str) -> None:
        """Take note that a stream has ended, which does not mean that it got through."""
        self._since.pop(stream, None)
        self._is_told = self._is_told and bool(self._since)

    def look(self) -> None:
        """Tell of streams that have waited for long."""
        now = self._clock()
        waiting = [stream for stream, since in self._since.items() if now - since >= QUIET_SECONDS]
        if waiting and now >= self._due:
            self._is_told, self._due = True, now + _BETWEEN_WORDS
            others = f" and {counted(len(waiting) - 1, 'other stream')}" if waiting[1:] else ""
            self._tell(f"{waiting[0]}{others}: no packet gets through: {self._words}; trying on")
