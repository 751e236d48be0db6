"""The memory of a run: the highest total of all its processes."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import commands
from benchmarks.harness.commands import SWARM
from benchmarks.harness.data import Series
from benchmarks.harness.session import LOG, Session
from benchmarks.harness.uploads import Job, write_job
from benchmarks.results import MEGABYTES, PERCENT, NotMeasured, Result, at_most
from swarm.text import pluralize

_MOST_MEGABYTES = 250
_MOST_GROWTH = 15
_MINUTES = 1
_UPLOAD_STREAMS = 8
#: A dry run connects to nothing.
_NOWHERE = "http://127.0.0.1:9/unifiedjson/"


class Peak:
    """The highest sum of the proportional set sizes (PSS) of a process session, in bytes.

    PSS divides a shared page among the processes that share it, so that a sum counts it once.
    """

    def __init__(self) -> None:
        self.bytes = 0

    def watch(self, session: int) -> None:
        """Update the peak with the current sum."""
        self.bytes = max(self.bytes, sum(map(_pss, _members(session))))


@dataclass(frozen=True)
class Kind:
    """The kind of run; ``rows`` is the number for the smaller run."""

    name: str
    rows: int
    streams: int
    url: str
    run: Callable[[Job, Peak], object]


def dry_run(session: Session) -> list[Result]:
    """Measure the check of one large file."""
    return _results(session, Kind("--dry-run", 1_000_000, 1, _NOWHERE, _dry))


def upload(session: Session) -> list[Result]:
    """Measure parallel uploads of some streams."""
    return _results(
        session, Kind("upload", 200_000, _UPLOAD_STREAMS, session.nginx.immediate, _send)
    )


def _dry(job: Job, peak: Peak) -> object:
    command = [*SWARM, "upload", str(job.ini), "--dry-run", "--progress", "none"]
    return commands.run(command, job.folder, watch=peak.watch)


def _send(job: Job, peak: Peak) -> object:
    return job.send("--progress", "none", "--transport", "curl", watch=peak.watch)


def _results(session: Session, kind: Kind) -> list[Result]:
    """Measure a run, and one with ten times its rows, with rows in order and shuffled."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise NotMeasured("needs /proc/PID/smaps_rollup, which Linux has")
    small = session.plan.size(kind.rows)
    results = []
    for shuffled in (False, True):
        name = f"memory, {kind.name}, rows {'shuffled' if shuffled else 'in order'}"
        peaks = []
        for rows in (small, 10 * small):
            peaks.append(_peak(session, kind, rows, shuffled=shuffled) / 1e6)
            label = f"{name}: {rows:,} in {pluralize(kind.streams, 'stream')}"
            results.append(Result(label, peaks[-1:], MEGABYTES, at_most(_MOST_MEGABYTES)))
        growth = [(peaks[1] / peaks[0] - 1) * 100]
        results.append(Result(f"{name}: ten times as many", growth, PERCENT, at_most(_MOST_GROWTH)))
    return results


def _peak(session: Session, kind: Kind, rows: int, *, shuffled: bool) -> int:
    """Return the peak of one run (bytes); its files are large, and are removed afterwards."""
    folder, peak = session.make_folder("memory"), Peak()
    series = Series(rows // kind.streams, minutes=_MINUTES)
    kind.run(write_job(folder, kind.url, series, streams=kind.streams, shuffled=shuffled), peak)
    shutil.rmtree(folder)
    LOG.info("  %s rows, shuffled %s: %.1f MB", f"{rows:,}", shuffled, peak.bytes / 1e6)
    return peak.bytes


def _members(session: int) -> Iterator[Path]:
    """Yield the folders in /proc of the processes of a process session."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
            if int(fields[3]) == session:
                yield folder


def _pss(process: Path) -> int:
    """Return the proportional set size of a process (bytes), 0 if it has ended."""
    with suppress(OSError):
        for line in (process / "smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
