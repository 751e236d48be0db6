"""``swarm status``: its output, and the command with real processes, sockets, files."""

import json
import os
import signal
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.cli import status_report
from swarm.cli.progress import SilentProgress
from swarm.config.load import load
from swarm.delivery.result import StreamProblem
from swarm.delivery.status import StreamStatus
from swarm.errors import ExitCode, StateError
from swarm.run.status import status
from swarm.sandbox.client import last_packets
from swarm.sandbox.store import Store
from tests.support.collector import Collector, Reply, Request
from tests.support.processes import until
from tests.support.workspace import Finished, Workspace, ended, packet, rows

DOWN = StreamProblem("temporary", "down", ExitCode.TEMPORARY)
LATEST = "2023-07-01T00:15:00.000+01:00"


# Output


def test_the_table_has_a_line_for_each_meter() -> None:
    """Columns that are zero for all meters are left out; unknown values are a dash."""
    statuses = [
        StreamStatus("gas", 5000, 4000, 999, 1, 0, 0, LATEST, LATEST),
        StreamStatus("elec", 3, collector_last=LATEST),
    ]
    head, _, gas, elec = status_report.as_table(statuses).splitlines()
    names = "meter rows acknowledged waiting rejected last acknowledged collector's last"
    assert names.split() == head.split()
    assert ["gas", "5,000", "4,000", "999", "1", *["2023-07-01", "00:15"] * 2] == gas.split()
    assert ["elec", "3", "-", "-", "-", "-", "2023-07-01", "00:15"] == elec.split()
    assert len(gas) <= 100


def test_the_json_is_as_promised() -> None:
    """The JSON has the keys that the reference promises, and null for missing values."""
    one = StreamStatus("gas", 3, 1, 2, 0, 0, 0, LATEST, problems=(DOWN,))
    (told,) = json.loads(status_report.as_json([one]))["meters"]
    promised = {"rows": 3, "acknowledged": 1, "waiting": 2, "last_acknowledged": LATEST}
    assert {"id": "gas", **promised, "collector_last": None}.items() <= told.items()
    assert ("down", "temporary") == (told["problem"]["message"], told["problem"]["kind"])


def test_the_gravest_problem_is_the_exit_code() -> None:
    """In the order of the reference; all are told, each cause once."""
    bad = StreamStatus(
        "a", 3, invalid=StreamProblem("number", "x", ExitCode.DATA), problems=(DOWN,)
    )
    assert 5 == status_report.exit_code([StreamStatus("b", 1, problems=(DOWN,))])
    assert 3 == status_report.exit_code([bad])
    state = replace(bad, problems=(DOWN, StreamProblem("state", "damaged", ExitCode.STATE)))
    assert 7 == status_report.exit_code([bad, state])
    assert 0 == status_report.exit_code([StreamStatus("c", 1)])
    assert ["a, b: down"] == status_report.problem_lines([bad, replace(bad, id="b", invalid=None)])


# The command


def meters(done: Finished) -> dict[str, list[object]]:
    """Return the values reported for each meter."""
    told = json.loads(done.out)["meters"]
    return {each["id"]: [value for key, value in each.items() if key != "id"] for each in told}


def files(folder: Path) -> dict[Path, bytes]:
    """Return the content of all files below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_new_rows_wait(workspace: Workspace, collector: Collector) -> None:
    """New rows are waiting for the meter that was chosen; the command writes nothing."""
    path = workspace.csv("m.csv", rows(5))
    config = workspace.ini(collector.url, {"m": path, "o": workspace.csv("o.csv", rows(2))})
    assert workspace.run(config).code == 0
    workspace.csv("m.csv", rows(9))
    before, asked = files(workspace.state), len(collector.requests)
    done = workspace.run("status", config, "--json", "-q", "-m", "m")
    newest = "2023-01-01T01:00:00.000+00:00"
    assert {"m": [9, 5, 4, 0, 0, 0, newest, newest, None]} == meters(done)
    assert (0, "") == (done.code, done.err)
    assert ["GET"] == [request.method for request in collector.requests[asked:]]
    assert before == files(workspace.state)


def test_offline_needs_neither_password_nor_collector(workspace: Workspace) -> None:
    """The table shows what this machine knows; a missing state folder is not created."""
    config = workspace.ini("http://127.0.0.1:9/", {"m": workspace.csv("m.csv", rows(5))})
    config.write_text(config.read_text().replace("password =", "password_env = NO_SUCH #"))
    done = workspace.run("status", config, "--offline", "--progress", "none")
    assert (0, "", False) == (done.code, done.err, workspace.state.exists())
    assert ["m", "5", "0", "5", "-", "-"] == done.out.splitlines()[-1].split()


def test_during_a_run_and_after_it_was_killed(workspace: Workspace) -> None:
    """The status shows what is recorded; it neither delays a run nor needs one."""
    lines = rows(400)

    def slowly(request: Request, _: Collector) -> Reply | None:
        return Reply(delay=0.01) if request.method == "POST" else None

    with Collector(slowly) as collector:
        config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", lines)})
        run = workspace.start(config, "-q")
        until(lambda: len(collector.packets("m")) >= 20)
        during = meters(workspace.run("status", config, "--json", "-q"))["m"]
        assert run.poll() is None
        os.killpg(run.pid, signal.SIGKILL)
        ended(run)
        after = meters(workspace.run("status", config, "--json", "-q"))["m"]
        sent = len(collector.packets("m"))
    for told in (during, after):
        assert told[0] == 400
        assert 400 == int(str(told[1])) + int(str(told[2]))
    assert 20 <= int(str(during[1])) <= int(str(after[1])) <= sent
    assert sent - int(str(after[1])) <= 1
    assert after[7] == packet("m", lines[sent - 1])["tsISO8601"]


def test_a_file_with_problems_is_told_once(workspace: Workspace, collector: Collector) -> None:
    """The problem is reported with its line (exit 3); the other meter is reported as usual."""
    bad = workspace.csv("bad.csv", [*rows(2), "2023-02-01 00:00:00,x"])
    config = workspace.ini(collector.url, {"bad": bad, "good": workspace.csv("good.csv", rows(2))})
    done = workspace.run("status", config, "--json", "-q")
    assert (3, 1) == (done.code, len(done.err.splitlines()))
    assert done.err.startswith(f"{bad}:3:2: ")
    told = meters(done)
    assert ([3, None, None], [2, 0, 2]) == (told["bad"][:3], told["good"][:3])


def test_a_collector_that_is_away_is_told_once(workspace: Workspace) -> None:
    """Exit 5 within seconds, one line for all meters, and what is known locally is reported."""
    with Collector() as collector:
        url = collector.url
    config = workspace.ini(url, {f"m{n}": workspace.csv(f"{n}.csv", rows(2)) for n in range(5)})
    started = time.monotonic()
    done = workspace.run("status", config, "--json", "-q")
    assert time.monotonic() - started < 30
    assert (5, 1) == (done.code, len(done.err.splitlines()))
    assert done.err.startswith("m0, m1 and 3 more: ")
    assert [[2, 0, 2]] * 5 == [each[:3] for each in meters(done).values()]


# The sandbox


def test_the_sandbox_is_not_started(workspace: Workspace) -> None:
    """The stored packets are read from the file, which stays unchanged."""
    config = workspace.ini("sandbox", {"m": workspace.csv("m.csv", rows(5))})
    settings = load(config, {})
    (none,), _ = status(settings, SilentProgress())
    assert (None, ()) == (none.collector_last, none.problems)
    assert workspace.run(config).code == 0
    before = files(workspace.state)
    (one,), _ = status(settings, SilentProgress())
    assert one.collector_last == "2023-01-01T01:00:00.000+00:00" == one.last_acknowledged
    assert before == files(workspace.state)


def test_a_sandbox_in_use_is_told(workspace: Workspace) -> None:
    """If a run is using the store, that is reported as a problem."""
    config = workspace.ini("sandbox", {"m": workspace.csv("m.csv", rows(5))})
    folder = workspace.state / "sandbox"
    folder.mkdir(parents=True)
    store = Store(folder / "packets.sqlite")
    (one,), _ = status(load(config, {}), SilentProgress())
    store.close()
    (problem,) = one.problems
    assert (5, True) == (problem.exit_code, "is using this store" in problem.message)


def test_the_sandbox_of_a_run_is_asked(workspace: Workspace) -> None:
    """The sandbox of a running upload is asked, and its address file does not remain."""
    config = workspace.ini("sandbox", {"m": workspace.csv("m.csv", rows(4000))})
    run = workspace.start(config, "-q", "--rate-limit", "500")
    until((workspace.state / "checkpoints").exists)
    done = workspace.run("status", config, "--json", "-q")
    assert run.poll() is None
    run.send_signal(signal.SIGINT)
    ended(run)
    assert (0, "") == (done.code, done.err)
    told = meters(done)["m"]
    assert str(told[6])[:10] <= str(told[7])[:10]
    assert {"packets.sqlite"} == {each.name for each in (workspace.state / "sandbox").iterdir()}


def test_a_stale_address_file_is_not_used(tmp_path: Path) -> None:
    """If the address file is stale and the store is in use, the error says to ask again later."""
    path = tmp_path / "packets.sqlite"
    with closing(Store(path)):
        for word in ("", "[1]", '["http://127.0.0.1:9/", "key"]'):
            path.with_name("packets.sqlite-at").write_text(word)
            with pytest.raises(StateError, match="try again later"):
                last_packets(path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(workspace: Workspace, number: signal.Signals) -> None:
    """A signal while the collector is asked ends the command soon, without a traceback."""

    def never(request: Request, _: Collector) -> Reply:
        return Reply(delay=60)

    with Collector(never) as collector:
        config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(5))})
        run = workspace.start("status", config)
        until(lambda: collector.requests)
        run.send_signal(number)
        done = ended(run)
    assert (128 + number, "") == (done.code, done.out)
    assert "Traceback" not in done.err
