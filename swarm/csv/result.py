"""The result of the check of a meter's files, as plain data for the parent and for sending."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from swarm.csv.problems import Problem, Problems
from swarm.csv.quality import Quality
from swarm.csv.reader import CheckedFile, SettledPart
from swarm.csv.rows import Row
from swarm.csv.statistics import DailyRows, Statistics


@dataclass(frozen=True)
class CheckResult:
    """The result of a check: counts, period and problems, and the facts that sending relies on.

    ``rows`` is the number of lines with data, and of the padding packet; ``filtered`` of those that
    are not sent. ``ends`` are the first and the last row that are sent. ``is_padded`` is False if
    the padding packet of the meter's rules is not sent, as the stream has begun without it.
    ``quality`` is there for sound files, if it was asked for; ``coverage`` and ``statistics`` also
    for others. ``settled`` is the part that was not
    read again; ``state`` is a pickled `CheckState`, from which the next check can go on.
    """

    meter: str
    registers: tuple[str, ...] = ()
    checked_files: tuple[CheckedFile, ...] = ()
    rows: int = 0
    filtered: int = 0
    ends: tuple[Row, ...] = ()
    problems: tuple[Problem, ...] = ()
    problem_count: int = 0
    notices: tuple[str, ...] = ()
    is_padded: bool = True
    quality: Quality | None = None
    coverage: DailyRows | None = None
    statistics: Statistics | None = None
    settled: SettledPart | None = None
    state: bytes | None = None

    @property
    def is_sound(self) -> bool:
        """True if the meter's files have no problem and may be sent."""
        return not self.problem_count

    @property
    def packets(self) -> int:
        """The number of packets that the rows make."""
        return self.rows - self.filtered

    def with_problems(self, by_file: Sequence[Problems]) -> "CheckResult":
        """Return the result with these problems of its files.

        ``by_file`` has the problems of each file, in the order of the files.
        """
        return replace(
            self,
            problems=tuple(problem for problems in by_file for problem in problems.found),
            problem_count=sum(problems.count for problems in by_file),
        )
