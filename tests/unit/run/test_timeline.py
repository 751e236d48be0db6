"""The timeline of a run: counts over time, thinned out in long runs."""

from itertools import pairwise

from swarm.delivery.result import Tally
from swarm.run.timeline import Timeline


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time (s)."""
        return self.now


def test_counts_of_all_streams_are_added_up() -> None:
    """A sample has the packets and retries so far, and the streams without an answer."""
    clock = Clock()
    timeline = Timeline(clock)
    timeline.note({})
    timeline.note({"a": Tally(sent=5)})
    clock.now += 1
    timeline.note({"a": Tally(sent=15), "b": Tally(sent=2, retries=1, stall_reason="timed out")})
    clock.now += 1
    timeline.note({"b": Tally(sent=3, retries=1)})
    clock.now += 0.1
    timeline.end("a", Tally(sent=20))
    assert [(0.0, 0, 0, 0), (1.0, 17, 1, 1), (2.0, 18, 1, 1)] == [
        (round(at, 3), *rest) for at, *rest in timeline.samples
    ]
    assert (23, 1, 0) == timeline.close()[-1][1:]


def test_a_run_that_sends_nothing_has_no_samples() -> None:
    """Time is counted from the first stream on."""
    assert () == Timeline().close()


def test_long_runs_are_thinned_out() -> None:
    """A run of a week keeps few samples, its total, and a short outage."""
    clock = Clock()
    timeline = Timeline(clock)
    for second in range(40_000):
        reason = "refused" if second == 20_001 else ""
        timeline.note({"a": Tally(sent=second, stall_reason=reason)})
        clock.now += 1
    samples = timeline.close()
    assert 300 < len(samples) < 730
    assert 39_999 == samples[-1].sent
    assert 1 == max(sample.waiting for sample in samples)
    assert all(earlier.seconds < later.seconds for earlier, later in pairwise(samples))
    assert all(earlier.sent <= later.sent for earlier, later in pairwise(samples))
