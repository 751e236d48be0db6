"""The memory of a run: the most that all its processes had together."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks import commands
from benchmarks.bench import LOG, Bench
from benchmarks.commands import SWARM
from benchmarks.data import Series
from benchmarks.errors import NotMeasured
from benchmarks.results import MEGABYTES, PERCENT, Result, at_most
from benchmarks.uploads import Job, job
from swarm.text import pluralize

_MOST_MEGABYTES = 250
_MOST_GROWTH = 15
_MINUTES = 1
_UPLOAD_STREAMS = 8
#: A dry run goes nowhere.
_NOWHERE = "http://127.0.0.1:9/unifiedjson/"


class Peak:
    """The highest sum of the proportional set sizes (PSS) of a session's processes, in bytes.

    PSS parts a page among the processes that share it, so that a sum counts it once.
    """

    def __init__(self) -> None:
        self.bytes = 0

    def watch(self, session: int) -> None:
        """Look once."""
        self.bytes = max(self.bytes, sum(map(_pss, _members(session))))


@dataclass(frozen=True)
class Kind:
    """What is run: ``rows`` are those of the smaller run."""

    name: str
    rows: int
    streams: int
    url: str
    run: Callable[[Job, Peak], object]


def dry_run(bench: Bench) -> list[Result]:
    """Measure the check of one large file."""
    return _results(bench, Kind("--dry-run", 1_000_000, 1, _NOWHERE, _dry))


def upload(bench: Bench) -> list[Result]:
    """Measure uploads of some streams at once."""
    return _results(bench, Kind("upload", 200_000, _UPLOAD_STREAMS, bench.nginx.now, _send))


def _dry(work: Job, peak: Peak) -> object:
    command = [*SWARM, "upload", str(work.ini), "--dry-run", "--progress", "none"]
    return commands.run(command, work.folder, watch=peak.watch)


def _send(work: Job, peak: Peak) -> object:
    return work.send("--progress", "none", "--transport", "curl", watch=peak.watch)


def _results(bench: Bench, kind: Kind) -> list[Result]:
    """Measure a run and one of ten times its rows; with rows in order, and shuffled."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise NotMeasured("needs /proc/PID/smaps_rollup, which Linux has")
    small = bench.plan.size(kind.rows)
    results = []
    for shuffled in (False, True):
        name = f"memory, {kind.name}, rows {'shuffled' if shuffled else 'in order'}"
        peaks = []
        for rows in (small, 10 * small):
            peaks.append(_peak(bench, kind, rows, shuffled=shuffled) / 1e6)
            label = f"{name}: {rows:,} in {pluralize(kind.streams, 'stream')}"
            results.append(Result(label, peaks[-1:], MEGABYTES, at_most(_MOST_MEGABYTES)))
        growth = [(peaks[1] / peaks[0] - 1) * 100]
        results.append(Result(f"{name}: ten times as many", growth, PERCENT, at_most(_MOST_GROWTH)))
    return results


def _peak(bench: Bench, kind: Kind, rows: int, *, shuffled: bool) -> int:
    """Return the peak of one run, in bytes; its files are large, and removed at once."""
    folder, peak = bench.room("memory"), Peak()
    series = Series(rows // kind.streams, minutes=_MINUTES)
    kind.run(job(folder, kind.url, series, streams=kind.streams, shuffled=shuffled), peak)
    shutil.rmtree(folder)
    LOG.info("  %s rows, shuffled %s: %.1f MB", f"{rows:,}", shuffled, peak.bytes / 1e6)
    return peak.bytes


def _members(session: int) -> Iterator[Path]:
    """Yield the folders in /proc of a session's processes."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
            if int(fields[3]) == session:
                yield folder


def _pss(process: Path) -> int:
    """Return the proportional set size of a process in bytes, 0 when it has ended."""
    with suppress(OSError):
        for line in (process / "smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
