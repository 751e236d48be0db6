"""The services that a stream needs of its process, and the ways in which a stream can end early."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from swarm.delivery.result import StreamProblem, Tally
from swarm.delivery.state import StreamState
from swarm.delivery.task import Task
from swarm.errors import ExitCode, SwarmError
from swarm.scheduler import PassingScheduler, Scheduler

if TYPE_CHECKING:
    from swarm.collector.client import CollectorClient, Outcome
    from swarm.collector.transport.base import Access

INTERRUPTED: Final = "interrupted"


class StopRequested(SwarmError):  # noqa: N818 - a request, not an error
    """The run, or with ``is_refused`` all streams of the credential, must stop sending."""

    exit_code = ExitCode.TEMPORARY

    def __init__(self, is_refused: bool = False) -> None:
        super().__init__(is_refused)
        self.is_refused = is_refused

    def __str__(self) -> str:
        return "the run was asked to stop"


class CollectorDown(SwarmError):  # noqa: N818 - like StreamEnded
    """No request reached the collector for as long (s) as a packet may be tried."""

    exit_code = ExitCode.TEMPORARY

    def __init__(self, seconds: float, detail: str) -> None:
        super().__init__(seconds, detail)
        self.seconds = seconds
        self.detail = detail

    def __str__(self) -> str:
        return (
            f"given up after {self.seconds:g} s: {self.detail}; "
            "run the same command again to continue"
        )


class StreamEnded(Exception):  # noqa: N818 - the end of a stream, reported in its result
    """A stream ends before its last row; ``stops_run`` if the same would stop all others."""

    def __init__(self, problem: StreamProblem, *, stops_run: bool = False) -> None:
        super().__init__(problem, stops_run)
        self.problem = problem
        self.stops_run = stops_run


class ExchangeContext(Protocol):
    """The services that exchanges with the collector need of their process."""

    def acquire_slot(self, access: "Access") -> "CollectorClient":
        """Wait for a connection slot and return a client in it; raises `StopRequested`."""

    def release_slot(self, client: "CollectorClient") -> None:
        """Release the slot with its client, for this or another stream."""

    def is_slot_recalled(self) -> bool:
        """Return True if the stream must release its slot before its next packet."""

    def wait_for_turn(self, credential: int) -> None:
        """Wait for the rate limit and the end of an outage.

        Raises `StopRequested` or `CollectorDown`.
        """

    def sleep(self, seconds: float, credential: int) -> None:
        """Wait; raises `StopRequested` soon after the run or the credential is stopped."""

    def record_outcome(self, outcome: "Outcome", credential: int) -> None:
        """Record what an exchange says about the collector, for all streams of the run."""

    def is_outage(self, retry_for: float) -> bool:
        """Return True if no stream got an answer for this many seconds."""

    def refuse_credential(self, credential: int) -> None:
        """Stop all streams of a credential, unless it was accepted before in this run."""


class Context(ExchangeContext, Protocol):
    """The services that a stream from a file needs of its process."""

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler that runs the streams side by side."""

    @property
    def state(self) -> StreamState:
        """The state of streams."""

    def raise_if_stopped(self, credential: int) -> None:
        """Raise `StopRequested` if the run, or the streams of a credential, must stop."""

    def lock_stream(self, task: Task) -> bool:
        """Lock the stream while this process may send it; return False if another process does."""

    def unlock_stream(self, task: Task) -> None:
        """Unlock the stream."""

    def follow_tally(self, task: Task, tally: Tally) -> None:
        """Report a stream's tally to the parent soon after each change, until it is unlocked."""

    def publish_tally(self, task: Task, tally: Tally) -> None:
        """Report a stream's tally to the parent now."""


def unauthorized(username: str) -> str:
    """Return the message about a username that the collector does not accept."""
    return f"the collector does not accept the credentials of {username}"


def stop_problem(task: Task, stop: StopRequested) -> StreamProblem:
    """Return the reason why a stream was stopped.

    Refused credentials have exit code 4, any other stop 5.
    """
    if stop.is_refused:
        message = f"not sent: {unauthorized(task.access.username)}"
        return StreamProblem("unauthorized", message, ExitCode.REFUSED, status=401)
    return StreamProblem(INTERRUPTED, "stopped before its last row", ExitCode.TEMPORARY)


class StoppableScheduler(PassingScheduler):
    """A scheduler for one job that calls ``check`` at every yield point; ``check`` may raise."""

    def __init__(self, scheduler: Scheduler, check: Callable[[], None]) -> None:
        super().__init__(scheduler)
        self._check = check

    def yield_control(self) -> None:
        """Let other jobs run, then check whether this one must stop."""
        super().yield_control()
        self._check()
