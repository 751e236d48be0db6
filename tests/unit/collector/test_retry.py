"""The policy: what an answer means, what is tried again, and after how long."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarm.collector.retry import (
    BACKOFF_MOST,
    RETRY_AFTER_MOST,
    RetryBudget,
    Verdict,
    backoff,
    retry_after,
    verdict_of,
)

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC).timestamp()

#: Every status that the reference names, and the rest of each kind.
TABLE = {
    Verdict.ACKNOWLEDGED: (200, 201, 202, 203, 204, 206, 226, 299),
    Verdict.REDIRECTED: (300, 301, 302, 303, 304, 307, 308, 399),
    Verdict.UNAUTHORIZED: (401,),
    Verdict.NOT_ALLOWED: (403, 404, 405, 406, 407, 421, 426, 431, 451, 501, 505),
    Verdict.REJECTED: (400, 402, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 422, 428, 499),
    Verdict.THROTTLED: (425, 429),
    Verdict.UNSETTLED: (408, 500, 502, 503, 504, 506, 507, 511, 599, 100, 199, 600, 999),
}


@pytest.mark.parametrize(
    ("status", "expected"),
    [(status, expected) for expected, statuses in TABLE.items() for status in statuses],
)
def test_a_status_means_what_the_reference_says(status: int, expected: Verdict) -> None:
    """Each status of the reference's table has the verdict that stands there."""
    assert expected == verdict_of(status)


@pytest.mark.parametrize(
    ("attempt", "most"), [(0, 0.5), (1, 1.0), (2, 2.0), (6, 32.0), (7, 60.0), (8, 60.0)]
)
def test_the_backoff_doubles_up_to_a_minute(attempt: int, most: float) -> None:
    """The longest wait doubles from half a second to a minute."""
    assert most == backoff(attempt, lambda: 1.0)


def test_the_backoff_has_full_jitter() -> None:
    """The jitter takes the wait anywhere between nothing and the longest."""
    assert (0.0, 2.0) == (backoff(3, lambda: 0.0), backoff(3, lambda: 0.5))
    waits = [backoff(3) for _ in range(1000)]
    assert (True, True) == (0 <= min(waits) < 1, 3 < max(waits) < 4)


@given(st.integers(min_value=0, max_value=10**9), st.floats(0, 1, exclude_max=True))
def test_the_backoff_stays_in_its_bounds(attempt: int, jitter: float) -> None:
    """However often a packet was tried, the wait is between nothing and a minute."""
    assert 0 <= backoff(attempt, lambda: jitter) <= BACKOFF_MOST


@pytest.fixture
def _far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put this machine into another zone."""
    monkeypatch.setenv("TZ", "America/Chicago")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_far_from_greenwich")
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("900", 900.0),
        ("901", 900.0),
        ("9" * 5000, 900.0),
        ("Mon, 06 May 2024 07:08:19 GMT", 10.0),
        ("Monday, 06-May-24 07:08:19 GMT", 10.0),
        ("Mon May  6 07:08:19 2024", 10.0),
        ("Mon, 06 May 2024 07:08:19", 10.0),
        ("Mon, 06 May 2024 07:08:19 -0000", 10.0),
        ("Mon, 06 May 2024 09:08:19 +0200", 10.0),
        ("Mon, 06 May 2024 07:08:08 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 900.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float) -> None:
    """Both forms are read, the date's three spellings among them, and clamped to 0..900 s."""
    assert seconds == retry_after(text, NOW)


@pytest.mark.parametrize(
    "text", [None, "", "  ", "soon", "-5", "1.5", "1e3", "٣", "07:08", "Mon, 99 May 2024 1:1:1 GMT"]
)
def test_what_asks_for_nothing_leaves_the_backoff(text: str | None) -> None:
    """A header that is missing, or is neither form, asks for no wait of its own."""
    assert retry_after(text, NOW) is None


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
@example("Mon, 06 May 99999999999999999999 07:08:19 GMT")
@example("Mon, 06 May 2024 07:08:19 +99999999999999")
def test_no_header_breaks_it(text: str) -> None:
    """Whatever a collector sends, the wait is none, or between nothing and the longest."""
    seconds = retry_after(text, NOW)
    assert seconds is None or 0 <= seconds <= RETRY_AFTER_MOST


@given(st.integers(min_value=0, max_value=900))
def test_a_date_is_read_to_the_second(ahead: int) -> None:
    """A date so many seconds ahead asks for so many seconds."""
    moment = datetime.fromtimestamp(NOW + ahead, UTC)
    assert ahead == retry_after(format_datetime(moment, usegmt=True), NOW)


def test_whoever_asks_for_no_pause_for_ever_gets_the_backoff() -> None:
    """A ``Retry-After`` of nothing is heeded once; a packet is not sent again without end at it."""
    patience = RetryBudget(900.0)
    waits = [patience.next_wait(0.0) for _ in range(20)]
    assert (0.0, True) == (waits[0], sum(waits) > 30)
    assert patience.next_wait(700.0) == 700.0
