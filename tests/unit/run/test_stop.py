"""Why a run ends early: signals and the time limit, by real signals to this process."""

import os
import signal
import time
from types import SimpleNamespace

import pytest

from swarm.run.stop import EndNow, Stop, stoppable


def send(number: int) -> None:
    """Send this process a signal, and let it arrive."""
    os.kill(os.getpid(), number)
    time.sleep(0)


def reason(stop: Stop) -> str | None:
    """Return why a run has to end, if it has."""
    return stop.end.why if stop.end else None


@pytest.mark.parametrize(
    ("number", "why"), [(signal.SIGINT, "SIGINT received"), (signal.SIGTERM, "SIGTERM received")]
)
def test_the_first_signal_is_a_word_to_stop(number: int, why: str) -> None:
    """One signal interrupts nothing; who asks hears that the run has to stop, and why."""
    with stoppable() as stop:
        assert (False, None) == (stop.is_due(), reason(stop))
        send(number)
        assert (True, why, number) == (stop.is_due(), reason(stop), stop.signal)


def test_the_second_signal_ends_at_once() -> None:
    """A second signal, of either kind, interrupts; it carries the first one's number."""
    with stoppable():
        send(signal.SIGTERM)
        with pytest.raises(EndNow) as caught:
            send(signal.SIGINT)
    assert caught.value.number == signal.SIGTERM
    assert not isinstance(caught.value, Exception)  # nothing may swallow it


def test_a_third_signal_does_not_interrupt_the_end() -> None:
    """While the run ends at once, further signals do not tear its end apart."""
    with stoppable() as stop:
        send(signal.SIGINT)
        with pytest.raises(EndNow):
            send(signal.SIGINT)
        send(signal.SIGINT)
        send(signal.SIGTERM)
        assert stop.signal == signal.SIGINT


def test_what_was_set_for_signals_is_set_again() -> None:
    """When the run is over, signals do what they did before, however it ended."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ValueError, match="a bug"), stoppable():
        raise ValueError("a bug")
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def test_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """When its time is used up a run has to stop; a signal after that counts all the same."""
    now = 100.0
    monkeypatch.setattr("swarm.run.stop.time", SimpleNamespace(monotonic=lambda: now))
    with stoppable(60.0) as stop:
        now += 59.9
        assert not stop.is_due()
        now += 0.1
        assert (True, "the time of --max-duration is used up") == (stop.is_due(), reason(stop))
        send(signal.SIGINT)
        assert (signal.SIGINT, "the time of --max-duration is used up") == (
            stop.signal,
            reason(stop),
        )


def test_no_limit_is_never_due() -> None:
    """Without a limit and a signal nothing stops a run."""
    assert not Stop().is_due()
