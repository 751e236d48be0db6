"""What is killed or stopped goes on where it stopped: processes, signals, locks."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.bench import Bench, ended, packets, rows
from tests.collector_server import Behaviour, Collector, Reply, Request
from tests.processes import alive, children, command, group_is_gone, until

# The clock is part of what is tested: a machine that stands still for a moment may break it.
pytestmark = pytest.mark.flaky(reruns=2)


def slow(seconds: float = 0.02) -> Collector:
    """Return a collector that takes its time."""
    return Collector(delay=seconds)


def stored(collector: Collector, *streams: str) -> int:
    """Return how many packets a collector holds."""
    return sum(len(collector.bodies(stream)) for stream in streams)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.measured
def test_a_signal_ends_the_run_in_order(bench: Bench, number: signal.Signals, code: int) -> None:
    """The first signal: no new packets, the report is printed, and the same command goes on."""
    with slow() as collector:
        meters = {name: bench.csv(f"{name}.csv", rows(120)) for name in "abc"}
        config = bench.ini(collector.url, meters, upload={"connections": "2"})
        process = bench.start(config, "--json")
        until(lambda: stored(collector, "a", "b") > 20)
        os.killpg(process.pid, number)
        start = time.monotonic()
        done = ended(process).balanced()
        assert code == done.code
        assert time.monotonic() - start < 3
        assert done.report["totals"]["sent"] == stored(collector, *meters)
        assert done.report["exit_code"] == code
        assert "Traceback" not in done.err
        collector.delay = 0
        assert bench.run(config).code == 0
        for name in meters:
            assert packets(name, rows(120)) == collector.packets(name)


def test_a_second_signal_ends_at_once(bench: Bench) -> None:
    """The second signal does not wait for what is in flight; the next run settles it."""
    with slow(5) as collector:
        config = bench.ini(collector.url, {"a": bench.csv("a.csv", rows(3))})
        process = bench.start(config)
        until(lambda: any(request.method == "POST" for request in collector.requests))
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        done = ended(process)
        assert (130, True) == (done.code, time.monotonic() - start < 2)
        assert "Traceback" not in done.err
        collector.delay = 0
        assert bench.run(config).code == 0
        assert packets("a", rows(3)) == collector.packets("a")


def test_a_killed_worker_costs_its_own_streams(bench: Bench) -> None:
    """The streams of a killed worker stop (exit 5); the others finish, and nothing hangs."""
    with slow() as collector:
        meters = {f"m{n}": bench.csv(f"{n}.csv", rows(100)) for n in range(6)}
        config = bench.ini(collector.url, meters, upload={"connections": "4", "processes": "2"})
        process = bench.start(config, "--json")
        until(lambda: stored(collector, *meters) > 40)
        os.kill(children(process.pid)[0], signal.SIGKILL)
        done = ended(process).balanced()
        assert done.code == 5
        states = [meter["state"] for meter in done.meters.values()]
        assert (2, 4) == (states.count("stopped"), states.count("done"))
        assert "SIGKILL" in done.err
        unsure = sum(state == "stopped" for state in states)
        held = stored(collector, *meters)
        assert held - unsure <= done.report["totals"]["sent"] <= held
        assert bench.run(config).code == 0
        for name in meters:
            assert packets(name, rows(100)) == collector.packets(name)


@pytest.mark.measured
def test_the_only_worker_is_replaced_for_the_rest(bench: Bench) -> None:
    """With one process, a killed worker still costs only the streams that it had in hand."""
    with slow() as collector:
        meters = {f"m{n}": bench.csv(f"{n}.csv", rows(40)) for n in range(4)}
        config = bench.ini(collector.url, meters, upload={"connections": "1", "processes": "1"})
        process = bench.start(config, "--json")
        until(lambda: stored(collector, *meters) > 10)
        os.kill(children(process.pid)[0], signal.SIGKILL)
        done = ended(process).balanced()
        states = [meter["state"] for meter in done.meters.values()]
        assert (5, 1, 3) == (done.code, states.count("stopped"), states.count("done"))


def test_a_killed_parent_takes_its_workers_along(bench: Bench) -> None:
    """Within a second of its parent's death no worker lives, and the next run goes on."""
    with slow() as collector:
        meters = {name: bench.csv(f"{name}.csv", rows(100)) for name in "ab"}
        config = bench.ini(collector.url, meters)
        process = bench.start(config)
        until(lambda: stored(collector, *meters) > 20)
        workers = children(process.pid)
        assert workers
        process.kill()
        until(lambda: not any(map(alive, workers)), 1)
        process.communicate()
        collector.delay = 0
        done = bench.run(config, "--json").balanced()
        assert (0, 0) == (done.code, done.report["totals"]["possible_duplicates"])
        for name in meters:
            assert packets(name, rows(100)) == collector.packets(name)


def test_a_second_run_is_told_at_once(bench: Bench) -> None:
    """Two INIs, one stream, one collector: the second run reports it locked (exit 6)."""
    with slow() as collector:
        path = bench.csv("a.csv", rows(150))
        config = bench.ini(collector.url, {"a": path})
        other = bench.ini(
            collector.url,
            {"a": path, "b": bench.csv("b.csv", rows(2))},
            swarm={"route": "partial"},
            name="other.ini",
        )
        process = bench.start(config)
        until(lambda: stored(collector, "a") > 5)
        collector.delay = 0.2
        done = bench.run(other, "--json").balanced()
        assert process.poll() is None
        assert (6, "locked", "done") == (
            done.code,
            done.meters["a"]["state"],
            done.meters["b"]["state"],
        )
        collector.delay = 0
        assert ended(process).code == 0
        assert packets("a", rows(150)) == collector.packets("a")


def test_no_lock_outlives_its_run(bench: Bench) -> None:
    """After kill -9 of the whole group the next run has all streams."""
    with slow() as collector:
        config = bench.ini(collector.url, {"a": bench.csv("a.csv", rows(50))})
        process = bench.start(config)
        until(lambda: stored(collector, "a") > 5)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert bench.run(config).code == 0
        assert packets("a", rows(50)) == collector.packets("a")


def test_a_worker_that_outlives_its_parent_keeps_its_lock(bench: Bench) -> None:
    """As long as a worker of a killed run could still send, its streams are locked."""
    with slow() as collector:
        config = bench.ini(collector.url, {"a": bench.csv("a.csv", rows(50))})
        process = bench.start(config)
        until(lambda: stored(collector, "a") > 5)
        (worker,) = children(process.pid)
        os.kill(worker, signal.SIGSTOP)
        process.kill()
        done = bench.run(config, "--json").balanced()
        os.kill(worker, signal.SIGCONT)
        process.communicate()
        assert (6, "locked") == (done.code, done.meters["a"]["state"])
        until(lambda: not alive(worker))
        assert bench.run(config).code == 0
        assert packets("a", rows(50)) == collector.packets("a")


def test_the_time_limit_stops_cleanly(bench: Bench) -> None:
    """--max-duration: the run stops in order, exit 5, and the same command goes on."""
    with slow() as collector:
        config = bench.ini(collector.url, {"a": bench.csv("a.csv", rows(2000))})
        done = bench.run(config, "--json", "--max-duration", "2s").balanced()
        assert (5, True) == (done.code, done.report["seconds"] < 20)
        assert "--max-duration" in done.err
        collector.delay = 0
        assert bench.run(config).code == 0
        assert packets("a", rows(2000)) == collector.packets("a")


def test_a_closed_stdout_loses_nothing(bench: Bench, collector: Collector) -> None:
    """A reader that has gone takes the report with it, not the run."""
    config = bench.ini(collector.url, {"a": bench.csv("a.csv", rows(5))})
    process = bench.start(config)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    done = ended(process)
    assert (0, False) == (done.code, "Traceback" in done.err or "Broken" in done.err)
    assert packets("a", rows(5)) == collector.packets("a")


def test_a_restart_that_is_interrupted_goes_on_without_the_flag(bench: Bench) -> None:
    """--restart, interrupted: the report says so, and the plain command goes on with all meters."""
    with slow() as collector:
        meters = {"a": bench.csv("a.csv", rows(60)), "b": bench.csv("b.csv", rows(3))}
        config = bench.ini(collector.url, meters, upload={"connections": "1"})
        collector.delay = 0
        assert bench.run(config).code == 0
        collector.delay = 0.02
        process = bench.start(config, "--restart")
        until(lambda: stored(collector, "a") > 70)
        process.send_signal(signal.SIGINT)
        done = ended(process)
        assert "without --restart" in done.out
        collector.delay = 0
        assert bench.run(config).code == 0
        assert packets("a", rows(60)) * 2 == collector.packets("a")
        assert packets("b", rows(3)) * 2 == collector.packets("b")


def test_a_file_altered_while_it_is_sent_stops_its_meter(bench: Bench) -> None:
    """Rows appended during a run wait for the next; altered ones stop the meter (exit 3)."""
    with slow() as collector:
        lines = rows(150)
        path = bench.csv("a.csv", lines[:140])
        config = bench.ini(collector.url, {"a": path})
        process = bench.start(config, "--json")
        until(lambda: stored(collector, "a") > 5)
        with path.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines[140:]))
        done = ended(process).balanced()
        assert (0, 140) == (done.code, done.meters["a"]["sent"])
        process = bench.start(config, "--json", "--restart")
        until(lambda: stored(collector, "a") > 150)
        path.write_text("\n".join(lines[:-1]) + "\n2023-02-02 00:00:00,77\n")
        done = ended(process).balanced()
        assert (3, "file changed") == (done.code, done.meters["a"]["problem"]["kind"])


def dies_with(bench: Bench, collector: Collector, config: Path, count: int, *, store: bool) -> None:
    """Run until packet ``count`` is in flight, stored or not, and kill the run."""

    def script(request: Request, collector: Collector) -> Behaviour | None:
        if request.method == "POST" and len(collector.bodies("a")) == count - 1:
            return Reply(200, store=store, delay=30)
        return None

    collector.script = script
    asked = [request for request in collector.requests if request.method == "POST"]
    process = bench.start(config)
    until(
        lambda: (
            sum(request.method == "POST" for request in collector.requests) == len(asked) + count
        )
    )
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    collector.script = None


@pytest.mark.parametrize("moment", ["before the answer", "after the answer"])
@pytest.mark.measured
def test_the_packet_in_flight_when_a_run_died(
    bench: Bench, collector: Collector, moment: str
) -> None:
    """Kill -9 with a packet in flight: the next run asks, and neither loses nor repeats it."""
    config = bench.ini(collector.url, {"a": bench.csv("a.csv", rows(8))})
    dies_with(bench, collector, config, 4, store=moment == "after the answer")
    before = len(collector.requests)
    done = bench.run(config, "--json").balanced()
    assert collector.requests[before].method == "GET"
    assert (0, 0) == (done.code, done.report["totals"]["possible_duplicates"])
    assert packets("a", rows(8)) == collector.packets("a")


@pytest.mark.parametrize("is_gone", [False, True])
@pytest.mark.parametrize("is_stored", [True, False])
def test_rows_that_came_ahead_of_the_packet_in_flight(
    bench: Bench, collector: Collector, *, is_stored: bool, is_gone: bool
) -> None:
    """It is asked about before any is sent: where it is stored, they are late."""
    old, new, flying, later = (rows(5)[at] for at in (0, 1, 2, 3))
    config = bench.ini(collector.url, {"a": bench.csv("a.csv", [old, flying])})
    dies_with(bench, collector, config, 2, store=is_stored)
    before = len(collector.requests)
    grown = [old, new, *([] if is_gone else [flying]), later]
    bench.csv("a.csv", grown)
    done = bench.run(config, "--json").balanced()
    assert "GET" == collector.requests[before].method
    held = [old, flying, later] if is_stored else grown
    assert packets("a", held) == collector.packets("a")
    assert (3 if is_stored else 0, int(is_stored)) == (done.code, done.meters["a"]["late"])
    assert 0 == done.report["totals"]["possible_duplicates"]


def test_late_rows_wait_for_the_packet_in_flight(bench: Bench, collector: Collector) -> None:
    """Also with --late send no row goes out before the fate of an earlier one is known."""
    first, gap, flying = rows(3)
    config = bench.ini(collector.url, {"a": bench.csv("a.csv", [first, flying])})
    dies_with(bench, collector, config, 2, store=True)
    before = len(collector.requests)
    bench.csv("a.csv", [first, gap, flying])
    done = bench.run(config, "--json", "--late", "send").balanced()
    methods = [request.method for request in collector.requests[before:]]
    assert (["GET", "POST"], 0) == (methods[:2], done.code)
    assert packets("a", [first, flying, gap]) == collector.packets("a")
    assert (1, 2) == (done.meters["a"]["sent"], done.meters["a"]["resumed"])
    assert 0 == done.report["totals"]["possible_duplicates"]


def test_no_password_in_the_process_list(bench: Bench) -> None:
    """Neither the command line nor the environment of a worker shows a password."""
    with slow() as collector:
        config = bench.ini(collector.url, {"a": bench.csv("a.csv", rows(50))})
        process = bench.start(config)
        until(lambda: stored(collector, "a") > 2)
        for pid in (process.pid, *children(process.pid)):
            assert b"s3cr%et" not in command(pid)
            assert b"s3cr%et" not in Path(f"/proc/{pid}/environ").read_bytes()
        process.send_signal(signal.SIGTERM)
        assert ended(process).code == 143


def test_group_kill_leaves_no_process(bench: Bench) -> None:
    """After any end, no process of the run is left."""
    with slow() as collector:
        config = bench.ini(collector.url, {"a": bench.csv("a.csv", rows(10))})
        process = bench.start(config)
        ended(process)
        group_is_gone(process.pid)
