"""Packets a second: against bare loops without latency, against the limit with latency."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.harness import baselines
from benchmarks.harness.data import Series
from benchmarks.harness.nginx import Nginx
from benchmarks.harness.session import LOG, Compared, Session, Throughput, compare, ratios
from benchmarks.harness.uploads import SANDBOX, Job, write_job
from benchmarks.harness.versions import Version
from benchmarks.machine import cores
from benchmarks.results import (
    COUNT,
    MICROSECONDS,
    RATE,
    SECONDS,
    TIMES,
    Result,
    at_least,
)

_ZONE = "Europe/Dublin"
_FIRST_GUESS = 4000
_TRIAL_SECONDS = 2.0
_MOST_TRIALS = 4
_NEAR_ENOUGH = 1.3
_FEWEST_ROWS = 10
_MANY_STREAMS = 256
_OPTIONS = ("--progress", "none", "--transport")
_CURL = (*_OPTIONS, "curl")


def no_latency(session: Session, *, scheme: str, streams: int) -> list[Result]:
    """Measure streams to a collector that answers at once, beside bare loops.

    Two processes are compared with a bare loop in as many, and one with one.
    """
    nginx, plan = session.nginx, session.plan
    url, name = nginx.url(scheme), f"{streams} streams, {scheme.upper()}, no latency"
    job = sized_job(session, session.make_folder(f"{scheme}-{streams}"), url, streams)
    bare = partial(baselines.bare_loops, nginx, url, seconds=plan.seconds, connections=streams)
    runs = compare(
        session,
        partial(_send, job, nginx),
        partial(bare, processes=cores()),
        partial(job.send, *_CURL, "--processes", "1"),
        partial(bare, processes=1),
    )
    loops, one, loop = runs.baselines
    against = "against a bare loop of the multi interface"
    return [
        *_against(f"{name}, {cores()} processes", against, runs, loops, 0.6),
        *_handshakes(name, scheme, runs),
        Result(f"{name}, one process: swarm", _rates(one), RATE),
        Result(f"{name}, one process: bare loop", _rates(loop), RATE),
        Result(f"{name}, one process: {against}", ratios(_rates(one), _rates(loop)), TIMES),
    ]


def plain_requests(session: Session) -> list[Result]:
    """Measure 64 streams beside a session of requests, which is what a short script does."""
    nginx, plan, streams = session.nginx, session.plan, 64
    url, name = nginx.url("http"), "64 streams, HTTP, no latency"
    job = sized_job(session, session.make_folder("plain-requests"), url, streams)
    runs = compare(
        session,
        partial(_send, job, nginx),
        partial(baselines.bare_loops, nginx, url, seconds=plan.seconds, library="requests"),
    )
    (plain,) = runs.baselines
    return [
        Result(f"{name}: one requests session, one thread", _rates(plain), RATE),
        Result(
            f"{name}: against one requests session",
            ratios(_rates(runs.this), _rates(plain)),
            TIMES,
            at_least(10),
            ratios(_rates(runs.other), _rates(plain)),
        ),
    ]


def one_stream(session: Session) -> list[Result]:
    """Measure one stream to a collector that answers at once."""
    nginx, url = session.nginx, session.nginx.url("http")
    job = sized_job(session, session.make_folder("one-stream"), url, 1)
    runs = compare(
        session,
        partial(_send, job, nginx),
        partial(baselines.bare_loops, nginx, url, seconds=session.plan.seconds),
    )
    name = "one stream, HTTP, no latency"
    against = "against a bare loop of the multi interface"
    return _against(name, against, runs, runs.baselines[0], 0.7)


def with_latency(
    session: Session, *, scheme: str, streams: int, bar: float, transport: str = "curl"
) -> list[Result]:
    """Measure streams to a collector that answers after 20 ms, beside what they could carry.

    The bare loop shows which part of that this computer can reach.
    """
    nginx, url = session.nginx, session.nginx.url(scheme, delay_ms=20)
    folder = session.make_folder(f"latency-{scheme}-{transport}-{streams}")
    job = sized_job(session, folder, url, streams, transport)
    runs = compare(
        session,
        lambda version: _send(job, nginx, version, transport),
        partial(_limit, nginx, url, streams),
        partial(
            baselines.bare_loops,
            nginx,
            url,
            seconds=session.plan.seconds,
            connections=streams,
            processes=cores(),
        ),
    )
    limits, loops = runs.baselines
    name = f"{streams} streams, {scheme.upper()}, 20 ms a request, --transport {transport}"
    return [
        _rate(f"{name}: swarm", runs),
        Result(f"{name}: the limit", _rates(limits), RATE),
        _ratio(f"{name}: against the limit", runs, limits, bar),
        Result(
            f"{name}: bare loop against the limit", ratios(_rates(loops), _rates(limits)), TIMES
        ),
        *_costs(name, runs),
        *_handshakes(name, scheme, runs),
    ]


def library(session: Session, *, has_latency: bool) -> list[Result]:
    """Measure the library's `Agent` beside the command, and beside the command in one process."""
    nginx, streams = session.nginx, 32
    latency = "20 ms a request" if has_latency else "no latency"
    url = nginx.url("http", delay_ms=20 if has_latency else 0)
    folder = session.make_folder(f"library-{'later' if has_latency else 'now'}")
    job = sized_job(session, folder, url, streams)
    rows = job.rows // streams
    agents = compare(
        session,
        lambda version: baselines.agent(version, url, streams, rows, folder),
        partial(job.send, *_CURL),
        partial(job.send, *_CURL, "--processes", "1"),
    )
    swarm, one = agents.baselines
    name, bar = f"the library, {streams} streams, {latency}", 0.75
    return [
        _rate(f"{name}: Agent", agents),
        Result(f"{name}: the command", _rates(swarm), RATE),
        _ratio(f"{name}: against the command", agents, swarm, bar),
        Result(f"{name}: the command in one process", _rates(one), RATE),
        _ratio(f"{name}: against the command in one process", agents, one, bar),
        _cpu(f"{name}: CPU a packet, Agent", agents),
    ]


def sized_job(
    session: Session, folder: Path, url: str, streams: int, transport: str = "curl"
) -> Job:
    """Return a job that takes about as long as the plan says, estimated with shorter jobs.

    Short runs are slower than long ones, as their streams have to start; hence several trials, and
    longer runs for very many streams.
    """
    wanted = session.plan.seconds * max(streams / _MANY_STREAMS, 1)
    ca = None if url == SANDBOX else session.nginx.ca
    packets = _FIRST_GUESS * min(_TRIAL_SECONDS, session.plan.seconds)
    for _ in range(1 if session.plan.is_quick else _MOST_TRIALS):
        job = _job(folder, url, streams, packets, ca)
        rate = job.send(*_OPTIONS, transport).rate
        LOG.info("  trial: %s packets in %.1f s", f"{job.rows:,}", job.rows / rate)
        packets = rate * wanted
        if packets <= job.rows * _NEAR_ENOUGH:
            break
    return _job(folder, url, streams, packets, ca)


def _job(folder: Path, url: str, streams: int, packets: float, ca: Path | None) -> Job:
    rows = max(round(packets / streams), _FEWEST_ROWS)
    return write_job(folder, url, Series(rows, zone=_ZONE), streams=streams, zone=_ZONE, ca=ca)


def _send(job: Job, nginx: Nginx, version: Version, transport: str = "curl") -> Throughput:
    handshakes = nginx.count_handshakes()
    sent = job.send(*_OPTIONS, transport, version=version)
    return Throughput(
        sent.rate, sent.cpu, sent.overhead, handshakes=nginx.count_handshakes() - handshakes
    )


def _limit(nginx: Nginx, url: str, streams: int) -> Throughput:
    """Return the throughput of connections that are never idle."""
    return Throughput(streams / baselines.request_seconds(nginx, url))


def _rates(runs: Sequence[Throughput]) -> list[float]:
    return [run.rate for run in runs]


def _rate(name: str, runs: Compared[Throughput]) -> Result:
    return Result(name, _rates(runs.this), RATE, other=_rates(runs.other))


def _ratio(
    name: str, runs: Compared[Throughput], lower: Sequence[Throughput], bar: float
) -> Result:
    this, other = (ratios(_rates(each), _rates(lower)) for each in (runs.this, runs.other))
    return Result(name, this, TIMES, at_least(bar), other)


def _against(
    name: str, against: str, runs: Compared[Throughput], bare: Sequence[Throughput], bar: float
) -> list[Result]:
    return [
        _rate(f"{name}: swarm", runs),
        Result(f"{name}: bare loop", _rates(bare), RATE),
        _ratio(f"{name}: {against}", runs, bare, bar),
        *_costs(name, runs),
        Result(f"{name}: CPU a packet, bare loop", [run.cpu * 1e6 for run in bare], MICROSECONDS),
    ]


def _cpu(name: str, runs: Compared[Throughput]) -> Result:
    this, other = ([run.cpu * 1e6 for run in each] for each in (runs.this, runs.other))
    return Result(name, this, MICROSECONDS, other=other)


def _costs(name: str, runs: Compared[Throughput]) -> list[Result]:
    """Return the costs of a run beside its rate, with its start and its check."""
    this, other = ([run.overhead for run in each] for each in (runs.this, runs.other))
    return [
        Result(f"{name}: before the first packet and after the last", this, SECONDS, other=other),
        _cpu(f"{name}: CPU a packet, swarm", runs),
    ]


def _handshakes(name: str, scheme: str, runs: Compared[Throughput]) -> list[Result]:
    """Return the number of TLS connections of a run."""
    if scheme == "http":
        return []
    this, other = ([float(run.handshakes) for run in each] for each in (runs.this, runs.other))
    return [Result(f"{name}: TLS handshakes", this, COUNT, other=other)]
