"""What can happen to one stream: a history as plain data, made by hypothesis, told as a story."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from hypothesis import strategies as st

from tests.simulation.collector import Fault

#: How an export shows the readings.
Form = Literal["growing", "newest first", "rolling", "parted", "overlapping", "gap filled"]
#: How a run ends before its time.
End = Literal["kill", "power cut", "interrupt"]
#: What happens to the state folder after a run.
After = Literal["backup", "restore", "lose"]


@dataclass(frozen=True)
class Run:
    """What happens before a run, its export and options, and what goes wrong in it.

    ``grow`` readings are taken, those ``corrected`` (counted from the newest) get another value,
    ``live`` says that another source sends a newer packet. ``place`` is where the export begins or
    is parted. ``since`` and ``until`` leave out so many readings at the beginning and the end.
    ``faults`` are by the number of the request. ``end`` comes at step ``at``; ``chance`` decides
    what a power cut leaves.
    """

    grow: int = 0
    corrected: tuple[int, ...] = ()
    live: bool = False
    form: Form = "growing"
    place: int = 0
    since: int = 0
    until: int = 0
    sends_late: bool = False
    skips: bool = False
    faults: tuple[tuple[int, Fault], ...] = ()
    end: End | None = None
    at: int = 0
    chance: int = 0
    after: After | None = None

    def __str__(self) -> str:
        parts = [f"{self.grow} more readings"] if self.grow else []
        parts += [f"reading -{back} corrected" for back in self.corrected]
        parts += ["a live packet from elsewhere"] if self.live else []
        place = f" at {self.place}" if self.form in {"rolling", "parted", "overlapping"} else ""
        parts.append(f"run with {self.form} export{place}")
        parts += [f"--since leaves out {self.since}"] if self.since else []
        parts += [f"--until leaves out {self.until}"] if self.until else []
        parts += ["--late send"] if self.sends_late else []
        parts += ["--on-reject skip"] if self.skips else []
        parts += [f"request {number}: {fault}" for number, fault in self.faults]
        parts += [f"{self.end} at step {self.at} ({self.chance})"] if self.end else []
        parts += [f"then the state: {self.after}"] if self.after else []
        return ", ".join(parts)


@dataclass(frozen=True)
class History:
    """One stream's history; ``start`` readings lie ahead of the clock change of the ``zone``."""

    zone: str = "Europe/Dublin"
    change: str = "2023-10-29 00:00:00"
    minutes: int = 15
    start: int = 4
    tells: Literal["newest", "latest"] = "newest"
    quotes: bool = False
    rejects: bool = False
    stops_on_ambiguity: bool = False
    constant: bool = False
    runs: tuple[Run, ...] = ()

    def __str__(self) -> str:
        facts = [
            f"{self.zone}, {self.change} UTC, a reading each {self.minutes} minutes",
            f"{self.start} of them before that",
            f"the collector tells its {self.tells} packet" + " in quotes" * self.quotes,
        ]
        facts += ["it rejects some rows"] if self.rejects else []
        facts += ["--on-ambiguous stop"] if self.stops_on_ambiguity else []
        facts += ["all values are the same"] if self.constant else []
        lines = [f"  {number}. {run}" for number, run in enumerate(self.runs, 1)]
        return "\n".join([", ".join(facts), *lines])


_FAULTS = st.lists(st.tuples(st.integers(0, 25), st.sampled_from(get_args(Fault))), max_size=3).map(
    tuple
)
_RARELY = st.sampled_from([False, False, False, True])

RUNS = st.builds(
    Run,
    grow=st.integers(0, 12),
    corrected=st.lists(st.integers(1, 10), max_size=2, unique=True).map(tuple),
    live=st.sampled_from([False] * 9 + [True]),
    form=st.sampled_from(get_args(Form)),
    place=st.integers(1, 12),
    since=st.sampled_from([0, 0, 0, 3, 9, 40]),
    until=st.sampled_from([0, 0, 0, 1, 5, 40]),
    sends_late=_RARELY,
    skips=st.booleans(),
    faults=_FAULTS,
    end=st.sampled_from([None, None, *get_args(End)]),
    at=st.integers(0, 120),
    chance=st.integers(0, 2**16),
    after=st.sampled_from([None, None, None, None, None, None, *get_args(After)]),
)

#: A zone, and when (UTC) its clocks change.
CHANGES = (
    ("Europe/Dublin", "2023-10-29 01:00:00"),
    ("Europe/Dublin", "2023-03-26 01:00:00"),
    ("America/Chicago", "2023-11-05 07:00:00"),
    ("Australia/Lord_Howe", "2023-04-01 15:00:00"),
    ("UTC", "2023-06-01 00:00:00"),
)


#: How many minutes the clocks repeat, where it is not an hour.
_REPEATED = {"Australia/Lord_Howe": 30}


def histories(runs: int) -> st.SearchStrategy[History]:
    """Return histories of so many runs at most."""
    return st.builds(
        _history,
        st.sampled_from(CHANGES),
        st.sampled_from([15, 30, 60, 10]),
        ahead=st.integers(1, 6),
        tells=st.sampled_from(["newest", "newest", "latest"]),
        quotes=st.booleans(),
        rejects=_RARELY,
        stops_on_ambiguity=_RARELY,
        constant=_RARELY,
        runs=st.lists(RUNS, min_size=1, max_size=runs).map(tuple),
    )


def _history(change: tuple[str, str], minutes: int, ahead: int, **others: Any) -> History:
    zone, moment = change
    repeated = _REPEATED.get(zone, 60)
    # Of a repeated stretch both passes are to be seen, as a lone reading counts as the first; and
    # some readings ahead of it, as in a file of the stretch alone nothing tells its direction.
    minutes = min(minutes, repeated)
    return History(zone, moment, minutes, ahead + repeated // minutes, **others)


HISTORIES = histories(6)
#: For real processes, which take their time.
SHORT_HISTORIES = histories(3)
