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
_DEFAULT = CsvRules(_ZONE)
#: The form of exports in much of Europe.
_EXPORT = CsvRules(_ZONE, timestamp_format="%d.%m.%Y %H:%M", delimiter=";", decimal=",")


def one_core(session: Session) -> list[Result]:
    """Measure the check in this process, against a plain loop over the same rows."""
    folder = session.make_folder("checking")
    results = []
    for columns, rows, rules, bar in (
        (1, 1_000_000, _DEFAULT, 4),
        (21, 200_000, _DEFAULT, 3),
        (1, 300_000, _EXPORT, 4),
    ):
        series = Series(session.plan.size(rows), zone=_ZONE, columns=columns)
        results += _against_plain(session, folder / "rows.csv", series, rules, bar)
    return results


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
    session: Session, path: Path, series: Series, rules: CsvRules, bar: float
) -> list[Result]:
    data.write(path, (_in_form(line, rules) for line in series.in_order()))
    check = partial(_check_file, rules, path, series.rows)
    check()
    swarm, plain = side_by_side(
        session.plan.pairs,
        partial(_microseconds, check, series.rows),
        partial(_microseconds, partial(_read_plainly, rules, path, series.rows), series.rows),
    )
    form = "" if rules.timestamp_format == DEFAULT_TIMESTAMP else f", {rules.timestamp_format}"
    name = f"check, {series.rows:,} rows of {pluralize(series.columns, 'value')}, {_ZONE}{form}"
    return [
        Result(f"{name}: swarm, a row", swarm, MICROSECONDS),
        Result(f"{name}: csv + strptime + float, a row", plain, MICROSECONDS),
        Result(f"{name}: against that loop", ratios(plain, swarm), TIMES, at_least(bar)),
    ]


def _in_form(line: str, rules: CsvRules) -> str:
    """Return a line of the default form in another one."""
    if rules.timestamp_format == DEFAULT_TIMESTAMP:
        return line
    stamp, *cells = line.rstrip("\n").split(",")
    time_text = datetime.fromisoformat(stamp).strftime(rules.timestamp_format)
    others = (cell.replace(".", rules.decimal) for cell in cells)
    return f"{rules.delimiter.join([time_text, *others])}\n"


def _microseconds(check: Callable[[], None], rows: int) -> float:
    """Return the CPU time (microseconds) of a check of a file, for one row."""
    started = time.process_time()
    check()
    return (time.process_time() - started) / rows * 1e6


def _check_file(rules: CsvRules, path: Path, rows: int) -> None:
    meter = Meter("stream-000", (path,), rules)
    found = check_files(meter, Window())
    if not found.is_sound or found.rows != rows:
        raise NotMeasured(f"of {rows} rows {found.rows} were checked")


def _read_plainly(rules: CsvRules, path: Path, rows: int) -> None:
    """Read a file as a short script would, without zones, order or reports of problems."""
    read = 0
    with path.open(newline="", encoding="ascii") as file:
        for stamp, *cells in csv.reader(file, delimiter=rules.delimiter):
            datetime.strptime(stamp, rules.timestamp_format)
            for cell in cells:
                float(cell.replace(rules.decimal, "."))
            read += 1
    if read != rows:
        raise NotMeasured(f"of {rows} rows {read} were read")
