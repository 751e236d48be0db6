"""The CPU time of a packet in one worker process, layer by layer, over HTTP and HTTPS.

Run as a program, this module is one process that sends with one of the layers. All layers send from
64 connections in one thread, which stays on one core. The CPU time is user and system time of that
process, for the command that of its one worker process, divided by the number of packets.
"""

import json
import os
import resource
import select
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pycurl

from benchmarks.harness import commands
from benchmarks.harness.bare import PACKET, PASSWORD, USER
from benchmarks.harness.bare import curl as curl_handle
from benchmarks.harness.data import Series
from benchmarks.harness.session import Session, Throughput, ratios, side_by_side
from benchmarks.harness.uploads import write_job
from benchmarks.results import MICROSECONDS, RATE, TIMES, Result, at_most
from swarm.checkpoint.ledger import ACKNOWLEDGED, Ledger
from swarm.checkpoint.ledger_format import Note
from swarm.collector.transport.base import Access
from swarm.run.worker import keep_to_one_core

_STREAMS = 64
_RATE = 18_000
_NOTES = 512
_BARS = {"http": 36.0, "https": 38.0}
_LAYERS = {
    "multi": "bare loop of the multi interface",
    "session": "+ greenlet loop and session",
    "ledger": "+ ledger",
    "swarm": "all of swarm",
}


def packet_cpu(session: Session) -> list[Result]:
    """Measure the layers side by side."""
    folder, plan, results = session.make_folder("packet-cpu"), session.plan, []
    packets = round(_RATE * plan.seconds / _STREAMS) * _STREAMS
    for scheme in _BARS:
        place = folder / scheme
        place.mkdir()
        nginx = session.nginx
        task = {"url": nginx.url(scheme), "ca": str(nginx.ca), "packets": packets}
        runs = side_by_side(
            plan.pairs, *(partial(_run, place, {**task, "layer": layer}) for layer in _LAYERS)
        )
        results += _results(scheme, dict(zip(_LAYERS, runs, strict=True)))
    return results


def _results(scheme: str, runs: dict[str, list[Throughput]]) -> list[Result]:
    name = f"CPU a packet, one process, 64 streams, {scheme.upper()}"
    costs = {layer: [run.cpu * 1e6 for run in found] for layer, found in runs.items()}
    rates = {layer: [run.rate for run in found] for layer, found in runs.items()}
    bars = {"swarm": at_most(_BARS[scheme])}
    return [
        *(
            Result(f"{name}: {text}", costs[layer], MICROSECONDS, bars.get(layer))
            for layer, text in _LAYERS.items()
        ),
        Result(f"{name}: rate of the bare loop", rates["multi"], RATE),
        Result(f"{name}: rate of swarm", rates["swarm"], RATE),
        Result(
            f"{name}: rate against the bare loop", ratios(rates["swarm"], rates["multi"]), TIMES
        ),
    ]


def _run(folder: Path, task: dict[str, Any]) -> Throughput:
    """Run one layer in a process of its own."""
    if task["layer"] == "swarm":
        shutil.rmtree(folder / "state", ignore_errors=True)
        series = Series(task["packets"] // _STREAMS)
        write_job(folder, task["url"], series, streams=_STREAMS, ca=Path(task["ca"]))
    command = [sys.executable, "-m", "benchmarks.suites.packet_cpu", json.dumps(task)]
    found = commands.run(command, folder).report
    return Throughput(found["rate"], found["cpu"] / task["packets"])


# The layers, each in a process of its own


def multi(task: dict[str, Any]) -> None:
    """Send with libcurl's multi interface, one packet again and again, and nothing else."""
    handles = [curl_handle(task["url"], task["ca"]) for _ in range(_STREAMS)]
    left = task["packets"] - len(handles)
    curl, poll = pycurl.CurlMulti(), select.poll()
    events = {pycurl.POLL_IN: select.POLLIN, pycurl.POLL_OUT: select.POLLOUT}
    events[pycurl.POLL_INOUT] = select.POLLIN | select.POLLOUT

    def watch(wanted: int, number: int, _multi: object, _data: object) -> None:
        if wanted == pycurl.POLL_REMOVE:
            poll.unregister(number)
        else:
            poll.register(number, events[wanted])

    curl.setopt(pycurl.M_SOCKETFUNCTION, watch)
    for handle in handles:
        curl.add_handle(handle)
    running = len(handles)
    while running:
        ended = False
        if curl.timeout() == 0:
            _, active = curl.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            ended = active < running
        for number, happened in poll.poll(0 if ended else max(curl.timeout(), 0) or 100):
            is_in = pycurl.CSELECT_IN if happened & ~select.POLLOUT else 0
            is_out = pycurl.CSELECT_OUT if happened & select.POLLOUT else 0
            _, active = curl.socket_action(number, is_in | is_out)
            ended |= active < running
        if ended:
            done = _ended(curl)
            again = done[:left]
            left -= len(again)
            running -= len(done) - len(again)
            for handle in again:
                curl.add_handle(handle)


def _ended(curl: pycurl.CurlMulti) -> list[pycurl.Curl]:
    """Remove and return the handles whose transfers have ended; each was answered with 200."""
    _, done, failed = curl.info_read()
    if failed or any(handle.getinfo(pycurl.RESPONSE_CODE) != 200 for handle in done):
        sys.exit(f"not answered with 200: {failed}")
    for handle in done:
        curl.remove_handle(handle)
    return list(done)


def session(
    task: dict[str, Any], begin: Callable[[int], Callable[[int], None]] | None = None
) -> None:
    """Send from jobs of the loop through sessions; ``begin`` returns what a stream does besides."""
    from swarm.collector.transport.curl import CurlSession
    from swarm.collector.transport.loop import Loop

    loop, left = Loop(), [_STREAMS]
    access = Access(USER, PASSWORD, ca_bundle=task["ca"])
    ended = loop.event()

    def send(stream: int) -> None:
        besides = begin(stream) if begin else None
        post = CurlSession(access, loop).post
        for number in range(task["packets"] // _STREAMS):
            if besides:
                besides(number)
            if post(task["url"], PACKET).status != 200:
                os._exit(1)
        left[0] -= 1
        if not left[0]:
            ended.set()

    for stream in range(_STREAMS):
        loop.spawn(send, stream)
    while not ended.is_set():
        time.sleep(0.01)


def ledger(task: dict[str, Any]) -> None:
    """Send as `session`, with a ledger for each stream."""

    def begin(stream: int) -> Callable[[int], None]:
        checkpoint = Ledger.create(Path(f"{stream}.ledger").absolute(), f"stream-{stream}")

        def besides(number: int) -> None:
            if number:
                checkpoint.record(number - 1, number, ACKNOWLEDGED)
            if number % _NOTES == 0:
                rows = range(number, number + _NOTES)
                checkpoint.note([Note(row, row + 1, row, 1) for row in rows])
            checkpoint.mark_in_flight()

        return besides

    session(task, begin)


def swarm(_task: dict[str, Any]) -> float:
    """Send with the command and one worker process; return the rate of its report."""
    from swarm.__main__ import main

    sys.argv = ["swarm", "upload", "config.ini", "--json", "--progress", "none", "--processes", "1"]
    out = os.dup(1)
    with Path("report.json").open("wb") as report:
        os.dup2(report.fileno(), 1)
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
    os.dup2(out, 1)
    report_of_run = json.loads(Path("report.json").read_text("utf-8"))
    return cast(float, report_of_run["totals"]["packets_per_second"])


def run(task: dict[str, Any]) -> dict[str, float]:
    """Send with one layer; return the packets per second and the CPU seconds of the worker."""
    layer = task["layer"]
    if layer == "swarm":
        rate = swarm(task)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    else:
        keep_to_one_core(os.getpid())
        started = time.monotonic()
        {"multi": multi, "session": session, "ledger": ledger}[layer](task)
        rate = task["packets"] / (time.monotonic() - started)
        usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"rate": rate, "cpu": usage.ru_utime + usage.ru_stime}


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))), flush=True)
    os._exit(0)
