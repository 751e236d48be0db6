"""The startup time of the command, of a small check, and of an upload of one row."""

import sys
from functools import partial
from pathlib import Path

from benchmarks.harness import commands
from benchmarks.harness.data import Series
from benchmarks.harness.session import Session, compare, ratios
from benchmarks.harness.uploads import write_job
from benchmarks.harness.versions import Version
from benchmarks.results import SECONDS, TIMES, Result, at_most

_TIMES_THE_PAIRS = 4


def start(session: Session) -> list[Result]:
    """Measure ``swarm --version`` against an import of click, its command line library."""
    folder = session.make_folder("start")
    command = [sys.executable, "-c", "import click"]
    runs = compare(
        session,
        lambda version: version.run(["--version"], folder).seconds,
        lambda: commands.run(command, folder).seconds,
        times=session.plan.pairs * _TIMES_THE_PAIRS,
    )
    (click,) = runs.baselines
    return [
        Result("start: swarm --version", runs.this, SECONDS, other=runs.other),
        Result("start: python -c 'import click'", click, SECONDS),
        Result(
            "start: against it",
            ratios(runs.this, click),
            TIMES,
            at_most(2),
            ratios(runs.other, click),
        ),
    ]


def small_runs(session: Session) -> list[Result]:
    """Measure a check of a file of 100 rows, and an upload of one row."""
    check, upload = session.make_folder("small-check"), session.make_folder("small-upload")
    url = session.nginx.url("http")
    many, one = (
        write_job(folder, url, Series(rows), streams=1)
        for folder, rows in ((check, 100), (upload, 1))
    )
    times = session.plan.pairs * _TIMES_THE_PAIRS
    checks = compare(session, partial(_check, many.ini, check), times=times)

    def send(version: Version) -> float:
        sent = one.send("--progress", "none", version=version)
        return sent.overhead + one.rows / sent.rate

    uploads = compare(session, send, times=times)
    return [
        Result("start: check of 100 rows", checks.this, SECONDS, at_most(0.17), checks.other),
        Result("start: upload of one row", uploads.this, SECONDS, at_most(0.22), uploads.other),
    ]


def _check(ini: Path, folder: Path, version: Version) -> float:
    return version.run(["check", str(ini), "--progress", "none"], folder).seconds
