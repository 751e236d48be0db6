"""The protocol of a run's observer, which shows the run's progress: bars, lines, or nothing."""

from collections.abc import Mapping
from typing import Protocol

from swarm.csv import CheckResult
from swarm.delivery.result import StreamResult, Tally


class Observer(Protocol):
    """The calls by which a run reports its progress."""

    def checking(self, meters: int) -> None:
        """Note that the files of this many meters are about to be checked."""

    def checked(self, result: CheckResult) -> None:
        """Note that the files of a meter have been checked."""

    def sending(self, rows: Mapping[str, int]) -> None:
        """Note that streams are about to be sent, each with this many rows."""

    def tallies(self, changed: Mapping[str, Tally]) -> None:
        """Note the tallies that have changed since the last call, about ten times a second.

        The calls come also if none has changed, and while files are checked.
        """

    def connections(self, text: str) -> None:
        """Note how many streams are sent at the same time, and why no more."""

    def ended(self, result: StreamResult) -> None:
        """Note that a stream has ended."""

    def notice(self, text: str) -> None:
        """Show a notice to the user."""

    def stopping(self, why: str) -> None:
        """Note that the run ends early, in order."""
