"""The events of a run, made of what it reports."""

from typing import Any

from swarm.cli.progress import SilentProgress
from swarm.csv import CheckResult
from swarm.csv.problems import Problem as FileProblem
from swarm.delivery.result import StreamProblem, StreamResult, Tally
from swarm.errors import ExitCode
from swarm.monitor.events import Event, Progress
from swarm.monitor.observer import EventObserver
from swarm.run.report import MeterReport, Report


class Watched:
    """An observer with a clock that is set by hand, and its events."""

    def __init__(self) -> None:
        self.now = 100.0
        self.events: list[Event] = []
        self.observer = EventObserver(
            SilentProgress(), [self.events.append], clock=lambda: self.now
        )

    def of(self, name: str) -> list[dict[str, Any]]:
        """Return the events of a name, as JSON has them."""
        return [each.as_dict() for each in self.events if each.event == name]

    def last(self) -> Progress:
        """Return the last position."""
        found = [each for each in self.events if isinstance(each, Progress)]
        return found[-1]


def test_a_whole_run() -> None:
    """Every kind of event, in the order of what happens."""
    watched = Watched()
    observer = watched.observer
    observer.start("c.ini", "sandbox", 2)
    observer.checking(2)
    bad = FileProblem("b.csv", 1, 2, "number", "not a number")
    observer.checked(CheckResult("a", rows=12, filtered=2, notices=("odd",)))
    observer.checked(CheckResult("b", rows=1, problems=(bad,), problem_count=1))
    observer.sending({"a": 10})
    watched.now += 2
    observer.tallies({"a": Tally(sent=4, resumed=2)})
    assert (10, 6, 2.0) == (watched.last().rows, watched.last().done, watched.last().rate)
    assert watched.last().eta_seconds is not None
    assert (1, 0) == (watched.last().streams_active, watched.last().streams_done)
    problem = StreamProblem("rejected", "no", ExitCode.DATA)
    tally = Tally(sent=4, resumed=2, rejected=1, retries=3)
    observer.ended(StreamResult("a", "stopped", tally, problem, newest=1_700_000_000_000))
    report = Report(
        "c.ini",
        "sandbox",
        0.0,
        9.0,
        9.0,
        (MeterReport("a", "a", "stopped", 12, tally, problem=problem),),
    )
    observer.finish(report)
    names = [each.event for each in watched.events]
    assert ["start", "notice", "problem", "progress"] == names[:4]
    assert ["problem", "stream", "progress", "end"] == names[-4:]
    (stream,) = watched.of("stream")
    counts = [stream[key] for key in ("rows", "sent", "resumed", "filtered", "rejected", "unsent")]
    assert [12, 4, 2, 2, 1, 3] == counts
    assert "2023-11-14T22:13:20.000+00:00" == stream["last_acknowledged"]
    assert watched.of("end")[0]["exit_code"] == 3


def test_positions_come_once_a_second_with_what_changed() -> None:
    """Tallies come ten times as often; only streams that changed are told."""
    watched = Watched()
    watched.observer.sending({f"s{at}": 100 for at in range(50)})
    first = len(watched.events)
    assert 50 == len(watched.last().streams)
    for at in range(40):
        watched.now += 0.1
        watched.observer.tallies({"s1": Tally(sent=at)})
    assert 3 <= len(watched.events) - first <= 4
    assert ["s1"] == list(watched.last().streams)
    assert "streams" not in watched.last().as_dict()


def test_trouble_is_told_until_it_is_over() -> None:
    """The reason why packets are not acknowledged, with the number of streams."""
    watched = Watched()
    watched.observer.sending({"a": 10, "b": 10})
    stalled = Tally(retries=1, stall_reason="refused")
    for tallies, trouble in (
        ({"a": stalled, "b": stalled}, "a and 1 more: refused"),
        ({"a": Tally(sent=1)}, "b: refused"),
        ({"b": Tally(sent=1)}, ""),
    ):
        watched.now += 1.1
        watched.observer.tallies(tallies)
        assert trouble == watched.last().trouble


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """A fast beginning does not count for ever."""
    watched = Watched()
    watched.observer.sending({"a": 100_000})
    sent = 0
    for second in range(60):
        watched.now += 1
        sent += 1000 if second < 30 else 10
        watched.observer.tallies({"a": Tally(sent=sent)})
    assert abs(watched.last().rate - 10) < 0.5


def test_a_late_tally_of_a_stream_that_has_ended_is_old() -> None:
    """Its result counts."""
    watched = Watched()
    watched.observer.sending({"a": 10})
    watched.observer.ended(StreamResult("a", "done", Tally(sent=10)))
    watched.now += 1.1
    watched.observer.tallies({"a": Tally(sent=7)})
    assert 10 == watched.last().done
    assert 10 == watched.last().streams["a"].done
