"""The protocol of a run's observer: bars, lines, or nothing. The run itself knows no terminal."""

from collections.abc import Mapping
from typing import Protocol

from swarm.csv import CheckResult
from swarm.delivery.result import StreamResult, Tally


class Observer(Protocol):
    """The calls by which a run tells of itself while it goes on.

    ``notes`` are lines that the report of the run is to end with.
    """

    notes: list[str]

    def checking(self, meters: int) -> None:
        """Hear that so many meters are about to be checked."""

    def checked(self, survey: CheckResult) -> None:
        """Hear that one has been."""

    def sending(self, rows: Mapping[str, int]) -> None:
        """Hear which meters are about to be sent, with so many rows each."""

    def tallies(self, tallies: Mapping[str, Tally]) -> None:
        """Hear, some ten times a second, the newest facts of the streams in flight.

        While files are checked there are none: the run tells only that it is alive.
        """

    def ended(self, result: StreamResult) -> None:
        """Hear that a stream has ended."""

    def notice(self, text: str) -> None:
        """Hear something that the user should know."""

    def stopping(self, why: str) -> None:
        """Hear that the run ends early, in order."""
