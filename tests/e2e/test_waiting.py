"""Quiet hours, streams that another run holds, and rows that were rejected before."""

import json
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.collector import Collector, Reply, Request
from tests.support.processes import until
from tests.support.workspace import Workspace, packets, rows


def local_zone(clock: str) -> str:
    """Return a value of the variable TZ with which it is a time of day now."""
    now = datetime.now(UTC)
    local = datetime.combine(now, datetime.strptime(clock, "%H:%M:%S").time(), UTC)
    seconds = round((local - now).total_seconds())
    sign, seconds = ("-", seconds) if seconds >= 0 else ("+", -seconds)
    return f"LOC{sign}{timedelta(seconds=seconds)}"


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_timetable_ends_quiet_hours_during_a_run(workspace: Workspace, processes: str) -> None:
    """Slow until the half hour, then as fast as the line allows; each change is told."""
    moments: list[float] = []

    def script(request: Request, _: Collector) -> None:
        if request.method == "POST":
            moments.append(time.monotonic())

    with Collector(script) as collector:
        meters = {name: workspace.csv(f"{name}.csv", rows(150)) for name in "ab"}
        upload = {"rate_limit": "00:00 20; 18:30 off; 23:59 1", "processes": processes}
        config = workspace.ini(collector.url, meters, upload=upload)
        start = time.monotonic()
        run = workspace.run(config, env={"TZ": local_zone("18:29:54")})
    assert 0 == run.code, run.err
    half = start + 6
    before = [each for each in moments if each < half - 0.5]
    after = [each for each in moments if each > half + 1]
    assert 0 < len(before) <= 1.2 * 20 * 6
    assert 300 == len(moments)
    # At 20 per second, the rows that were left would take 9 s or more.
    assert not after or after[-1] - half < (300 - len(before)) / 20 / 2
    first, second = [line for line in run.err.splitlines() if "rate limit" in line]
    assert (first[:39], first[-5:]) == ("notice: rate limit: 20 requests/s until", "18:30")
    assert (second[:31], second[-5:]) == ("notice: rate limit: none until ", "23:59")


@pytest.mark.measured
def test_a_check_by_a_timetable(workspace: Workspace) -> None:
    """The hours without a limit are not known; a number is, whatever the hour."""
    config = workspace.ini("sandbox", {"m": workspace.csv("m.csv", rows(10_000))})
    env = {"TZ": local_zone("12:00:00")}
    for rate, line in (
        ("08:00 50; 18:30 off", "10,000 packets, from now on: 50 rows/s, about 3 min left"),
        ("08:00 1; 12:30 4", "1.0 rows/s until 12:30, then about 4.0; done about 13:04"),
        ("08:00 1; 12:30 off", "1.0 rows/s until 12:30, then as fast as the line allows"),
    ):
        run = workspace.run("check", config, "--rate", rate, env=env)
        assert (0, True) == (run.code, run.out.rstrip().endswith(line)), run.out
    told = workspace.run("check", config, "--rate", "08:00 1; 12:30 off", "--json", env=env).report
    assert ("08:00 1; 12:30 off", None) == (told["rate"], told["upload_seconds"])


@pytest.mark.measured
def test_a_run_waits_for_another(workspace: Workspace, collector: Collector) -> None:
    """It sends what is left once the other run has ended; it waits no longer than it may."""
    meters = {name: workspace.csv(f"{name}.csv", rows(150)) for name in "ab"}
    config = workspace.ini(collector.url, meters)
    first = workspace.start(config, "-m", "a", "--rate-limit", "50", "--progress", "none")
    until(lambda: len(collector.bodies("a")) > 3)
    short = workspace.run(config, "--wait", "0.5s", "--json")
    assert (6, "locked", "done") == (
        short.code,
        short.meters["a"]["state"],
        short.meters["b"]["state"],
    )
    assert "notice: 1 stream held by another run: waiting for at most 0.5 s" in short.err
    stopped = workspace.start(config, "--wait", "1h")
    assert stopped.stderr is not None
    assert "held by another run" in stopped.stderr.readline()
    stopped.send_signal(signal.SIGINT)
    stopped.communicate(timeout=20)
    assert 130 == stopped.returncode
    long = workspace.run(config, "--wait", "1m", "--json")
    assert (0, 0) == (long.code, first.wait(20))
    first.communicate()
    assert 150 == long.meters["a"]["resumed"]
    for name in "ab":
        assert packets(name, rows(150)) == collector.packets(name)


@pytest.mark.measured
def test_rejected_rows_are_sent_again(workspace: Workspace, collector: Collector) -> None:
    """In their own order before newer ones; once each; and only if that was asked for."""
    refused = {"2023-01-01T00:15:00.000+00:00", "2023-01-01T00:45:00.000+00:00"}

    def script(request: Request, _: Collector) -> Reply | None:
        if request.method != "POST" or json.loads(request.body)["tsISO8601"] not in refused:
            return None
        return Reply(422, b"not plausible")

    collector.script = script
    workspace.csv("a.csv", rows(6))
    config = workspace.ini(collector.url, {"a": "a.csv"}, upload={"on_reject": "skip"})
    first = workspace.run(config, "--json").balanced()
    assert (3, 4, 2) == (
        first.code,
        first.meters["a"]["sent"],
        first.meters["a"]["rejected"],
    )
    again = workspace.run(config, "--json").balanced()
    assert (3, 2) == (again.code, again.meters["a"]["rejected"])
    assert "--rejected send sends them again" in again.err
    # The collector still refuses them.
    third = workspace.run(config, "--json", "--rejected", "send").balanced()
    assert (3, 2) == (third.code, third.meters["a"]["rejected"])
    (rejects,) = workspace.state.glob("rejects/*/a.csv")
    assert [rows(6)[1], rows(6)[3]] == rejects.read_text(encoding="utf-8").splitlines()
    log = rejects.with_name("a.log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [rows(6)[1], rows(6)[3]] * 2 == [json.loads(line)["row"] for line in log]
    # Now it takes them.
    refused.clear()
    workspace.csv("a.csv", rows(8))
    before = len(collector.bodies("a"))
    last = workspace.run(config, "--json", "--rejected", "send").balanced()
    assert (0, 4, 4, "yes") == (
        last.code,
        last.meters["a"]["sent"],
        last.meters["a"]["resumed"],
        last.meters["a"]["verified"],
    )
    sent = [json.loads(body) for body in collector.bodies("a")[before:]]
    expected = packets("a", rows(8))
    assert [expected[1], expected[3], expected[6], expected[7]] == sent
    done = workspace.run(config, "--json", "--rejected", "send").balanced()
    assert (0, 8) == (done.code, done.meters["a"]["resumed"])
