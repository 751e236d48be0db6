"""Packets a second: against bare loops without latency, against the limit with latency."""

from functools import partial
from pathlib import Path

from benchmarks.harness import baselines
from benchmarks.harness.data import Series
from benchmarks.harness.session import LOG, Session, Throughput, ratios, side_by_side
from benchmarks.harness.uploads import Job, write_job
from benchmarks.machine import cores
from benchmarks.results import MICROSECONDS, RATE, SECONDS, TIMES, Result, at_least

_ZONE = "Europe/Dublin"
_FIRST_GUESS = 4000
_TRIAL_SECONDS = 2.0
_MOST_TRIALS = 4
_NEAR_ENOUGH = 1.3
_FEWEST_ROWS = 10
_OPTIONS = ("--progress", "none", "--transport")


def no_latency(session: Session) -> list[Result]:
    """Measure 64 streams to a collector that answers at once."""
    folder, url, plan = session.make_folder("no-latency"), session.nginx.immediate, session.plan
    job = sized_job(session, folder, url, 64)
    processes, threads = cores(), max(64 // cores(), 1)
    baseline = partial(baselines.bare_loops, url=url, folder=folder, seconds=plan.seconds)
    swarm, bare, plain = side_by_side(
        plan.pairs,
        partial(_send, job),
        partial(baseline, "curl", processes=processes, threads=threads),
        partial(baseline, "requests"),
    )
    name = "64 streams, no latency"
    against = f"against a bare pycurl loop, {processes} processes x {threads} threads"
    return [
        *_against(name, against, swarm, bare, 0.6),
        Result(f"{name}: one requests session, one thread", _rates(plain), RATE),
        Result(
            f"{name}: against one requests session",
            ratios(_rates(swarm), _rates(plain)),
            TIMES,
            at_least(10),
        ),
    ]


def one_stream(session: Session) -> list[Result]:
    """Measure one stream to a collector that answers at once."""
    folder, url, plan = session.make_folder("one-stream"), session.nginx.immediate, session.plan
    job = sized_job(session, folder, url, 1)
    swarm, bare = side_by_side(
        plan.pairs,
        partial(_send, job),
        partial(baselines.bare_loops, "curl", url, folder, seconds=plan.seconds),
    )
    name = "one stream, no latency"
    return _against(name, "against a bare pycurl loop, one thread", swarm, bare, 0.7)


def with_latency(session: Session, *, streams: int, transport: str, bar: float) -> list[Result]:
    """Measure streams to a collector that answers after 20 ms, beside what they could carry."""
    folder, url = session.make_folder(f"latency-{transport}-{streams}"), session.nginx.delayed
    job = sized_job(session, folder, url, streams, transport)
    swarm, limits = side_by_side(
        session.plan.pairs, partial(_send, job, transport), partial(_limit, url, streams)
    )
    name = f"{streams} streams, 20 ms a request, --transport {transport}"
    return [
        Result(f"{name}: swarm", _rates(swarm), RATE),
        Result(f"{name}: the limit", _rates(limits), RATE),
        Result(
            f"{name}: against the limit",
            ratios(_rates(swarm), _rates(limits)),
            TIMES,
            at_least(bar),
        ),
        *_costs(name, swarm),
    ]


def library(session: Session, *, has_latency: bool) -> list[Result]:
    """Measure the library's `Agent` beside the command, and beside the command in one process."""
    streams, latency = 32, "20 ms a request" if has_latency else "no latency"
    url = session.nginx.delayed if has_latency else session.nginx.immediate
    folder = session.make_folder(f"library-{'later' if has_latency else 'now'}")
    job = sized_job(session, folder, url, streams)
    swarm, one, agent = side_by_side(
        session.plan.pairs,
        partial(_send, job),
        partial(_send, job, "curl", "--processes", "1"),
        partial(baselines.agent, url, streams, job.rows // streams, folder),
    )
    name = f"the library, {streams} streams, {latency}"
    bar = at_least(0.75)
    return [
        Result(f"{name}: Agent", _rates(agent), RATE),
        Result(f"{name}: the command", _rates(swarm), RATE),
        Result(f"{name}: against the command", ratios(_rates(agent), _rates(swarm)), TIMES, bar),
        Result(f"{name}: the command in one process", _rates(one), RATE),
        Result(
            f"{name}: against the command in one process",
            ratios(_rates(agent), _rates(one)),
            TIMES,
            bar,
        ),
        Result(f"{name}: CPU a packet, Agent", [run.cpu * 1e6 for run in agent], MICROSECONDS),
    ]


def sized_job(
    session: Session, folder: Path, url: str, streams: int, transport: str = "curl"
) -> Job:
    """Return a job that takes about as long as the plan says, estimated with shorter jobs.

    Short runs are slower than long ones, as their streams have to start; hence several trials.
    """
    wanted = session.plan.seconds
    packets = _FIRST_GUESS * min(_TRIAL_SECONDS, wanted)
    for _ in range(_MOST_TRIALS):
        job = _job(folder, url, streams, packets)
        rate = job.send(*_OPTIONS, transport).rate
        LOG.info("  trial: %s packets in %.1f s", f"{job.rows:,}", job.rows / rate)
        packets = rate * wanted
        if packets <= job.rows * _NEAR_ENOUGH:
            break
    return _job(folder, url, streams, packets)


def _job(folder: Path, url: str, streams: int, packets: float) -> Job:
    rows = max(round(packets / streams), _FEWEST_ROWS)
    return write_job(folder, url, Series(rows, zone=_ZONE), streams=streams, zone=_ZONE)


def _send(job: Job, transport: str = "curl", *options: str) -> Throughput:
    return job.send(*_OPTIONS, transport, *options)


def _limit(url: str, streams: int) -> Throughput:
    """Return the throughput of connections that are never idle."""
    return Throughput(streams / baselines.request_seconds(url))


def _rates(runs: list[Throughput]) -> list[float]:
    return [run.rate for run in runs]


def _against(
    name: str, against: str, swarm: list[Throughput], bare: list[Throughput], bar: float
) -> list[Result]:
    return [
        Result(f"{name}: swarm", _rates(swarm), RATE),
        Result(f"{name}: bare pycurl loop", _rates(bare), RATE),
        Result(f"{name}: {against}", ratios(_rates(swarm), _rates(bare)), TIMES, at_least(bar)),
        *_costs(name, swarm),
        Result(
            f"{name}: CPU a packet, bare pycurl loop", [run.cpu * 1e6 for run in bare], MICROSECONDS
        ),
    ]


def _costs(name: str, swarm: list[Throughput]) -> list[Result]:
    """Return the costs of a run beside its rate, with its start and its check."""
    overhead = [run.overhead for run in swarm]
    return [
        Result(f"{name}: before the first packet and after the last", overhead, SECONDS),
        Result(f"{name}: CPU a packet, swarm", [run.cpu * 1e6 for run in swarm], MICROSECONDS),
    ]
