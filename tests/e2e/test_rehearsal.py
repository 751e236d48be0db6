"""``environment = sandbox``: a rehearsal from end to end."""

import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from swarm.cli.progress import SilentProgress
from swarm.config.load import load
from swarm.run.rehearsal import opened
from swarm.run.stop import Stop
from swarm.run.upload import upload
from swarm.sandbox.server import Running
from tests.support.collector import Collector
from tests.support.processes import command, group_is_gone, until
from tests.support.workspace import PASSWORD, USER, Workspace, ended, packets, rows


def held(workspace: Workspace) -> list[str]:
    """Return the packets that the sandbox of a workspace holds, in order of arrival."""
    store = workspace.state / "sandbox" / "packets.sqlite"
    with sqlite3.connect(store) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        (table,) = [name for (name,) in tables if not name.startswith("sqlite")]
        found = database.execute(f"SELECT * FROM {table}").fetchall()
    database.close()
    return [cell for row in found for cell in row if str(cell).startswith("{")]


@pytest.mark.measured
def test_a_rehearsal_says_what_it_holds_and_where(workspace: Workspace) -> None:
    """The sandbox stores every row; a second run reports that there is nothing new."""
    config = workspace.ini("sandbox", {"m": workspace.csv("m.csv", rows(12))})
    first = workspace.run(config)
    store = workspace.state / "sandbox" / "packets.sqlite"
    assert (0, True) == (first.code, f"The sandbox holds 12 packets, in {store}" in first.out)
    assert len(held(workspace)) == 12
    second = workspace.run(config)
    assert (0, True) == (second.code, "Nothing new: 12 rows" in second.out)
    assert "The sandbox holds 12 packets" in second.out


def test_a_rehearsal_can_be_restarted(workspace: Workspace) -> None:
    """The sandbox accepts --restart, although the rows are not newer."""
    config = workspace.ini("sandbox", {"m": workspace.csv("m.csv", rows(5))})
    assert workspace.run(config).code == 0
    again = workspace.run(config, "--restart", "--json").balanced()
    assert (0, 5) == (again.code, again.meters["m"]["sent"])


def test_a_rehearsal_restarted_and_interrupted_continues(workspace: Workspace) -> None:
    """The store deletes the chosen stream with its checkpoint; a plain run then sends the rest."""
    lines = rows(150)
    meters = {name: workspace.csv(f"{name}.csv", lines) for name in "ab"}
    config = workspace.ini("sandbox", meters)
    assert workspace.run(config).code == 0
    short = ("--rate-limit", "20", "--max-duration", "4s")
    cut = workspace.run(config, "--restart", "-m", "a", *short)
    assert (5, True) == (cut.code, "without --restart" in cut.out), cut.err
    assert 150 < len(held(workspace)) < 300
    done = workspace.run(config, "--json").balanced()
    assert (0, "yes") == (done.code, done.meters["a"]["verified"]), done.err
    kept = [json.loads(text) for text in held(workspace)]
    assert [*packets("b", lines), *packets("a", lines)] == kept


def test_a_rehearsal_killed_while_it_is_restarted_asks(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint is deleted first, so that no row counts as sent that the store lacks."""
    lines = rows(5)
    config = workspace.ini("sandbox", {"m": workspace.csv("m.csv", lines)})
    assert workspace.run(config).code == 0

    class Killed(BaseException):
        """Raised where the process is killed."""

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(Running, "forget", killed)
    settings = load(config, {"restart": True})
    with pytest.raises(Killed):
        upload(settings, SilentProgress(), Stop(), opened)
    asked = workspace.run(config)
    assert (3, True) == (asked.code, "there is no checkpoint" in asked.err)
    assert workspace.run(config, "--restart").code == 0
    assert packets("m", lines) == [json.loads(text) for text in held(workspace)]


def test_a_rehearsal_takes_late_rows(workspace: Workspace) -> None:
    """The sandbox accepts late rows with --late send."""
    lines = rows(5)
    config = workspace.ini("sandbox", {"m": workspace.csv("m.csv", lines[1:])})
    assert workspace.run(config).code == 0
    workspace.csv("m.csv", lines)
    assert workspace.run(config).code == 3
    assert workspace.run(config, "--late", "send").code == 0


def test_an_interrupted_rehearsal_goes_on(workspace: Workspace) -> None:
    """After Ctrl-C, sent to the whole group as a terminal does, the next run sends the rest."""
    config = workspace.ini("sandbox", {"m": workspace.csv("m.csv", rows(4000))})
    process = workspace.start(config, "--json")
    store = workspace.state / "sandbox" / "packets.sqlite-wal"
    until(lambda: store.exists() and store.stat().st_size > 200_000)
    os.killpg(process.pid, signal.SIGINT)
    done = ended(process).balanced()
    assert done.code == 130, done.err
    assert 0 < done.meters["m"]["sent"] < 4000
    group_is_gone(process.pid)
    rest = workspace.run(config, "--json").balanced()
    assert (0, 4000) == (rest.code, rest.meters["m"]["sent"] + rest.meters["m"]["resumed"])
    assert len(held(workspace)) == 4000


def test_a_sandbox_that_is_killed_costs_no_report(workspace: Workspace) -> None:
    """The run ends soon, as if interrupted, and reports that the sandbox has ended."""
    config = workspace.ini("sandbox", {"m": workspace.csv("m.csv", rows(4000))})
    process = workspace.start(config, "--rate-limit", "500")
    store = workspace.state / "sandbox" / "packets.sqlite-wal"
    until(lambda: store.exists() and store.stat().st_size > 20_000)
    os.kill(sandbox_of(process.pid), signal.SIGKILL)
    killed = time.monotonic()
    done = ended(process)
    assert time.monotonic() - killed < 20
    assert (5, True) == (done.code, "The sandbox ended during the run" in done.out), done.err
    assert "m: stopped: the sandbox has ended; run the same command again to continue" in done.err
    assert "a bug" not in done.err
    group_is_gone(process.pid)


def sandbox_of(pid: int) -> int:
    """Return the PID of the sandbox that a process has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    (found,) = [child for child in map(int, text.split()) if b"swarm.sandbox" in command(child)]
    return found


def test_swarm_sandbox_runs_in_the_foreground(workspace: Workspace, tmp_path: Path) -> None:
    """``swarm sandbox`` is a collector until it is stopped; an upload to it works."""
    store = tmp_path / "s.sqlite"
    server = workspace.start("sandbox", "--port", "0", "--store", store)
    assert server.stderr is not None
    line = server.stderr.readline()
    url = next(word for word in line.split() if word.startswith("http"))
    config = workspace.ini(url, {"m": workspace.csv("m.csv", rows(4))})
    assert workspace.run(config).code == 0
    server.send_signal(signal.SIGINT)
    assert ended(server).code in {0, 130}
    assert store.exists()


def test_a_wrong_password_can_be_rehearsed(workspace: Workspace) -> None:
    """With ``--user`` the sandbox accepts only that user with the variable's password."""
    options = ("--port", "0", "--store", workspace.folder / "s.sqlite", "--user", USER)
    server = workspace.start("sandbox", *options, env={"SWARM_SANDBOX_PASSWORD": PASSWORD})
    assert server.stderr is not None
    line = server.stderr.readline()
    assert f"(user {USER})" in line
    url = next(word for word in line.split() if word.startswith("http"))
    config = workspace.ini(url, {"m": workspace.csv("m.csv", rows(4))})
    text = config.read_text()
    config.write_text(text.replace(PASSWORD, "wrong"))
    done = workspace.run(config)
    assert (4, True) == (done.code, "the credentials are not accepted" in done.err)
    config.write_text(text)
    assert workspace.run(config).code == 0
    server.send_signal(signal.SIGINT)
    assert ended(server).code in {0, 130}


def test_the_sandbox_without_its_users_password(workspace: Workspace) -> None:
    """One line names the variable, and the option for another variable."""
    done = workspace.run("sandbox", "--port", "0", "--user", "acme", "--password-env", "NOWHERE")
    assert done.code == 2
    assert "variable NOWHERE is not set" in done.err
    assert "--password-env" in done.err
    assert workspace.run("sandbox", "--user", "a:b").code == 2


@pytest.mark.parametrize("extra", ["starlette", "uvicorn"])
def test_without_its_extra_the_sandbox_says_what_to_install(
    workspace: Workspace, extra: str
) -> None:
    """Without the sandbox extra there is one line, and exit code 2."""
    env = workspace.first(f"import sys\nsys.modules[{extra!r}] = None\n")
    config = workspace.ini("sandbox", {"m": workspace.csv("m.csv", rows(4))})
    done = workspace.run(config, env=env)
    assert (2, True) == (
        done.code,
        "'jinja2>=3.1' 'starlette>=0.40' 'uvi" in done.err,
    )


def test_without_pycurl_requests_does_the_work(workspace: Workspace, collector: Collector) -> None:
    """Without the fast extra, ``auto`` uses requests, and ``curl`` says what to install."""
    env = workspace.first("import sys\nsys.modules['pycurl'] = None\n")
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(4))})
    assert workspace.run(config, env=env).code == 0
    assert packets("m", rows(4)) == collector.packets("m")
    done = workspace.run(config, "--transport", "curl", env=env)
    assert (2, True) == (
        done.code,
        "pip install" in done.err and "'greenlet>=3' 'pycurl" in done.err,
    )
