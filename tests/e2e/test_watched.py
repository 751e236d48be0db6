"""A run that is watched: JSON lines, the log as JSON, the metrics file, notifications."""

import json
import signal
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from swarm.monitor import events
from tests.support.collector import Collector, Reply, Request
from tests.support.processes import until
from tests.support.workspace import Finished, Workspace, rows

KINDS = {
    kind.event: {"event", *(each.name for each in fields(kind) if each.name != "streams")}
    for kind in events.Event.__subclasses__()
}


def lines(run: Finished) -> list[dict[str, Any]]:
    """Return the events on stderr; each line is one, with the fields of its kind."""
    found: list[dict[str, Any]] = [json.loads(line) for line in run.err.splitlines()]
    for each in found:
        assert KINDS[each["event"]] == each.keys()
    assert [place for place, each in enumerate(found) if each["event"] == "end"] == [len(found) - 1]
    assert run.code == found[-1]["exit_code"]
    return found


def of(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return the events of a kind."""
    return [each for each in found if each["event"] == kind]


@pytest.mark.measured
def test_all_of_stderr_is_json(workspace: Workspace, collector: Collector) -> None:
    """A run with notices and problems of a file and of a stream, and warnings of the INI."""
    workspace.csv("a.csv", [*rows(5), *rows(2, "2022-01-01 00:00:00")])
    workspace.csv("b.csv", ["x"])
    workspace.csv("c.csv", rows(3))
    collector.script = lambda request, _: (
        Reply(422) if (request.method, request.stream) == ("POST", "c") else None
    )
    config = workspace.ini(collector.url, {"a": "a.csv", "b": "b.csv", "c": "c.csv"})
    config.chmod(0o644)
    run = workspace.run(config, "-k", "-v", "--progress", "json", "--json")
    found = lines(run)
    assert (3, 3) == (run.code, run.report["exit_code"])
    assert ("start", 3) == (found[0]["event"], found[0]["meters"])
    notices = [each["message"] for each in of(found, "notice")]
    assert any("can read this password" in each for each in notices)
    assert any("out of order" in each for each in notices)
    problems = {(each["meter"], each["kind"]) for each in of(found, "problem")}
    assert {("b", "header"), ("c", "rejected")} <= problems
    streams = {each["id"]: each for each in of(found, "stream")}
    assert {"a": "done", "c": "stopped"} == {name: each["state"] for name, each in streams.items()}
    assert "2023-01-01T01:00:00.000+00:00" == streams["a"]["last_acknowledged"]
    assert (7, 11) == (found[-1]["sent"], found[-1]["rows"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bogus"], "No such option '--bogus'."),
        (["--timeout", "5"], "found '5', expected a duration"),
        (["-m", "nobody"], "--meter nobody: no such meter"),
    ],
)
@pytest.mark.measured
def test_errors_of_the_usage_are_json(
    workspace: Workspace, arguments: list[str], message: str
) -> None:
    """Before the settings are known, too."""
    config = workspace.ini("http://127.0.0.1:9", {"a": "a.csv"})
    run = workspace.run(config, *arguments, "--progress=json")
    (problem, _) = lines(run)
    assert (2, "problem", "error") == (run.code, problem["event"], problem["kind"])
    assert message in problem["message"]


def test_an_error_of_the_state_is_json(workspace: Workspace, collector: Collector) -> None:
    """The run has begun, and ends with an exception."""
    workspace.csv("a.csv", rows(2))
    config = workspace.ini(collector.url, {"a": "a.csv"}, upload={"progress": "json"})
    workspace.state.mkdir(mode=0o777)
    workspace.state.chmod(0o777)
    run = workspace.run(config)
    found = lines(run)
    assert (7, ["start", "problem", "end"]) == (run.code, [each["event"] for each in found])


@pytest.mark.measured
def test_the_check_and_the_status_are_json(workspace: Workspace, collector: Collector) -> None:
    """With the number of rows that they have read."""
    workspace.csv("a.csv", rows(7))
    config = workspace.ini(collector.url, {"a": "a.csv"})
    for command in ("check", "status"):
        found = lines(workspace.run(command, config, "--progress", "json"))
        assert ("start", 7) == (found[0]["event"], found[-1]["rows"])


def test_quiet_json(workspace: Workspace, collector: Collector) -> None:
    """Nothing for a run that went well; problems and the end of another."""
    workspace.csv("a.csv", rows(2))
    config = workspace.ini(collector.url, {"a": "a.csv"}, upload={"progress": "json"})
    assert Finished(0, "", "") == workspace.run(config, "-q")
    workspace.csv("a.csv", ["x"])
    run = workspace.run(config, "-q")
    assert ["problem", "end"] == [each["event"] for each in lines(run)]


def test_positions_come_while_a_run_lasts(workspace: Workspace, collector: Collector) -> None:
    """Once a second, with rate and time left; a signal is told, and the end."""
    workspace.csv("a.csv", rows(2000))
    config = workspace.ini(collector.url, {"a": "a.csv"}, upload={"rate_limit": "50"})
    process = workspace.start(config, "--progress", "json")
    assert process.stderr is not None
    seen: list[dict[str, Any]] = []
    while len([each for each in seen if each.get("rate", 0) > 0]) < 3:
        seen.append(json.loads(process.stderr.readline()))
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=60)
    seen += [json.loads(line) for line in rest.splitlines()]
    position = [each for each in seen if each["event"] == "progress" and each["rate"]][2]
    assert (2000, 1) == (position["rows"], position["streams_active"])
    assert 20 < position["rate"] < 80
    assert 20 < position["eta_seconds"] < 80
    assert any("SIGTERM" in each["message"] for each in of(seen, "notice"))
    assert (143, "end") == (seen[-1]["exit_code"], seen[-1]["event"])


def test_the_log_as_json(workspace: Workspace, collector: Collector) -> None:
    """Each line is an object; a line that tells an event says which."""
    workspace.csv("ü.csv", [*rows(3), *rows(1, "2022-01-01 00:00:00")])
    swarm = {"log_file": "run.log", "log_format": "json"}
    config = workspace.ini(collector.url, {"ü": "ü.csv"}, swarm=swarm)
    assert 0 == workspace.run(config).code
    text = (workspace.folder / "run.log").read_text(encoding="utf-8")
    found = [json.loads(line) for line in text.splitlines()]
    assert all({"time", "level", "process", "message"} <= each.keys() for each in found)
    assert all(time.strptime(each["time"], "%Y-%m-%dT%H:%M:%S%z") for each in found)
    (stream,) = [each for each in found if each.get("event") == "stream"]
    assert ("ü", "done", "INFO") == (stream["meter"], stream["state"], stream["level"])
    (notice,) = [each for each in found if each.get("event") == "notice"]
    assert ("NOTICE", True) == (notice["level"], "out of order" in notice["message"])
    assert "ü" in text


@pytest.mark.measured
def test_a_metrics_file(workspace: Workspace, collector: Collector) -> None:
    """Relative to the INI's folder; readable by others; kept by a run that fails."""
    workspace.csv("a.csv", rows(3))
    upload = {"metrics_file": "out/m.prom", "max_duration": "1m"}
    config = workspace.ini(collector.url, {"a": "a.csv"}, upload=upload)
    missing = workspace.run(config, cwd=Path("/"))
    assert (2, "") == (missing.code, missing.out)
    assert missing.err.startswith(f"--metrics-file {workspace.folder}/out/m.prom: no file can be")
    assert not collector.bodies("a")
    (workspace.folder / "out").mkdir()
    assert 0 == workspace.run(config, cwd=Path("/")).code
    path = workspace.folder / "out" / "m.prom"
    text = path.read_text(encoding="utf-8")
    assert 'swarm_meter_rows{config="config.ini",meter="a",outcome="sent"} 3.0' in text
    assert 0o644 == path.stat().st_mode & 0o777
    workspace.state.chmod(0o777)
    assert 7 == workspace.run(config).code
    later = path.read_text(encoding="utf-8")
    assert 'swarm_exit_code{config="config.ini"} 7.0' in later
    assert 'swarm_meter_rows{config="config.ini",meter="a",outcome="sent"} 3.0' in later
    (success,) = [line for line in text.splitlines() if line.startswith("swarm_last_success")]
    assert success in later
    assert [path] == list(path.parent.iterdir())


NOTIFY = f"""
[notify]
on_success = {sys.executable} hook.py success
on_failure = {sys.executable} hook.py failure
"""
HOOK = """
import json, os, sys
names = "SWARM_EXIT_CODE", "SWARM_CONFIG"
facts = [sys.argv[1], *(os.environ[name] for name in names), json.load(sys.stdin)]
open("hook.jsonl", "a").write(json.dumps(facts) + "\\n")
"""


def hooked(workspace: Workspace) -> list[list[Any]]:
    """Return what the command was told."""
    path = workspace.folder / "hook.jsonl"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.measured
def test_a_command_hears_of_each_end(workspace: Workspace, collector: Collector) -> None:
    """Of a signal, success, a problem, a state that can't be used; not of a dry run."""
    (workspace.folder / "hook.py").write_text(HOOK, encoding="utf-8")
    workspace.csv("a.csv", rows(400))
    config = workspace.ini(collector.url, {"a": "a.csv"}, rest=NOTIFY)
    assert 0 == workspace.run("--dry-run", config, cwd=Path("/")).code
    assert 0 == workspace.run("check", config, cwd=Path("/")).code
    assert [] == hooked(workspace)
    process = workspace.start(config, "--rate-limit", "50", "--progress", "none")
    until(lambda: len(collector.bodies("a")) > 5)
    process.send_signal(signal.SIGINT)
    assert 130 == process.wait(60)
    process.communicate()
    assert 0 == workspace.run(config).code
    workspace.csv("a.csv", ["x"])
    assert 3 == workspace.run(config, "-q").code
    workspace.state.chmod(0o777)
    assert 7 == workspace.run(config, "-q").code
    found = hooked(workspace)
    assert ["failure", "success", "failure", "failure"] == [each[0] for each in found]
    assert ["130", "0", "3", "7"] == [each[1] for each in found]
    assert {str(config)} == {each[2] for each in found}
    reports = [each[3] for each in found]
    assert [130, 0, 3, 7] == [each["exit_code"] for each in reports]
    assert 400 == reports[1]["totals"]["rows"]
    assert "everybody can write to it" in reports[3]["problems"][0]


@pytest.mark.measured
def test_a_healthcheck_of_a_run(workspace: Workspace, collector: Collector) -> None:
    """It gets the start before the first packet, and the end; what fails there is a notice."""
    seen: list[tuple[str, str]] = []

    def script(request: Request, _: Collector) -> Reply | None:
        seen.append((request.method, request.path))
        return Reply(200) if request.path.startswith("/ping") else None

    collector.script = script
    workspace.csv("a.csv", rows(3))
    base = collector.url.partition("/measurements")[0]
    rest = f"\n[notify]\nhealthcheck = {base}/ping/secret\n"
    config = workspace.ini(collector.url, {"a": "a.csv"}, rest=rest)
    assert 0 == workspace.run(config).code
    pings = [each for each in seen if each[1].startswith("/ping")]
    assert [("GET", "/ping/secret/start"), ("POST", "/ping/secret/0")] == pings
    collector.script = None
    rest = "\n[notify]\nhealthcheck = http://127.0.0.1:9/secret\n"
    config = workspace.ini(collector.url, {"a": "a.csv"}, rest=rest)
    run = workspace.run(config)
    assert (0, 2) == (run.code, run.err.count("healthcheck http://127.0.0.1: no connection"))
    assert "secret" not in run.err
    assert Finished(0, "", "") == workspace.run(config, "-q")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("healthcheck = hc-ping.com/x", "expected a URL such as https://hc-ping.com/UUID"),
        ("healthcheck = https://a:b@hc-ping.com/x", "without user and password"),
        ("on_success = 'x", "expected a command whose quotes are closed"),
        ("on_failed = x", "unknown option; did you mean 'on_failure'?"),
    ],
)
@pytest.mark.measured
def test_mistakes_in_notify(workspace: Workspace, line: str, expected: str) -> None:
    """Each is told with its line, and nothing is sent."""
    workspace.csv("a.csv", rows(3))
    config = workspace.ini("http://127.0.0.1:9", {"a": "a.csv"}, rest=f"\n[notify]\n{line}\n")
    run = workspace.run(config)
    assert (2, True) == (run.code, expected in run.err), run.err
    assert f"[notify] {line.split(maxsplit=1)[0]}: " in run.err
