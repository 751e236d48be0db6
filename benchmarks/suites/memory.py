"""The memory of a run: the highest total of all its processes."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.commands import Setting
from benchmarks.harness.data import Series
from benchmarks.harness.session import LOG, Session
from benchmarks.harness.uploads import Job, write_job
from benchmarks.harness.versions import THIS, Version
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
    run: Callable[[Job, Version, Peak], object]


def dry_run(session: Session) -> list[Result]:
    """Measure the check of one large file."""
    return _results(session, Kind("--dry-run", 1_000_000, 1, _NOWHERE, _dry))


def upload(session: Session) -> list[Result]:
    """Measure parallel uploads of some streams."""
    return _results(
        session, Kind("upload", 200_000, _UPLOAD_STREAMS, session.nginx.immediate, _send)
    )


def _dry(job: Job, version: Version, peak: Peak) -> object:
    command = ["upload", str(job.ini), "--dry-run", "--progress", "none"]
    return version.run(command, job.folder, setting=Setting(watch=peak.watch))


def _send(job: Job, version: Version, peak: Peak) -> object:
    options = ("--progress", "none", "--transport", "curl")
    return job.send(*options, version=version, setting=Setting(watch=peak.watch))


def _results(session: Session, kind: Kind) -> list[Result]:
    """Measure a run, and one with ten times its rows, with rows in order and shuffled."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise NotMeasured("needs /proc/PID/smaps_rollup, which Linux has")
    small = session.plan.size(kind.rows)
    results = []
    for shuffled in (False, True):
        name = f"memory, {kind.name}, rows {'shuffled' if shuffled else 'in order'}"
        few, many = (_peaks(session, kind, rows, shuffled=shuffled) for rows in (small, 10 * small))
        for rows, peaks in ((small, few), (10 * small, many)):
            label = f"{name}: {rows:,} in {pluralize(kind.streams, 'stream')}"
            bar = at_most(_MOST_MEGABYTES)
            results.append(Result(label, peaks[:1], MEGABYTES, bar, peaks[1:]))
        growth = [(more / less - 1) * 100 for less, more in zip(few, many, strict=True)]
        label = f"{name}: ten times as many"
        results.append(Result(label, growth[:1], PERCENT, at_most(_MOST_GROWTH), growth[1:]))
    return results


def _peaks(session: Session, kind: Kind, rows: int, *, shuffled: bool) -> list[float]:
    """Return the peak (MB) of one run of each version; the large files are removed afterwards."""
    folder = session.make_folder("memory")
    series = Series(rows // kind.streams, minutes=_MINUTES)
    job = write_job(folder, kind.url, series, streams=kind.streams, shuffled=shuffled)
    peaks = []
    for version in filter(None, (THIS, session.other)):
        peak = Peak()
        kind.run(job, version, peak)
        LOG.info("  %s rows, shuffled %s: %.1f MB", f"{rows:,}", shuffled, peak.bytes / 1e6)
        peaks.append(peak.bytes / 1e6)
    shutil.rmtree(folder)
    return peaks


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
