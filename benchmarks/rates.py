"""Packets a second: against bare loops where nothing waits, against the limit where all waits."""

from functools import partial
from pathlib import Path

from benchmarks import rivals
from benchmarks.bench import LOG, Bench, Pace, ratios, side_by_side
from benchmarks.data import Series
from benchmarks.machine import cores
from benchmarks.results import MICROSECONDS, RATE, SECONDS, TIMES, Result, at_least
from benchmarks.uploads import Job, job

_ZONE = "Europe/Dublin"
_FIRST_GUESS = 4000
_TRIAL_SECONDS = 2.0
_MOST_TRIALS = 4
_NEAR_ENOUGH = 1.3
_FEWEST_ROWS = 10
_OPTIONS = ("--progress", "none", "--transport")


def no_latency(bench: Bench) -> list[Result]:
    """Measure 64 streams to a collector that answers at once."""
    folder, url, plan = bench.room("no-latency"), bench.nginx.now, bench.plan
    work = sized(bench, folder, url, 64)
    processes, threads = cores(), max(64 // cores(), 1)
    rival = partial(rivals.loops, url=url, folder=folder, seconds=plan.seconds)
    swarm, bare, plain = side_by_side(
        plan.pairs,
        partial(_send, work),
        partial(rival, "curl", processes=processes, threads=threads),
        partial(rival, "requests"),
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


def one_stream(bench: Bench) -> list[Result]:
    """Measure one stream to a collector that answers at once."""
    folder, url, plan = bench.room("one-stream"), bench.nginx.now, bench.plan
    work = sized(bench, folder, url, 1)
    swarm, bare = side_by_side(
        plan.pairs,
        partial(_send, work),
        partial(rivals.loops, "curl", url, folder, seconds=plan.seconds),
    )
    name = "one stream, no latency"
    return _against(name, "against a bare pycurl loop, one thread", swarm, bare, 0.7)


def with_latency(bench: Bench, *, streams: int, transport: str, bar: float) -> list[Result]:
    """Measure streams to a collector that answers after 20 ms, beside what can be had from it."""
    folder, url = bench.room(f"latency-{transport}-{streams}"), bench.nginx.later
    work = sized(bench, folder, url, streams, transport)
    swarm, limits = side_by_side(
        bench.plan.pairs, partial(_send, work, transport), partial(_limit, url, streams)
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


def library(bench: Bench, *, has_latency: bool) -> list[Result]:
    """Measure the library's `Agent` beside the command, with the same work in one process."""
    streams, latency = 32, "20 ms a request" if has_latency else "no latency"
    url = bench.nginx.later if has_latency else bench.nginx.now
    folder = bench.room(f"library-{'later' if has_latency else 'now'}")
    work = sized(bench, folder, url, streams)
    swarm, one, agent = side_by_side(
        bench.plan.pairs,
        partial(_send, work),
        partial(_send, work, "curl", "--processes", "1"),
        partial(rivals.agent, url, streams, work.rows // streams, folder),
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


def sized(bench: Bench, folder: Path, url: str, streams: int, transport: str = "curl") -> Job:
    """Return a job that takes as long as the plan has it, judged by shorter ones.

    A short run is slower than a long one, while its streams begin: so it takes some turns.
    """
    wanted = bench.plan.seconds
    packets = _FIRST_GUESS * min(_TRIAL_SECONDS, wanted)
    for _ in range(_MOST_TRIALS):
        work = _job(folder, url, streams, packets)
        rate = work.send(*_OPTIONS, transport).rate
        LOG.info("  trial: %s packets in %.1f s", f"{work.rows:,}", work.rows / rate)
        packets = rate * wanted
        if packets <= work.rows * _NEAR_ENOUGH:
            break
    return _job(folder, url, streams, packets)


def _job(folder: Path, url: str, streams: int, packets: float) -> Job:
    rows = max(round(packets / streams), _FEWEST_ROWS)
    return job(folder, url, Series(rows, zone=_ZONE), streams=streams, zone=_ZONE)


def _send(work: Job, transport: str = "curl", *options: str) -> Pace:
    return work.send(*_OPTIONS, transport, *options)


def _limit(url: str, streams: int) -> Pace:
    """Return what so many connections can carry that never pause."""
    return Pace(streams / rivals.seconds_alone(url))


def _rates(runs: list[Pace]) -> list[float]:
    return [run.rate for run in runs]


def _against(
    name: str, against: str, swarm: list[Pace], bare: list[Pace], bar: float
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


def _costs(name: str, swarm: list[Pace]) -> list[Result]:
    """Return what a run costs beside its time: all of it, its start and its check included."""
    aside = [run.aside for run in swarm]
    return [
        Result(f"{name}: before the first packet and after the last", aside, SECONDS),
        Result(f"{name}: CPU a packet, swarm", [run.cpu * 1e6 for run in swarm], MICROSECONDS),
    ]
