"""The poor line: loss, rate, queue and delay of one direction."""

import pytest

from benchmarks.harness.line import Direction, Quality

PACKET = bytes(1000)
PERFECT = Quality(delay=0.04, loss=0.0, rate=100_000, burst=2000, queue=5500)


def send(quality: Quality, packets: int, seconds_apart: float, number: int = 0) -> list[float]:
    """Return when each packet arrives that is not lost, if one is sent after the other."""
    direction, arrivals = Direction(quality, number), []
    for index in range(packets):
        direction.offer(PACKET, 100 + index * seconds_apart)
    while (due := direction.next_arrival()) is not None:
        arrivals += [due - 100] * len(direction.arrived(due))
    return arrivals


def test_packets_on_an_idle_line_are_only_delayed() -> None:
    """The delay is that of one direction."""
    assert send(PERFECT, 3, 1.0) == pytest.approx([0.04, 1.04, 2.04])


def test_the_rate_holds_after_a_burst() -> None:
    """The bucket takes two packets at once, then one every 10 ms."""
    assert send(PERFECT, 5, 0.0) == pytest.approx([0.04, 0.04, 0.05, 0.06, 0.07])


def test_a_full_queue_drops() -> None:
    """The bucket's two packets leave at once, and five fit into the queue."""
    assert len(send(PERFECT, 100, 0.0)) == 2 + 5


def test_a_line_carries_no_more_than_its_rate() -> None:
    """A hundred times as much is offered."""
    arrivals = send(PERFECT, 1000, 0.001)
    assert len(arrivals) * len(PACKET) / arrivals[-1] == pytest.approx(100_000, rel=0.07)


def test_loss_is_by_chance_and_the_same_with_the_same_seed() -> None:
    """One percent is lost, and others in the other direction."""
    lossy = Quality(delay=0.04, loss=0.01, rate=1e9, seed=7)
    first, again, back = (send(lossy, 20_000, 0.001, number) for number in (0, 0, 1))
    assert len(first) == pytest.approx(19_800, abs=60)
    assert first == again
    assert first != back


def test_packets_that_have_not_arrived_stay_on_the_line() -> None:
    """A packet arrives once, and not before its time."""
    direction = Direction(PERFECT, 0)
    direction.offer(PACKET, 10.0)
    assert direction.arrived(10.03) == []
    assert direction.arrived(10.04) == [PACKET]
    assert direction.next_arrival() is None
