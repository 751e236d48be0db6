"""Messages of a worker process to the parent: the tally of a stream, and its result."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from swarm.csv.problems import Kind
from swarm.errors import ExitCode, SwarmError

State = Literal["done", "stopped", "invalid", "locked", "not started"]
Verified = Literal["yes", "newer", "no", "unknown"]

#: The kinds of problems of a stream, beside those of its files (`swarm.csv.problems.Kind`).
StreamKind = Literal[
    "ambiguous",
    "bug",
    "file changed",
    "interrupted",
    "late",
    "locked",
    "no checkpoint",
    "not verified",
    "redirect",
    "refused",
    "rejected",
    "state",
    "temporary",
    "tls",
    "unauthorized",
    "worker",
]


class RowPlace(NamedTuple):
    """The file and line of a row."""

    file: str
    line: int


@dataclass(frozen=True)
class StreamProblem:
    """The reason why a stream is not done. Source: "Kinds of problems" in docs/reference.md."""

    kind: StreamKind | Kind
    message: str
    exit_code: ExitCode
    line: int | None = None
    status: int | None = None
    file: str | None = None

    @classmethod
    def of(cls, kind: StreamKind, error: SwarmError) -> "StreamProblem":
        """Return the problem that an error makes of a stream."""
        return cls(kind, str(error), error.exit_code)

    def at(self, place: RowPlace | None) -> "StreamProblem":
        """Return the problem with the place of the row that it is about, if there is one."""
        return replace(self, file=place.file, line=place.line) if place else self


@dataclass
class Tally:
    """The counts of a stream's rows so far; ``first`` and ``last`` packet on the monotonic clock.

    Only the job that sends the stream writes it; other threads may read it at any time.
    ``base + sent`` is the number of records in the ledger as far as the parent knows: records
    beyond that are rows that a killed worker process sent without reporting them. ``base`` is None
    until the ledger is open. ``stall_reason`` is the detail of the last failed try while the
    stream waits to try again, else empty. ``exchange_seconds`` is the time of the exchanges
    that acknowledged packets.
    """

    sent: int = 0
    resumed: int = 0
    rejected: int = 0
    late: int = 0
    filtered: int = 0
    retries: int = 0
    possible_duplicates: int = 0
    base: int | None = None
    stall_reason: str = ""
    first: float | None = None
    last: float | None = None
    exchange_seconds: float = 0.0

    @property
    def skipped(self) -> int:
        """The number of rows that needed no packet in this run: resumed or late."""
        return self.resumed + self.late

    @property
    def finished(self) -> int:
        """The number of rows that need nothing more in this run."""
        return self.sent + self.resumed + self.rejected + self.late

    def copy(self) -> "Tally":
        """Return a snapshot."""
        return replace(self)


@dataclass(frozen=True)
class OpenDays:
    """The numbers of rejected and of late rows by their days of local time since 1970-01-01."""

    rejected: Counter[int] = field(default_factory=Counter)
    late: Counter[int] = field(default_factory=Counter)

    def clear(self) -> None:
        """Begin to count again."""
        self.rejected.clear()
        self.late.clear()


@dataclass(frozen=True)
class StreamResult:
    """The end of one stream; ``stops_run`` means that the same would stop all other streams.

    ``days`` are the rejected and late rows of each day. ``newest`` is the instant (ms) of the
    newest acknowledged row.
    """

    id: str
    state: State
    tally: Tally = field(default_factory=Tally)
    problem: StreamProblem | None = None
    verified: Verified = "unknown"
    stops_run: bool = False
    notices: tuple[str, ...] = ()
    traceback: str | None = None
    days: OpenDays = field(default_factory=OpenDays)
    newest: int | None = None
