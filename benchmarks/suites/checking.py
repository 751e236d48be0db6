"""The check of files: time for each row on one core, and the speedup by a second core."""

import csv
import shutil
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from benchmarks.harness import data
from benchmarks.harness.data import Series
from benchmarks.harness.session import Session, compare, ratios, side_by_side
from benchmarks.harness.uploads import write_job
from benchmarks.harness.versions import THIS, Version
from benchmarks.machine import cores
from benchmarks.results import MICROSECONDS, SECONDS, TIMES, NotMeasured, Result, at_least
from swarm.config.settings import DEFAULT_TIMESTAMP, CsvRules, Meter
from swarm.csv import Window, check_files
from swarm.text import pluralize

_ZONE = "Europe/Dublin"
_FILES = 8


def one_core(session: Session) -> list[Result]:
    """Measure the check in this process, against a plain loop over the same rows."""
    folder = session.make_folder("checking")
    return [
        *_against_plain(session, folder, 1, 1_000_000, 4),
        *_against_plain(session, folder, 21, 200_000, 3),
    ]


def many_files(session: Session) -> list[Result]:
    """Measure ``swarm check`` on two cores against one."""
    if cores() < 2:
        raise NotMeasured("needs two cores")
    series = Series(session.plan.size(1_000_000), zone=_ZONE)
    folder = session.make_folder("many-files")
    ini = write_job(folder, "http://127.0.0.1:9/", series, streams=_FILES, zone=_ZONE).ini
    runs = compare(session, partial(_check, ini, folder, 2), partial(_check, ini, folder, 1, THIS))
    two, (one,) = runs.this, runs.baselines
    shutil.rmtree(folder)
    name = f"check, {_FILES} files of {series.rows:,} rows"
    return [
        Result(f"{name}: one process", one, SECONDS),
        Result(f"{name}: two processes", two, SECONDS, other=runs.other),
        Result(f"{name}: two against one", ratios(one, two), TIMES, at_least(1.7)),
    ]


def _check(ini: Path, folder: Path, processes: int, version: Version) -> float:
    command = ["check", str(ini), "--progress", "none", "--processes", str(processes)]
    return version.run(command, folder).seconds


def _against_plain(
    session: Session, folder: Path, columns: int, rows: int, bar: float
) -> list[Result]:
    series = Series(session.plan.size(rows), zone=_ZONE, columns=columns)
    path = data.write(folder / f"{columns}.csv", series.in_order())
    _check_file(path, series.rows)
    swarm, plain = side_by_side(
        session.plan.pairs,
        partial(_microseconds, _check_file, path, series.rows),
        partial(_microseconds, _read_plainly, path, series.rows),
    )
    name = f"check, {series.rows:,} rows of {pluralize(columns, 'value')}, {_ZONE}"
    return [
        Result(f"{name}: swarm, a row", swarm, MICROSECONDS),
        Result(f"{name}: csv + strptime + float, a row", plain, MICROSECONDS),
        Result(f"{name}: against that loop", ratios(plain, swarm), TIMES, at_least(bar)),
    ]


def _microseconds(check: Callable[[Path, int], None], path: Path, rows: int) -> float:
    """Return the CPU time (microseconds) of a check of a file, for one row."""
    started = time.process_time()
    check(path, rows)
    return (time.process_time() - started) / rows * 1e6


def _check_file(path: Path, rows: int) -> None:
    meter = Meter("stream-000", (path,), CsvRules(_ZONE))
    found = check_files(meter, Window())
    if not found.is_sound or found.rows != rows:
        raise NotMeasured(f"of {rows} rows {found.rows} were checked")


def _read_plainly(path: Path, rows: int) -> None:
    """Read a file as a short script would, without zones, order or reports of problems."""
    read = 0
    with path.open(newline="", encoding="ascii") as file:
        for stamp, *cells in csv.reader(file):
            datetime.strptime(stamp, DEFAULT_TIMESTAMP)
            for cell in cells:
                float(cell)
            read += 1
    if read != rows:
        raise NotMeasured(f"of {rows} rows {read} were read")
