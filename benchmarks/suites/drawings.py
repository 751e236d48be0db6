"""The cost of pictures: a check with a report, and an upload with its page."""

import os
import re
import shutil
import threading
import time
import urllib.request
from contextlib import suppress
from functools import partial
from pathlib import Path

from benchmarks.harness import commands
from benchmarks.harness.commands import Setting
from benchmarks.harness.data import Series
from benchmarks.harness.session import Session, Throughput, ratios, side_by_side
from benchmarks.harness.uploads import Job, write_job
from benchmarks.harness.versions import THIS
from benchmarks.results import MEGABYTES, RATE, SECONDS, TIMES, Result, at_least, at_most
from benchmarks.suites.memory import Peak
from benchmarks.suites.rates import sized_job

_METERS = 100
#: Five years of quarter hours.
_ROWS = 175_200
_NOWHERE = "http://127.0.0.1:9/unifiedjson/"
_STREAMS = 1000
_CURL = ("--progress", "none", "--transport", "curl")
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/")


def report(session: Session) -> list[Result]:
    """Measure a check of many meters with a report, beside one without."""
    folder = session.make_folder("report")
    series = Series(session.plan.size(_ROWS), minutes=15)
    job = write_job(folder, _NOWHERE, series, streams=_METERS)
    page = folder / "report.html"
    pairs = session.plan.pairs
    check, with_report = partial(_check, job), partial(_check, job, "--report", str(page))
    drawn, plain = side_by_side(pairs, with_report, check)
    # Sampling takes time, so memory is measured in runs of its own.
    peaks = [
        [_peak(job, *options) for _ in range(pairs)] for options in (("--report", str(page)), ())
    ]
    size = page.stat().st_size / 1e6
    shutil.rmtree(folder)
    name = f"check of {_METERS} meters with {series.rows:,} rows each"
    times = [[run.seconds for run in runs] for runs in (drawn, plain)]
    return [
        Result(f"{name}: with a report", times[0], SECONDS),
        Result(f"{name}: without", times[1], SECONDS),
        Result(f"{name}: with against without", ratios(*times), TIMES, at_most(1.3)),
        Result(f"{name}: memory with a report", peaks[0], MEGABYTES),
        Result(f"{name}: memory without", peaks[1], MEGABYTES),
        Result(f"{name}: memory, with against without", ratios(*peaks), TIMES, at_most(1.2)),
        Result(f"{name}: size of the page", [size], MEGABYTES, at_most(20)),
    ]


def page(session: Session) -> list[Result]:
    """Measure uploads of very many streams with a page that is read, beside others without."""
    folder = session.make_folder("page")
    plan = session.plan
    streams = _STREAMS // plan.divisor if plan.is_quick else _STREAMS
    job = sized_job(session, folder, session.nginx.immediate, streams)
    pairs = plan.pairs if plan.is_quick else plan.pairs * 2
    shown, hidden = side_by_side(pairs, partial(_send_with_page, job), partial(job.send, *_CURL))
    rates = [[run.rate for run in runs] for runs in (shown, hidden)]
    name = f"{streams:,} streams, HTTP, no latency"
    return [
        Result(f"{name}: with a page", rates[0], RATE),
        Result(f"{name}: without", rates[1], RATE),
        Result(f"{name}: with a page against without", ratios(*rates), TIMES, at_least(0.98)),
    ]


def _check(job: Job, *options: str) -> commands.Finished:
    return THIS.run(["check", str(job.ini), "--progress", "none", *options], job.folder)


def _peak(job: Job, *options: str) -> float:
    """Return the highest memory (MB) of all processes of a check."""
    peak = Peak()
    command = ["check", str(job.ini), "--progress", "none", *options]
    THIS.run(command, job.folder, setting=Setting(watch=peak.watch))
    return peak.bytes / 1e6


def _send_with_page(job: Job) -> Throughput:
    """Send with a page, whose events one reader reads until the run ends."""
    told = job.folder / "page.txt"
    with told.open("wb") as stderr:
        reader = threading.Thread(target=_read, args=(told,))
        reader.start()
        found = job.send(*_CURL, "--page", "0", setting=Setting(stderr=stderr.fileno()))
        reader.join()
    os.truncate(told, 0)
    return found


def _read(told: Path) -> None:
    """Read the events of a page, from when its address is told to its end."""
    while not (match := _ADDRESS.search(told.read_text())):
        time.sleep(0.05)
    url = f"{match[0]}events"
    with suppress(OSError), urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310
        for _ in answer:
            pass
