"""Times that grow with the rows of a file, the history of a stream, meters and streams."""

import shutil
import statistics
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.harness.commands import Finished, Setting
from benchmarks.harness.data import Series
from benchmarks.harness.exports import Exports
from benchmarks.harness.session import Compared, Session, compare
from benchmarks.harness.uploads import Job, write_job
from benchmarks.harness.versions import THIS, Version
from benchmarks.pictures import Curve, Picture, Point, flat_bend, rising_bend
from benchmarks.results import (
    MEGABYTES,
    MICROSECONDS,
    RATE,
    SECONDS,
    Bar,
    Result,
    at_most,
)
from benchmarks.suites.memory import Peak
from swarm.text import pluralize

_ROWS = (10_000, 100_000, 1_000_000, 10_000_000)
_ROW_BARS = {1_000_000: at_most(0.5), 10_000_000: at_most(1.5)}
#: From here on, a row's own cost counts, and not the start of the command.
_ENOUGH_ROWS = 1_000_000
_WINDOW = 10_000
_METERS = (100, 1000, 5000)
_ROWS_OF_A_METER = 10
_STREAMS = (1, 4, 16, 64, 256, 1000, 2000)
#: Packets a second for the sizes of the uploads: of one stream, and the most.
_GUESSES = {0: (8000, 35_000), 20: (45, 15_000)}
#: No further run of a kind begins after that many seconds.
_MOST_SECONDS = 20


class _Growth:
    """The values of each kind of run by size: rows of the table, and curves of a picture."""

    def __init__(
        self, form: str = SECONDS, bend: Callable[..., float | None] = rising_bend
    ) -> None:
        self.results: list[Result] = []
        self._form = form
        self._bend = bend
        self._points: dict[tuple[str, bool], list[Point]] = {}

    def add(
        self, kind: str, size: int, unit: str, runs: Compared[float], bar: Bar | None = None
    ) -> None:
        """Add the runs of one size."""
        name = f"{kind}, {pluralize(size, unit)}"
        self.results.append(Result(name, runs.this, self._form, bar, runs.other))
        for values, is_other in ((runs.this, False), (runs.other, True)):
            if values:
                points = self._points.setdefault((kind, is_other), [])
                points.append((size, statistics.median(values)))

    def curves(self, session: Session, kinds: Sequence[str]) -> list[Curve]:
        """Return the curves of some kinds of runs."""
        other = session.other.name if session.other else ""
        return [
            Curve(kind, points, other=other)
            if is_other
            else Curve(kind, points, self._bend(points))
            for (kind, is_other), points in self._points.items()
            if kind in kinds
        ]


def rows(session: Session) -> list[Result]:
    """Measure a file that grows, and an export of the last rows of a stream that grows."""
    growth, results = _Growth(), []
    for size in _sizes(session, _ROWS):
        results += _rows(session, growth, session.plan.size(size), _ROW_BARS.get(size))
    kinds = ("check", "first request", "nothing new", "one row new")
    title, window = "A file that grows", session.plan.size(_WINDOW)
    curves = growth.curves(session, kinds)
    session.pictures.append(Picture("rows", title, "rows in the file", "seconds", curves))
    title = f"A stream that grows, and an export of its last {window:,} rows"
    curves = growth.curves(session, ["rolling export"])
    session.pictures.append(Picture("history", title, "rows sent before", "seconds", curves))
    return [*growth.results, *results]


def _rows(session: Session, growth: _Growth, size: int, bar: Bar | None) -> list[Result]:
    folder = session.make_folder(f"rows-{size}")
    exports = Exports(folder, session.nginx, rows=size)
    run = partial(compare, session, most_seconds=_MOST_SECONDS)
    growth.add("check", size, "row", run(exports.check))
    growth.add("first request", size, "row", run(exports.first_request))
    _for_each(session, exports.adopt)
    full = run(exports.full_way)
    _for_each(session, exports.settle)
    growth.add("nothing new", size, "row", _seconds(run(exports.nothing_new)), bar)
    growth.add("one row new", size, "row", _seconds(run(exports.one_row_new)), bar)
    exports.keep_last(session.plan.size(_WINDOW))
    growth.add("rolling export", size, "row", _seconds(run(exports.rolled)))
    shutil.rmtree(folder)
    this, other = ([each.cpu / size * 1e6 for each in runs] for runs in (full.this, full.other))
    name = f"nothing new, all rows looked at, {pluralize(size, 'row')}: CPU a row"
    return [Result(name, this, MICROSECONDS, at_most(3) if size >= _ENOUGH_ROWS else None, other)]


def many_rows(session: Session) -> list[Result]:
    """Measure 100 files of 100,000 rows with nothing new."""
    size, meters = session.plan.size(100_000), 100
    folder = session.make_folder("many-rows")
    exports = Exports(folder, session.nginx, rows=size, meters=meters)
    _for_each(session, exports.adopt)
    _for_each(session, exports.settle)
    runs = _seconds(compare(session, exports.nothing_new, most_seconds=_MOST_SECONDS))
    shutil.rmtree(folder)
    name = f"nothing new, {meters} meters of {pluralize(size, 'row')}"
    return [Result(name, runs.this, SECONDS, at_most(1.5), runs.other)]


def meters(session: Session) -> list[Result]:
    """Measure many meters of ten rows."""
    growth, results = _Growth(), []
    sizes = _sizes(session, _METERS)
    for size in sizes:
        results += _meters(session, growth, session.plan.size(size), is_most=size == sizes[-1])
    curves = growth.curves(session, ("check", "first run", "nothing new"))
    title = "Meters of ten rows"
    session.pictures.append(Picture("meters", title, "meters", "seconds", curves))
    return [*growth.results, *results]


def _meters(session: Session, growth: _Growth, size: int, *, is_most: bool) -> list[Result]:
    folder = session.make_folder(f"meters-{size}")
    exports = Exports(folder, session.nginx, rows=_ROWS_OF_A_METER, meters=size)
    run = partial(compare, session, most_seconds=_MOST_SECONDS)
    growth.add("check", size, "meter", run(exports.check))
    growth.add("first run", size, "meter", _seconds(run(exports.first_run)))
    _for_each(session, exports.settle)
    bar = at_most(3) if is_most else None
    growth.add("nothing new", size, "meter", _seconds(run(exports.nothing_new)), bar)
    if not is_most:
        return []

    def memory(version: Version) -> float:
        peak = Peak()
        exports.nothing_new(version, setting=Setting(watch=peak.watch))
        return peak.bytes / 1e6

    name = f"{pluralize(size, 'meter')} of ten rows"
    peaks, checks = run(memory), run(exports.check_starter)
    return [
        Result(f"{name}, nothing new: memory", peaks.this, MEGABYTES, at_most(150), peaks.other),
        Result(f"{name}: check of a starter INI", checks.this, SECONDS, at_most(2), checks.other),
    ]


def streams(session: Session) -> list[Result]:
    """Measure packets a second with 1 to 2,000 streams over HTTPS, at once and after 20 ms."""
    growth = _Growth(RATE, flat_bend)
    kinds = {
        delay: f"HTTPS, {f'{delay} ms a request' if delay else 'no latency'}" for delay in _GUESSES
    }
    for delay, (one, most) in _GUESSES.items():
        for number in _sizes(session, _STREAMS):
            url = session.nginx.url("https", delay_ms=delay)
            packets = min(one * number, most) * session.plan.seconds
            folder = session.make_folder(f"streams-{delay}-{number}")
            series = Series(max(round(packets / number), 5))
            job = write_job(folder, url, series, streams=number, ca=session.nginx.ca)
            growth.add(kinds[delay], number, "stream", compare(session, partial(_rate, job)))
            shutil.rmtree(folder)
    curves = growth.curves(session, list(kinds.values()))
    title = "Streams that are sent at the same time"
    session.pictures.append(Picture("streams", title, "streams", "packets a second", curves))
    return growth.results


def _sizes(session: Session, sizes: Sequence[int]) -> Sequence[int]:
    """Return the sizes to measure: the first two in a quick run."""
    return sizes[:2] if session.plan.is_quick else sizes


def _rate(job: Job, version: Version) -> float:
    return job.send("--progress", "none", version=version).rate


def _for_each(session: Session, prepare: Callable[[Version], None]) -> None:
    for version in filter(None, (THIS, session.other)):
        prepare(version)


def _seconds(runs: Compared[Finished]) -> Compared[float]:
    this, other = ([each.seconds for each in found] for found in (runs.this, runs.other))
    return Compared(this, other, [])
