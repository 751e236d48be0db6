"""Calls of functions in jobs of a scheduler, from a thread outside of it."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from swarm.scheduler import Scheduler, Threads

_T = TypeVar("_T")
_SECONDS = 120


class Polite(Threads):
    """Counts how often a job yielded control, and how many functions it ran in another thread."""

    def __init__(self) -> None:
        self.breaths = 0
        self.asides = 0

    def yield_control(self) -> None:
        """Count the call."""
        self.breaths += 1

    def run_in_thread(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Count the call, and run the function here."""
        self.asides += 1
        return function(*arguments)


def in_job(scheduler: Scheduler, function: Callable[..., _T], *arguments: Any) -> _T:
    """Call a function in a job, and return what it returns or raise what it raises."""
    return begun(scheduler, function, *arguments).result(_SECONDS)


def begun(scheduler: Scheduler, function: Callable[..., _T], *arguments: Any) -> "Future[_T]":
    """Start a job that calls a function; return the future of its result."""
    outcome: Future[_T] = Future()

    def job() -> None:
        try:
            outcome.set_result(function(*arguments))
        except BaseException as error:
            outcome.set_exception(error)

    scheduler.spawn(job)
    return outcome
