"""The meaning of an answer for its packet, and the wait before the next try; without I/O.

`swarm.delivery.exchange.Exchange.recover` decides what is tried again, by the limits of
`swarm.config.options.RetryPolicy`. Source: "Answers" in docs/reference.md.
"""

import enum
import random
import time
from collections.abc import Callable
from datetime import UTC

BACKOFF_FIRST = 0.5
BACKOFF_MOST = 60.0
RETRY_AFTER_MOST = 900.0


class Verdict(enum.Enum):
    """The meaning of a request's outcome for its packet."""

    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    NOT_ALLOWED = "not allowed"
    UNAUTHORIZED = "unauthorized"
    REDIRECTED = "redirected"
    UNTRUSTED = "untrusted"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    UNSETTLED = "unsettled"


#: Verdicts of an answer that does not change by asking again.
ANSWERED = frozenset({Verdict.ACKNOWLEDGED, Verdict.NOT_ALLOWED, Verdict.REJECTED})

_BY_STATUS = {
    401: Verdict.UNAUTHORIZED,
    408: Verdict.UNSETTLED,
    **dict.fromkeys((403, 404, 405, 406, 407, 421, 426, 431, 451, 501, 505), Verdict.NOT_ALLOWED),
    **dict.fromkeys((425, 429), Verdict.THROTTLED),
}
_BY_HUNDRED = {2: Verdict.ACKNOWLEDGED, 3: Verdict.REDIRECTED, 4: Verdict.REJECTED}


#: Answers of a collector, or of what is in front of it, that can't keep up with the requests.
_CONGESTED = frozenset({408, 425, 429, 502, 503, 504})


def is_congestion(verdict: Verdict, status: int | None) -> bool:
    """Return True if an outcome is a sign of too many requests at the same time.

    A request that was sent and got no answer counts too: it timed out, or was reset.
    """
    return status in _CONGESTED or (status is None and verdict is Verdict.UNSETTLED)


def verdict_of(status: int) -> Verdict:
    """Return the verdict that an HTTP status means for the packet."""
    by_hundred = _BY_HUNDRED.get(status // 100, Verdict.UNSETTLED)
    return _BY_STATUS.get(status, by_hundred)


def backoff(attempt: int, jitter: Callable[[], float] = random.random) -> float:
    """Return the wait before attempt ``attempt`` + 1 (s): exponential, with full jitter."""
    return jitter() * min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(attempt, 20))


def retry_after(text: str | None, now: float) -> float | None:
    """Return the wait that a ``Retry-After`` header asks for (s), clamped to `RETRY_AFTER_MOST`.

    Return None if the header is missing or invalid. ``now`` is the Unix time (s); the header holds
    seconds or an HTTP date (RFC 9110, 10.2.3).
    """
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_MOST)
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(text)
        # An HTTP date is in UTC also if it names no zone, as in the asctime form.
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_MOST)


class RetryBudget:
    """The time that may be spent on retries of a packet, without waits the collector asked for."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._attempt = 0
        self._start: float | None = None
        self._asked = 0.0

    def is_used_up(self) -> bool:
        """Return True if no time is left; the first call starts the clock."""
        return self._left() <= 0

    def next_wait(self, asked: float | None) -> float:
        """Return the next wait (s): the one that the collector asked for, else the backoff.

        A wait of 0 s is granted for the first retry only: a collector may ask for it every time.
        """
        if asked:
            self._asked += asked
            return asked
        self._attempt += 1
        if asked == 0 and self._attempt == 1:
            return 0.0
        return min(backoff(self._attempt - 1), max(self._left(), 0.0))

    def _left(self) -> float:
        now = time.monotonic()
        self._start = now if self._start is None else self._start
        return self._seconds - (now - self._start - self._asked)
