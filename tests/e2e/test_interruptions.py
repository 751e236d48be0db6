"""A run that is killed or stopped resumes where it stopped: processes, signals, locks."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.collector import Behaviour, Collector, Reply, Request
from tests.support.processes import alive, children, command, group_is_gone, until
from tests.support.workspace import Workspace, ended, packets, rows

# The tests depend on time: a machine that pauses for a moment may break one.
pytestmark = pytest.mark.flaky(reruns=2)


def slow(seconds: float = 0.02) -> Collector:
    """Return a collector that answers slowly."""
    return Collector(delay=seconds)


def stored(collector: Collector, *streams: str) -> int:
    """Return the number of packets that a collector holds for some streams."""
    return sum(len(collector.bodies(stream)) for stream in streams)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.measured
def test_a_signal_ends_the_run_in_order(
    workspace: Workspace, number: signal.Signals, code: int
) -> None:
    """After one signal no new packet is sent, the report is printed, and a new run resumes."""
    with slow() as collector:
        meters = {name: workspace.csv(f"{name}.csv", rows(120)) for name in "abc"}
        config = workspace.ini(collector.url, meters, upload={"connections": "2"})
        process = workspace.start(config, "--json")
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
        assert workspace.run(config).code == 0
        for name in meters:
            assert packets(name, rows(120)) == collector.packets(name)


@pytest.mark.parametrize(("signals", "code"), [(1, 0), (2, 130)])
def test_a_signal_after_the_last_packet(
    workspace: Workspace, collector: Collector, signals: int, code: int
) -> None:
    """The report is printed all the same; only a second signal ends the command at once."""
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3))})
    interrupted = workspace.first(_INTERRUPTED.format(signals))
    done = workspace.run(config, "--json", env=interrupted)
    assert (code, 3) == (done.code, stored(collector, "a"))
    assert "Traceback" not in done.err
    if code == 0:
        assert (3, 0) == (done.balanced().report["totals"]["sent"], done.report["exit_code"])


_INTERRUPTED = """
import os, signal
from swarm.cli import upload_report
closing = upload_report.closing
def interrupted(report):
    for _ in range({}):
        os.kill(os.getpid(), signal.SIGINT)
    return closing(report)
upload_report.closing = interrupted
"""


def test_a_second_signal_ends_at_once(workspace: Workspace) -> None:
    """A second signal does not wait for packets in flight; the next run settles them."""
    with slow(5) as collector:
        config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3))})
        process = workspace.start(config)
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
        assert workspace.run(config).code == 0
        assert packets("a", rows(3)) == collector.packets("a")


def test_a_killed_worker_costs_its_own_streams(workspace: Workspace) -> None:
    """The streams of a killed worker stop (exit 5); the others finish, and nothing hangs."""
    with slow() as collector:
        meters = {f"m{n}": workspace.csv(f"{n}.csv", rows(100)) for n in range(6)}
        config = workspace.ini(collector.url, meters, upload={"connections": "4", "processes": "2"})
        process = workspace.start(config, "--json")
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
        assert workspace.run(config).code == 0
        for name in meters:
            assert packets(name, rows(100)) == collector.packets(name)


@pytest.mark.measured
def test_the_only_worker_is_replaced_for_the_rest(workspace: Workspace) -> None:
    """With one process, a killed worker stops only the streams that it was sending."""
    with slow() as collector:
        meters = {f"m{n}": workspace.csv(f"{n}.csv", rows(40)) for n in range(4)}
        config = workspace.ini(collector.url, meters, upload={"connections": "1", "processes": "1"})
        process = workspace.start(config, "--json")
        until(lambda: stored(collector, *meters) > 10)
        os.kill(children(process.pid)[0], signal.SIGKILL)
        done = ended(process).balanced()
        states = [meter["state"] for meter in done.meters.values()]
        assert (5, 1, 3) == (done.code, states.count("stopped"), states.count("done"))


def test_a_killed_parent_takes_its_workers_along(workspace: Workspace) -> None:
    """All workers end within a second of their parent's death, and the next run resumes."""
    with slow() as collector:
        meters = {name: workspace.csv(f"{name}.csv", rows(100)) for name in "ab"}
        config = workspace.ini(collector.url, meters)
        process = workspace.start(config)
        until(lambda: stored(collector, *meters) > 20)
        workers = children(process.pid)
        assert workers
        process.kill()
        until(lambda: not any(map(alive, workers)), 1)
        process.communicate()
        collector.delay = 0
        done = workspace.run(config, "--json").balanced()
        assert (0, 0) == (done.code, done.report["totals"]["possible_duplicates"])
        for name in meters:
            assert packets(name, rows(100)) == collector.packets(name)


def test_a_second_run_is_told_at_once(workspace: Workspace) -> None:
    """If two INIs have the same stream and collector, the second run reports it locked (exit 6)."""
    with slow() as collector:
        path = workspace.csv("a.csv", rows(150))
        config = workspace.ini(collector.url, {"a": path})
        other = workspace.ini(
            collector.url,
            {"a": path, "b": workspace.csv("b.csv", rows(2))},
            swarm={"route": "partial"},
            name="other.ini",
        )
        process = workspace.start(config)
        until(lambda: stored(collector, "a") > 5)
        collector.delay = 0.2
        done = workspace.run(other, "--json").balanced()
        assert process.poll() is None
        assert (6, "locked", "done") == (
            done.code,
            done.meters["a"]["state"],
            done.meters["b"]["state"],
        )
        collector.delay = 0
        assert ended(process).code == 0
        assert packets("a", rows(150)) == collector.packets("a")


def test_no_lock_outlives_its_run(workspace: Workspace) -> None:
    """After kill -9 of the whole process group the next run can lock all streams."""
    with slow() as collector:
        config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(50))})
        process = workspace.start(config)
        until(lambda: stored(collector, "a") > 5)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert workspace.run(config).code == 0
        assert packets("a", rows(50)) == collector.packets("a")


def test_a_worker_that_outlives_its_parent_keeps_its_lock(workspace: Workspace) -> None:
    """While a worker of a killed run can still send, its streams stay locked."""
    with slow() as collector:
        config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(50))})
        process = workspace.start(config)
        until(lambda: stored(collector, "a") > 5)
        (worker,) = children(process.pid)
        os.kill(worker, signal.SIGSTOP)
        process.kill()
        done = workspace.run(config, "--json").balanced()
        os.kill(worker, signal.SIGCONT)
        process.communicate()
        assert (6, "locked") == (done.code, done.meters["a"]["state"])
        until(lambda: not alive(worker))
        assert workspace.run(config).code == 0
        assert packets("a", rows(50)) == collector.packets("a")


def test_the_time_limit_stops_cleanly(workspace: Workspace) -> None:
    """With --max-duration the run stops in order (exit 5), and the same command resumes."""
    with slow() as collector:
        config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(2000))})
        done = workspace.run(config, "--json", "--max-duration", "2s").balanced()
        assert (5, True) == (done.code, done.report["seconds"] < 20)
        assert "--max-duration" in done.err
        collector.delay = 0
        assert workspace.run(config).code == 0
        assert packets("a", rows(2000)) == collector.packets("a")


def test_a_closed_stdout_loses_nothing(workspace: Workspace, collector: Collector) -> None:
    """If the reader of stdout leaves, the report is lost, but the run completes."""
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(5))})
    process = workspace.start(config)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    done = ended(process)
    assert (0, False) == (done.code, "Traceback" in done.err or "Broken" in done.err)
    assert packets("a", rows(5)) == collector.packets("a")


def test_a_restart_that_is_interrupted_goes_on_without_the_flag(workspace: Workspace) -> None:
    """The report of an interrupted --restart says to run without it; that run sends the rest."""
    with slow() as collector:
        meters = {"a": workspace.csv("a.csv", rows(60)), "b": workspace.csv("b.csv", rows(3))}
        config = workspace.ini(collector.url, meters, upload={"connections": "1"})
        collector.delay = 0
        assert workspace.run(config).code == 0
        collector.delay = 0.02
        process = workspace.start(config, "--restart")
        until(lambda: stored(collector, "a") > 70)
        process.send_signal(signal.SIGINT)
        done = ended(process)
        assert "without --restart" in done.out
        collector.delay = 0
        assert workspace.run(config).code == 0
        assert packets("a", rows(60)) * 2 == collector.packets("a")
        assert packets("b", rows(3)) * 2 == collector.packets("b")


def test_a_file_altered_while_it_is_sent_stops_its_meter(workspace: Workspace) -> None:
    """Rows appended during a run wait for the next; changed rows stop the meter (exit 3)."""
    with slow() as collector:
        lines = rows(150)
        path = workspace.csv("a.csv", lines[:140])
        config = workspace.ini(collector.url, {"a": path})
        process = workspace.start(config, "--json")
        until(lambda: stored(collector, "a") > 5)
        with path.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines[140:]))
        done = ended(process).balanced()
        assert (0, 140) == (done.code, done.meters["a"]["sent"])
        process = workspace.start(config, "--json", "--restart")
        until(lambda: stored(collector, "a") > 150)
        path.write_text("\n".join(lines[:-1]) + "\n2023-02-02 00:00:00,77\n")
        done = ended(process).balanced()
        assert (3, "file changed") == (done.code, done.meters["a"]["problem"]["kind"])


def kill_at_packet(
    workspace: Workspace, collector: Collector, config: Path, count: int, *, store: bool
) -> None:
    """Run until packet ``count`` is in flight, stored or not, and kill the run."""

    def script(request: Request, collector: Collector) -> Behaviour | None:
        if request.method == "POST" and len(collector.bodies("a")) == count - 1:
            return Reply(200, store=store, delay=30)
        return None

    collector.script = script
    asked = [request for request in collector.requests if request.method == "POST"]
    process = workspace.start(config)
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
    workspace: Workspace, collector: Collector, moment: str
) -> None:
    """After a kill with a packet in flight, the next run asks for it and sends it at most once."""
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(8))})
    kill_at_packet(workspace, collector, config, 4, store=moment == "after the answer")
    before = len(collector.requests)
    done = workspace.run(config, "--json").balanced()
    assert collector.requests[before].method == "GET"
    assert (0, 0) == (done.code, done.report["totals"]["possible_duplicates"])
    assert packets("a", rows(8)) == collector.packets("a")


@pytest.mark.parametrize("is_gone", [False, True])
@pytest.mark.parametrize("is_stored", [True, False])
def test_rows_that_came_ahead_of_the_packet_in_flight(
    workspace: Workspace, collector: Collector, *, is_stored: bool, is_gone: bool
) -> None:
    """The packet in flight is settled before any row is sent; if it was stored, they are late."""
    old, new, in_flight, later = (rows(5)[at] for at in (0, 1, 2, 3))
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", [old, in_flight])})
    kill_at_packet(workspace, collector, config, 2, store=is_stored)
    before = len(collector.requests)
    grown = [old, new, *([] if is_gone else [in_flight]), later]
    workspace.csv("a.csv", grown)
    done = workspace.run(config, "--json").balanced()
    assert "GET" == collector.requests[before].method
    held = [old, in_flight, later] if is_stored else grown
    assert packets("a", held) == collector.packets("a")
    assert (3 if is_stored else 0, int(is_stored)) == (done.code, done.meters["a"]["late"])
    assert 0 == done.report["totals"]["possible_duplicates"]


def test_late_rows_wait_for_the_packet_in_flight(
    workspace: Workspace, collector: Collector
) -> None:
    """Even with --late send, no row is sent before the earlier packet in flight is settled."""
    first, gap, in_flight = rows(3)
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", [first, in_flight])})
    kill_at_packet(workspace, collector, config, 2, store=True)
    before = len(collector.requests)
    workspace.csv("a.csv", [first, gap, in_flight])
    done = workspace.run(config, "--json", "--late", "send").balanced()
    methods = [request.method for request in collector.requests[before:]]
    assert (["GET", "POST"], 0) == (methods[:2], done.code)
    assert packets("a", [first, in_flight, gap]) == collector.packets("a")
    assert (1, 2) == (done.meters["a"]["sent"], done.meters["a"]["resumed"])
    assert 0 == done.report["totals"]["possible_duplicates"]


def test_no_password_in_the_process_list(workspace: Workspace) -> None:
    """Neither the command line nor the environment of a worker contains a password."""
    with slow() as collector:
        config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(50))})
        process = workspace.start(config)
        until(lambda: stored(collector, "a") > 2)
        for pid in (process.pid, *children(process.pid)):
            assert b"s3cr%et" not in command(pid)
            assert b"s3cr%et" not in Path(f"/proc/{pid}/environ").read_bytes()
        process.send_signal(signal.SIGTERM)
        assert ended(process).code == 143


def test_group_kill_leaves_no_process(workspace: Workspace) -> None:
    """After a run has ended, none of its processes is left."""
    with slow() as collector:
        config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(10))})
        process = workspace.start(config)
        ended(process)
        group_is_gone(process.pid)
