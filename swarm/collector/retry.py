"""Pure policy: what an answer means, what is tried again, and after how long.

Source: "Answers" in docs/reference.md.
"""

import enum
import random
import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

BACKOFF_FIRST = 0.5
BACKOFF_MOST = 60.0
RETRY_AFTER_MOST = 900.0


class Verdict(enum.Enum):
    """The meaning of an exchange for its packet."""

    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    NOT_ALLOWED = "refused"
    UNAUTHORIZED = "unauthorized"
    REDIRECTED = "redirected"
    UNTRUSTED = "untrusted"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    UNSETTLED = "unsettled"


_BY_STATUS = {
    401: Verdict.UNAUTHORIZED,
    408: Verdict.UNSETTLED,
    **dict.fromkeys((403, 404, 405, 406, 407, 421, 426, 431, 451, 501, 505), Verdict.NOT_ALLOWED),
    **dict.fromkeys((425, 429), Verdict.THROTTLED),
}
_BY_HUNDRED = {2: Verdict.ACKNOWLEDGED, 3: Verdict.REDIRECTED, 4: Verdict.REJECTED}


def verdict_of(status: int) -> Verdict:
    """Return what a status means for the packet that it answers."""
    by_hundred = _BY_HUNDRED.get(status // 100, Verdict.UNSETTLED)
    return _BY_STATUS.get(status, by_hundred)


def backoff(attempt: int, jitter: Callable[[], float] = random.random) -> float:
    """Return the seconds before try ``attempt`` + 1: exponential, with full jitter."""
    return jitter() * min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(attempt, 20))


def retry_after(text: str | None, now: float) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for, clamped; None if it asks for none.

    ``now`` is in Unix seconds; the header holds seconds or an HTTP date (RFC 9110, 10.2.3).
    """
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_MOST)
    try:
        date = parsedate_to_datetime(text)
        # An HTTP date is UTC also where it does not say so, as in the form of asctime.
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_MOST)


class RetryBudget:
    """The time spent on trying a packet; waits that the collector asked for do not count."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._attempt = 0
        self._start: float | None = None
        self._asked = 0.0

    def is_used_up(self) -> bool:
        """Tell whether the packet was tried for long enough; the first call starts the clock."""
        return self._left() <= 0

    def next_wait(self, asked: float | None) -> float:
        """Return the seconds to wait: what the collector asked for, or a step of the backoff.

        A collector that asks to be tried at once is, but once: it may ask for that for ever.
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
