"""The retry policy: what an answer means, what is tried again, and after which wait."""

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
    is_congestion,
    retry_after,
    verdict_of,
)

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC).timestamp()

#: Every status that the reference names, and some others of each class.
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
    """Each status in the reference's table has the verdict that the table gives."""
    assert expected == verdict_of(status)


@pytest.mark.parametrize(
    ("attempt", "most"), [(0, 0.5), (1, 1.0), (2, 2.0), (6, 32.0), (7, 60.0), (8, 60.0)]
)
def test_the_backoff_doubles_up_to_a_minute(attempt: int, most: float) -> None:
    """The longest wait doubles from half a second to a minute."""
    assert most == backoff(attempt, lambda: 1.0)


def test_the_backoff_has_full_jitter() -> None:
    """The jitter makes the wait any length between 0 s and the longest."""
    assert (0.0, 2.0) == (backoff(3, lambda: 0.0), backoff(3, lambda: 0.5))
    waits = [backoff(3) for _ in range(1000)]
    assert (True, True) == (0 <= min(waits) < 1, 3 < max(waits) < 4)


@given(st.integers(min_value=0, max_value=10**9), st.floats(0, 1, exclude_max=True))
def test_the_backoff_stays_in_its_bounds(attempt: int, jitter: float) -> None:
    """However often a packet was tried, the wait is between 0 s and a minute."""
    assert 0 <= backoff(attempt, lambda: jitter) <= BACKOFF_MOST


@pytest.fixture
def _far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set another local time zone."""
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
    """Seconds and all three forms of a date are read, and clamped to 0..900 s."""
    assert seconds == retry_after(text, NOW)


@pytest.mark.parametrize(
    "text", [None, "", "  ", "soon", "-5", "1.5", "1e3", "٣", "07:08", "Mon, 99 May 2024 1:1:1 GMT"]
)
def test_what_asks_for_nothing_leaves_the_backoff(text: str | None) -> None:
    """A header that is missing or invalid asks for no wait."""
    assert retry_after(text, NOW) is None


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
@example("Mon, 06 May 99999999999999999999 07:08:19 GMT")
@example("Mon, 06 May 2024 07:08:19 +99999999999999")
def test_no_header_breaks_it(text: str) -> None:
    """Whatever a collector sends, the result is None or between 0 s and the longest wait."""
    seconds = retry_after(text, NOW)
    assert seconds is None or 0 <= seconds <= RETRY_AFTER_MOST


@given(st.integers(min_value=0, max_value=900))
def test_a_date_is_read_to_the_second(ahead: int) -> None:
    """A date some seconds ahead asks for a wait of that many seconds."""
    moment = datetime.fromtimestamp(NOW + ahead, UTC)
    assert ahead == retry_after(format_datetime(moment, usegmt=True), NOW)


class FakeClock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Return the time (s)."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Replace the clock of the policy."""
    fake = FakeClock()
    monkeypatch.setattr("swarm.collector.retry.time", fake)
    return fake


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the jitter always take the longest wait of the backoff."""
    monkeypatch.setattr("swarm.collector.retry.backoff", lambda attempt: backoff(attempt, _one))


def _one() -> float:
    return 1.0


def test_whoever_asks_for_no_pause_for_ever_gets_the_backoff() -> None:
    """A ``Retry-After`` of 0 s is granted once; after that the backoff applies."""
    budget = RetryBudget(900.0)
    waits = [budget.next_wait(0.0) for _ in range(20)]
    assert (0.0, True) == (waits[0], sum(waits) > 30)
    assert budget.next_wait(700.0) == 700.0


@pytest.mark.parametrize("seconds", [0.5, 30.0, 900.0])
def test_a_budget_is_used_up_after_its_time(clock: FakeClock, seconds: float) -> None:
    """The first call starts the clock, however long the budget existed before."""
    budget = RetryBudget(seconds)
    clock.now += 10_000
    assert not budget.is_used_up()
    clock.now += seconds - 0.25
    assert not budget.is_used_up()
    clock.now += 0.25
    assert budget.is_used_up()
    clock.now += 10_000
    assert budget.is_used_up()


def test_a_budget_of_nothing_is_used_up_at_once(clock: FakeClock) -> None:
    """With 0 s a packet is tried once, and a backoff has no length."""
    budget = RetryBudget(0.0)
    assert budget.is_used_up()
    assert 0.0 == budget.next_wait(None)
    clock.now += 1.0
    assert (0.0, True) == (budget.next_wait(None), budget.is_used_up())


@pytest.mark.usefixtures("longest")
def test_the_backoff_doubles_from_retry_to_retry(clock: FakeClock) -> None:
    """Each retry without a ``Retry-After`` is the next step of the backoff."""
    budget = RetryBudget(900.0)
    waits = []
    for _ in range(10):
        waits.append(budget.next_wait(None))
        clock.now += waits[-1]
    assert [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0] == waits


@pytest.mark.usefixtures("longest")
def test_a_backoff_is_never_longer_than_what_is_left(clock: FakeClock) -> None:
    """The last wait ends with the budget; once it is used up, no wait is left."""
    budget = RetryBudget(10.0)
    waits = []
    while not budget.is_used_up():
        waits.append(budget.next_wait(None))
        clock.now += waits[-1]
    assert [0.5, 1.0, 2.0, 4.0, 2.5] == waits
    clock.now += 5.0
    assert 0.0 == budget.next_wait(None)


@given(
    seconds=st.floats(0, 1000),
    steps=st.lists(st.floats(0, 100) | st.none(), min_size=1, max_size=30),
)
def test_no_backoff_goes_beyond_the_budget(seconds: float, steps: list[float | None]) -> None:
    """Whatever requests take, and whatever the collector asks for, a backoff ends in time."""
    with pytest.MonkeyPatch.context() as patch:
        clock = FakeClock()
        patch.setattr("swarm.collector.retry.time", clock)
        budget, start, asked = RetryBudget(seconds), clock.now, 0.0
        budget.is_used_up()
        for step in steps:
            left = max(seconds - (clock.now - start - asked), 0.0)
            wait = budget.next_wait(step)
            if step:
                assert step == wait
                asked += step
            else:
                assert 0 <= wait <= left + 1e-6
            clock.now += wait + 0.1


def test_a_retry_after_longer_than_what_is_left_is_granted(clock: FakeClock) -> None:
    """Waits that the collector asks for do not count: the whole budget is left after them."""
    budget = RetryBudget(10.0)
    assert not budget.is_used_up()
    assert 700.0 == budget.next_wait(700.0)
    clock.now += 700.0
    assert not budget.is_used_up()
    clock.now += 9.5
    assert not budget.is_used_up()
    clock.now += 0.5
    assert budget.is_used_up()


@pytest.mark.usefixtures("longest")
def test_a_retry_after_is_no_step_of_the_backoff(clock: FakeClock) -> None:
    """After a wait that the collector asked for, the backoff begins with its first step."""
    budget = RetryBudget(900.0)
    assert 5.0 == budget.next_wait(5.0)
    clock.now += 5.0
    assert [0.5, 1.0] == [budget.next_wait(None) for _ in range(2)]


@pytest.mark.usefixtures("longest", "clock")
def test_no_wait_is_granted_for_the_first_retry_only() -> None:
    """A ``Retry-After`` of 0 s after another retry gets the backoff."""
    budget = RetryBudget(900.0)
    assert [0.0, 1.0, 2.0] == [budget.next_wait(0.0) for _ in range(3)]
    later = RetryBudget(900.0)
    assert [0.5, 1.0] == [later.next_wait(None), later.next_wait(0.0)]


@pytest.mark.usefixtures("longest")
def test_a_budget_without_end(clock: FakeClock) -> None:
    """With an infinite budget a packet is tried for ever, at most a minute apart."""
    budget = RetryBudget(float("inf"))
    for _ in range(100):
        assert not budget.is_used_up()
        clock.now += budget.next_wait(None) + 1e6
    assert BACKOFF_MOST == budget.next_wait(None)
    assert not budget.is_used_up()


@pytest.mark.parametrize(
    ("verdict", "status", "expected"),
    [
        (Verdict.THROTTLED, 429, True),
        (Verdict.UNSETTLED, 503, True),
        (Verdict.UNSETTLED, None, True),
        (Verdict.UNSETTLED, 500, False),
        (Verdict.UNREACHABLE, None, False),
        (Verdict.REJECTED, 400, False),
        (Verdict.ACKNOWLEDGED, 200, False),
    ],
)
def test_what_asks_for_fewer_requests(verdict: Verdict, status: int | None, expected: bool) -> None:
    """Throttling, overload and lost requests ask for fewer; a bug or an outage does not."""
    assert expected == is_congestion(verdict, status)
