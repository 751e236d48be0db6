"""Numbers of connections: `auto` beside fixed numbers, on lines of different quality."""

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from benchmarks.harness import nginx
from benchmarks.harness.commands import Setting
from benchmarks.harness.data import Series
from benchmarks.harness.line import POOR
from benchmarks.harness.namespaces import FAR, Namespaces, namespaces
from benchmarks.harness.nginx import Nginx
from benchmarks.harness.session import LOG, Session
from benchmarks.harness.uploads import Job, write_job
from benchmarks.harness.versions import THIS
from benchmarks.results import COUNT, RATE, TIMES, Missing, NotMeasured, Result, at_least

AUTO = "auto"
_STREAMS = 256
_VALUES = (AUTO, "8", "16", "32", "64", "128", "256")
_FEW_VALUES = (AUTO, "8")
#: An upload that `--max-duration` stops ends with 5.
_CODES = (0, 5)


@dataclass(frozen=True)
class Period:
    """The seconds of a run in which its packets are counted, from its first packet on."""

    begin: float
    end: float

    def rate(self, times: Sequence[float]) -> float:
        """Return the packets a second of some times (s), in order."""
        if not times or times[-1] - times[0] < self.begin:
            raise NotMeasured(f"all packets were sent within {self.begin:g} s")
        end = min(self.end, times[-1] - times[0])
        begin = times[0] + self.begin
        return sum(begin <= each < times[0] + end for each in times) / (end - self.begin)


@dataclass(frozen=True)
class Line:
    """A way to the collector: enough packets a second, and the periods that are counted.

    `auto` has 30 s to find a number; a fixed number only has to open its connections.
    """

    name: str
    delay_ms: int
    most_rate: float
    fixed: Period
    auto: Period

    def period(self, value: str) -> Period:
        """Return the period for a value of ``--connections``."""
        return self.auto if value == AUTO else self.fixed


_LINES = {
    "20": Line("20 ms", 20, 16_000, Period(2, 8), Period(30, 38)),
    "80": Line("80 ms", 80, 4_000, Period(2, 8), Period(30, 38)),
    "poor": Line("80 ms, 1 % loss, 1 Mbit/s", 0, 500, Period(5, 20), Period(30, 45)),
}


def latency(session: Session, *, line: str) -> list[Result | Missing]:
    """Measure a collector that answers after a delay, over HTTPS."""
    return _results(session, _LINES[line], session.nginx, None)


def poor_line(session: Session) -> list[Result | Missing]:
    """Measure a collector at the end of a poor line, in a network namespace of its own."""
    folder = session.make_folder("poor-line")
    with namespaces() as both:
        within = both.within(both.far)
        with nginx.running(folder / "nginx", FAR, within) as collector:
            return _results(session, _LINES["poor"], collector, both)


def _results(
    session: Session, line: Line, collector: Nginx, both: Namespaces | None
) -> list[Result | Missing]:
    if session.plan.is_quick:
        line = _shorten(line, session.plan.seconds)
    folder = session.make_folder(f"connections-{line.delay_ms}")
    url = collector.url("https", delay_ms=line.delay_ms, logs=True)
    rows = Series(round(line.most_rate * line.auto.end / _STREAMS) + 5)
    job = write_job(folder, url, rows, streams=_STREAMS, ca=collector.ca)
    name = f"{_STREAMS} streams, HTTPS, {line.name}"
    rates: dict[str, float] = {}
    results: list[Result | Missing] = []
    for value in _FEW_VALUES if session.plan.is_quick else _VALUES:
        label = f"{name}: --connections {value}"
        try:
            with both.line(POOR, folder) if both else nullcontext():
                within = both.within(both.near) if both else ()
                rate, handshakes = _send(job, collector, value, line.period(value), within)
        except NotMeasured as error:
            LOG.error("  %s: not measured: %s", label, error)
            results.append(Missing(label, str(error)))
            continue
        LOG.info("  %s: %.0f /s, %d handshakes", label, rate, handshakes)
        rates[value] = rate
        results += [
            Result(label, [rate], RATE),
            Result(f"{label}: TLS handshakes", [float(handshakes)], COUNT),
        ]
    shutil.rmtree(folder)
    fixed = {value: rate for value, rate in rates.items() if value != AUTO}
    if AUTO in rates and fixed:
        best = max(fixed, key=lambda value: fixed[value])
        label = f"{name}: auto after {line.auto.begin:g} s against the best fixed number ({best})"
        results.append(Result(label, [rates[AUTO] / fixed[best]], TIMES, at_least(0.9)))
    return results


def _send(
    job: Job, collector: Nginx, value: str, period: Period, within: Sequence[str]
) -> tuple[float, int]:
    """Return the packets a second of a period, and the TLS handshakes of the run."""
    if value == AUTO and not THIS.has_option(f"--connections N|{AUTO}"):
        raise NotMeasured(f"there is no --connections {AUTO}")
    shutil.rmtree(job.folder / "state", ignore_errors=True)
    collector.clear_packets()
    handshakes = collector.count_handshakes()
    # Some seconds for the start and the check: the period counts from the first packet.
    duration = f"{round(period.end + 3)}s"
    options = ("--connections", value, "--max-duration", duration, "--progress", "none", "--json")
    setting = Setting(within=within, expected=_CODES)
    THIS.run(["upload", str(job.ini), *options], job.folder, setting=setting)
    return period.rate(collector.packet_times()), collector.count_handshakes() - handshakes


def _shorten(line: Line, seconds: float) -> Line:
    """Return a line for a quick run, whose periods are too short to go by."""
    period = Period(0.2, 0.2 + seconds)
    return Line(line.name, line.delay_ms, line.most_rate, period, period)
