"""``swarm split``: rows a second of exports of a hundred meters, and its memory."""

import shutil
from functools import partial
from itertools import chain
from pathlib import Path

from benchmarks.harness import data
from benchmarks.harness.commands import PLAIN, Setting
from benchmarks.harness.data import Series
from benchmarks.harness.session import Session
from benchmarks.harness.versions import THIS
from benchmarks.results import MEGABYTES, RATE, NotMeasured, Result, at_least, at_most
from benchmarks.suites.memory import Peak

_METERS = [f"meter-{number:03}" for number in range(100)]
_ROWS = 20_000
#: Rows a second of CPU, so that one core can do it.
_BAR = at_least(500_000)


def split(session: Session) -> list[Result]:
    """Measure a long export (rows that are read) and a wide one (rows that are written)."""
    folder = session.make_folder("split")
    times = session.plan.size(_ROWS)
    series = Series(times, zone="Europe/Dublin")
    rows = times * len(_METERS)
    long = data.write(
        folder / "long.csv", (f"{meter},{line}" for line in series.in_order() for meter in _METERS)
    )
    header = f"time,{','.join(_METERS)}\n"
    wide = data.write(folder / "wide.csv", chain([header], map(_wide, series.in_order())))
    results = []
    for name, path, options in (("long", long, ("--by", "1")), ("wide", wide, ())):
        run = partial(_split, folder, path, *options)
        rates = [rows / run() for _ in range(session.plan.pairs)]
        # Sampling takes time, so memory is measured in a run of its own.
        peak = Peak()
        run(setting=Setting(watch=peak.watch))
        label = f"split, a {name} export of {len(_METERS)} meters, {rows:,} rows"
        results += [
            Result(f"{label}: rows per second of CPU", rates, RATE, _BAR),
            Result(f"{label}: memory", [peak.bytes / 1e6], MEGABYTES, at_most(150)),
        ]
    shutil.rmtree(folder)
    return results


def _wide(line: str) -> str:
    """Return a line with the value of a series for every meter."""
    stamp, value = line.rstrip("\n").split(",")
    return f"{','.join([stamp, *[value] * len(_METERS)])}\n"


def _split(folder: Path, path: Path, *options: str, setting: Setting = PLAIN) -> float:
    """Return the CPU time (s) of a split; raise `NotMeasured` if there are no CSVs."""
    into = folder / "data"
    command = ["split", "-q", str(path), "--into", str(into), *options]
    seconds = THIS.run(command, folder, setting=setting).cpu
    if len(list(into.iterdir())) != len(_METERS):
        raise NotMeasured(f"{path.name}: there is not a CSV for each meter")
    shutil.rmtree(into)
    return seconds
