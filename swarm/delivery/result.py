"""Messages of a worker to its parent: small facts, and each stream's result."""

from dataclasses import dataclass, field, replace
from typing import Literal

from swarm.csv.problems import Kind

State = Literal["done", "stopped", "invalid", "locked", "not started"]
Verified = Literal["yes", "newer", "no", "unknown"]


#: Why a stream is not done, beyond what is wrong with its files.
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


@dataclass(frozen=True)
class StreamProblem:
    """Why a stream is not done; ``kind`` and ``exit_code`` are those of the reference."""

    kind: StreamKind | Kind
    message: str
    exit_code: int
    line: int | None = None
    status: int | None = None
    file: str | None = None


@dataclass
class Tally:
    """The outcome of a stream's rows so far; ``first`` and ``last`` packet on the monotonic clock.

    Written by the job that sends the stream alone, read by others at any time. The ledger holds
    ``base`` + ``sent`` records: what it holds beyond, a killed worker has sent without telling.
    ``base`` is None until the ledger is open; ``trouble`` is why the stream's next packet has to
    wait, in the words of the last try.
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

    @property
    def skipped(self) -> int:
        """The number of rows settled without a packet."""
        return self.resumed + self.late

    @property
    def settled(self) -> int:
        """The number of rows that need nothing more in this run."""
        return self.sent + self.resumed + self.rejected + self.late

    def copy(self) -> "Tally":
        """Return the facts of this moment."""
        return replace(self)


@dataclass(frozen=True)
class StreamResult:
    """The end of one stream. ``stops_run`` means that no other stream can do better."""

    id: str
    state: State
    tally: Tally = field(default_factory=Tally)
    problem: StreamProblem | None = None
    verified: Verified = "unknown"
    stops_run: bool = False
    notices: tuple[str, ...] = ()
    traceback: str | None = None
