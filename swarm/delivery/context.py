"""The process that a stream is sent in, as delivery needs it, and the ways a stream can end."""

from collections.abc import Callable
from typing import Final, Protocol

from swarm.collector.client import CollectorClient, Outcome
from swarm.collector.transport.base import Access
from swarm.delivery.result import StreamProblem, Tally
from swarm.delivery.task import Task
from swarm.errors import SwarmError
from swarm.scheduler import Scheduler

INTERRUPTED: Final = "interrupted"


class StopRequested(SwarmError):  # noqa: N818 - like Ended
    """The run is told to stop: no new packets."""

    exit_code = 5


class CollectorDown(SwarmError):  # noqa: N818 - like Ended
    """The collector was out of reach for as long (s) as a packet may be tried; ``words`` say so."""

    exit_code = 5

    def __init__(self, seconds: float, words: str) -> None:
        super().__init__(seconds, words)
        self.seconds = seconds
        self.detail = words

    def __str__(self) -> str:
        return (
            f"given up after {self.seconds:g} s: {self.detail}; run the same command again to go on"
        )


class StreamEnded(Exception):  # noqa: N818 - the end of a stream, told in its result
    """A stream ends before its last row; ``stops_run`` if no other stream can do better."""

    def __init__(self, problem: StreamProblem, *, stops_run: bool = False) -> None:
        super().__init__(problem, stops_run)
        self.problem = problem
        self.stops_run = stops_run


class ExchangeContext(Protocol):
    """The services of a process that exchanges with a collector need."""

    def acquire_slot(self, access: Access) -> CollectorClient:
        """Wait for a place and return a session in it; raises `Halted`."""

    def release_slot(self, link: CollectorClient) -> None:
        """Give the place back, and the session with it."""

    def wait_for_turn(self, credential: int) -> None:
        """Wait for the rate limit and for a collector that is down; raises `Halted`, `Down`."""

    def sleep(self, seconds: float, credential: int) -> None:
        """Wait; raises `Halted` soon after the run, or the credential's streams, are to stop."""

    def record_outcome(self, outcome: Outcome, credential: int) -> None:
        """Take note of an exchange: for the others, and for the run as a whole."""

    def is_outage(self, retry_for: float) -> bool:
        """Tell whether no stream got an answer for so many seconds."""

    def is_credential_accepted(self, credential: int) -> bool:
        """Tell whether the collector took a packet under this credential in this run."""

    def disable_credential(self, credential: int) -> None:
        """Stop all streams of a credential."""


class Context(ExchangeContext, Protocol):
    """The services of a process that a stream from a file needs."""

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler that runs the streams side by side."""

    def raise_if_stopped(self, credential: int) -> None:
        """Raise `Halted` if the run, or the streams of a credential, are to stop."""

    def is_credential_disabled(self, credential: int) -> bool:
        """Tell whether a stream found that the collector does not know the credential."""

    def lock_stream(self, task: Task) -> bool:
        """Lock the stream for as long as this process may send it; False if another holds it."""

    def unlock_stream(self, task: Task) -> None:
        """Let go of the stream."""

    def publish_tally(self, task: Task, tally: Tally) -> None:
        """Let the parent see a stream's tally from now on."""


def stop_problem(task: Task, context: Context) -> StreamProblem:
    """Return why a stream that was told to stop had to."""
    if context.is_credential_disabled(task.credential):
        user = task.access.username
        message = f"not sent: the collector does not accept the credentials of {user}"
        return StreamProblem("unauthorized", message, 4, status=401)
    return StreamProblem(INTERRUPTED, "stopped before its last row", 5)


class StoppableScheduler:
    """A scheduler for one job, which hears whether it is to stop each time that it gives way.

    ``check`` raises what ends the job.
    """

    def __init__(self, scheduler: Scheduler, check: Callable[[], None]) -> None:
        self._check = check
        self._yield_control = scheduler.yield_control
        self.spawn = scheduler.spawn
        self.call_soon = scheduler.call_soon
        self.event = scheduler.event
        self.transfer = scheduler.transfer
        self.run_in_thread = scheduler.run_in_thread
        self.prefetch = scheduler.prefetch

    def yield_control(self) -> None:
        """Let the others have their turn, then go on, or end."""
        self._yield_control()
        self._check()
