"""Pure policy: what an answer means, what is tried again, and after how long.

Source: "Answers" in docs/reference.md.
"""

import enum
import random
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
    REFUSED = "refused"
    UNAUTHORIZED = "unauthorized"
    REDIRECTED = "redirected"
    UNTRUSTED = "untrusted"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    UNSETTLED = "unsettled"


_BY_STATUS = {
    401: Verdict.UNAUTHORIZED,
    408: Verdict.UNSETTLED,
    **dict.fromkeys((403, 404, 405, 406, 407, 421, 426, 431, 451, 501, 505), Verdict.REFUSED),
    **dict.fromkeys((425, 429), Verdict.THROTTLED),
}
_BY_HUNDRED = {2: Verdict.ACKNOWLEDGED, 3: Verdict.REDIRECTED, 4: Verdict.REJECTED}


def verdict(status: int) -> Verdict:
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
