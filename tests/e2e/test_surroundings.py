"""The machine around a run: its home, current folder, limits, clock and terminal."""

import gzip
import json
import os
import pty
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.collector import Collector
from tests.support.processes import until
from tests.support.workspace import Finished, Workspace, ended, packets, rows

#: What a process sees in a container whose user is in no passwd file.
_NO_HOME = """
import os, pwd
for name in ("HOME", "XDG_STATE_HOME"):
    os.environ.pop(name, None)
def unknown(number):
    raise KeyError(f"getpwuid(): uid not found: {number}")
pwd.getpwuid = unknown
"""


def under(workspace: Workspace, line: str, *arguments: str | Path) -> Finished:
    """Run a line of bash in which ``"$@"`` is the command with its arguments."""
    process = subprocess.Popen(
        ["bash", "-c", line, "bash", sys.executable, "-m", "swarm", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=workspace.folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        start_new_session=True,
    )
    return ended(process)


def without_state(workspace: Workspace, url: str) -> Path:
    """Return an INI without a state folder."""
    config = workspace.ini(url, {"a": workspace.csv("a.csv", rows(3))})
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if not line.startswith("state")))
    return config


@pytest.mark.parametrize("command", ["upload", "check", "status"])
def test_no_home_asks_for_a_state_folder(
    workspace: Workspace, collector: Collector, command: str
) -> None:
    """Without a home the state folder must be named: one line says so, and nothing is sent."""
    done = workspace.run(
        command, without_state(workspace, collector.url), env=workspace.first(_NO_HOME)
    )
    (line,) = done.err.splitlines()
    assert (2, []) == (done.code, collector.requests)
    assert "[swarm] state: missing, and there is no home folder" in line


def test_no_home_is_no_trouble_where_the_state_is_named(
    workspace: Workspace, collector: Collector
) -> None:
    """With a state folder, nothing else needs a home."""
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3))})
    assert workspace.run(config, env=workspace.first(_NO_HOME)).code == 0


def test_no_home_and_an_ini_of_the_original_app(workspace: Workspace, collector: Collector) -> None:
    """An INI of the app can't name the folder, so the message suggests a variable."""
    config = workspace.folder / "old.ini"
    config.write_text(
        f"[Web DC]\nURL = {collector.url}\nUsername = acme\nPassword = s3cr\n[General]\n"
        f"Filename = {workspace.csv('a.csv', rows(3))}\nChannelType = other\nChannelReference = a\n"
    )
    env = workspace.first(_NO_HOME)
    done = workspace.run(config, env=env)
    assert (2, True) == (done.code, "set the variable XDG_STATE_HOME" in done.err)


def test_no_home_for_the_sandbox(workspace: Workspace) -> None:
    """The store can be named with --store."""
    done = workspace.run("sandbox", "--port", "0", env=workspace.first(_NO_HOME))
    assert (2, True) == (done.code, "give a file with --store" in done.err)


# Current folder


def from_a_removed_folder(workspace: Workspace, *arguments: str | Path) -> Finished:
    """Run the command in a folder that is removed before it starts."""
    (workspace.folder / "gone").mkdir()
    return under(workspace, 'cd gone && rmdir "$PWD" && exec "$@"', *arguments)


def test_a_current_folder_that_was_removed_is_no_trouble(
    workspace: Workspace, collector: Collector
) -> None:
    """A run needs nothing from the current folder."""
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3))})
    done = from_a_removed_folder(workspace, config)
    assert (0, False) == (done.code, "Traceback" in done.err)
    assert packets("a", rows(3)) == collector.packets("a")


def test_a_rehearsal_from_a_folder_that_was_removed(workspace: Workspace) -> None:
    """The sandbox, a separate process, starts as well."""
    config = workspace.ini("sandbox", {"a": workspace.csv("a.csv", rows(3))})
    assert from_a_removed_folder(workspace, config).code == 0


@pytest.mark.parametrize("name", ["config.ini", "old.ini"])
def test_a_relative_path_in_a_removed_folder_is_reported(workspace: Workspace, name: str) -> None:
    """A relative INI is not found; relative paths in the app's INI have no base folder."""
    config = workspace.folder / "old.ini"
    config.write_text(
        "[Web DC]\nURL = http://127.0.0.1:9/\nUsername = acme\nPassword = s3cr\n[General]\n"
        "Filename = a.csv\nChannelType = other\nChannelReference = a\n"
    )
    config.chmod(0o600)
    done = from_a_removed_folder(workspace, config if name == "old.ini" else name)
    (line,) = done.err.splitlines()
    assert done.code == 2
    assert ("current folder, which was removed" in line) == (name == "old.ini")


# Limits


def run_limited(workspace: Workspace, files: int, *arguments: str | Path) -> Finished:
    """Run the command with a limit on the number of open files."""
    return under(workspace, f'ulimit -n {files} && exec "$@"', *arguments)


@pytest.mark.parametrize("command", ["upload", "check", "status"])
@pytest.mark.parametrize("files", [8, 12])
def test_too_few_files_is_told_as_that(
    workspace: Workspace, collector: Collector, command: str, files: int
) -> None:
    """If the limit is too low for any run, one line names it and how to raise it."""
    # A check of little data needs no more files than the interpreter.
    lines = rows(60_000 if command == "check" else 3)
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", lines)})
    done = run_limited(workspace, files, command, config)
    told = [line for line in done.err.splitlines() if "too many open files" in line]
    assert (7, 1) == (done.code, len(told))
    assert f"a process may have {files} here; raise the limit with ulimit -n" in told[0]
    assert "a bug" not in done.err
    assert "Traceback" not in done.err
    assert workspace.run(command, config).code == 0


@pytest.mark.parametrize("files", range(14, 20))
def test_a_limit_at_the_edge_is_no_bug(
    workspace: Workspace, collector: Collector, files: int
) -> None:
    """At any limit the run succeeds or names the limit (exit 7); nothing is lost."""
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3))})
    done = run_limited(workspace, files, config)
    assert done.code in {0, 7}
    assert (done.code == 7) == ("too many open files" in done.err.lower())
    assert "a bug" not in done.err
    assert workspace.run(config).code == 0
    assert packets("a", rows(3)) == collector.packets("a")


def interleaved(workspace: Workspace, count: int, *, packed: bool) -> str:
    """Write rows in turn to ``count`` files, and return the pattern that matches all of them."""
    lines = rows(count * 4)
    for number in range(count):
        text = "".join(f"{line}\n" for line in lines[number::count])
        if packed:
            (workspace.folder / f"f{number:03}.csv.gz").write_bytes(gzip.compress(text.encode()))
        else:
            workspace.csv(f"f{number:03}.csv", text)
    return "f*.csv.gz" if packed else "f*.csv"


def test_more_files_are_merged_than_may_be_open(workspace: Workspace, collector: Collector) -> None:
    """Files may outnumber the limit, as each is open only while a block of it is read."""
    config = workspace.ini(collector.url, {"a": interleaved(workspace, 80, packed=False)})
    assert run_limited(workspace, 40, config).code == 0
    assert packets("a", rows(320)) == collector.packets("a")


def test_packed_files_that_can_not_all_be_open(workspace: Workspace, collector: Collector) -> None:
    """Compressed files over the limit are not reported as changed; a higher limit sends them."""
    config = workspace.ini(collector.url, {"a": interleaved(workspace, 80, packed=True)})
    done = run_limited(workspace, 40, config)
    assert (7, []) == (done.code, collector.packets("a"))
    assert "too many open files: a process may have 40 here" in done.err
    assert "changed" not in done.err
    assert workspace.run(config).code == 0
    assert packets("a", rows(320)) == collector.packets("a")


# Clock


@pytest.mark.parametrize("leap", [-3600, 3600])
def test_a_clock_that_is_set_during_a_run(workspace: Workspace, leap: int) -> None:
    """The duration is independent of the wall clock, and the run does not end before its start."""
    mark = workspace.folder / "set"
    code = (
        "import os, time\n"
        "now = time.time\n"
        f"time.time = lambda: now() + ({leap} if os.path.exists({str(mark)!r}) else 0)\n"
    )
    with Collector(delay=0.02) as collector:
        config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(100))})
        process = workspace.start(config, "--json", env=workspace.first(code))
        until(lambda: len(collector.bodies("a")) > 10)
        mark.touch()
        report = ended(process).report
    assert 1.5 < report["seconds"] < 60
    started, finished = map(datetime.fromisoformat, (report["started"], report["finished"]))
    between = (finished - started).total_seconds()
    assert max(leap, 0) + report["seconds"] - 0.1 <= between <= max(leap, 0) + 60


# Terminal


@pytest.mark.parametrize("options", [[], ["--json"], ["--progress", "plain", "-vv"]])
def test_a_terminal_that_is_gone_takes_no_exit_code_along(
    workspace: Workspace, options: list[str]
) -> None:
    """If nohup keeps a run alive, its exit code is that of the upload, without a terminal."""
    with Collector(delay=0.01) as collector:
        config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(100))})
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "swarm"]
        process = subprocess.Popen(
            ["sh", "-c", 'trap "" HUP && exec "$@"', "sh", *command, str(config), *options],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
        os.close(theirs)
        until(lambda: len(collector.bodies("a")) > 20)
        os.close(ours)
        assert process.wait(60) == 0
        assert packets("a", rows(100)) == collector.packets("a")


# INIs that are not regular files


@pytest.mark.parametrize(
    "command",
    [
        '"$@" --json <(cat elsewhere/config.ini)',
        'cat elsewhere/config.ini | "$@" --json /dev/stdin',
        '"$@" --json /dev/stdin < elsewhere/config.ini',
        '"$@" --json /proc/self/fd/0 < elsewhere/config.ini',
    ],
)
def test_an_ini_from_a_pipe_is_relative_to_the_current_folder(
    workspace: Workspace, collector: Collector, command: str
) -> None:
    """An INI from a stream has no folder, so its paths are relative to the current folder."""
    (workspace.folder / "elsewhere").mkdir()
    workspace.csv("data/a.csv", rows(3))
    workspace.ini(collector.url, {"a": "data/a.csv"}, name="elsewhere/config.ini")
    done = under(workspace, command)
    assert (0, []) == (done.code, [e for e in done.err.splitlines() if "no such file" in e])
    assert json.loads(done.out)["totals"]["sent"] == 3
    assert packets("a", rows(3)) == collector.packets("a")


def test_a_named_pipe_has_a_folder(workspace: Workspace, collector: Collector) -> None:
    """Paths in an INI that is a named pipe are relative to the folder of the pipe."""
    folder = workspace.folder / "elsewhere"
    folder.mkdir()
    workspace.csv("elsewhere/a.csv", rows(3))
    text = workspace.ini(collector.url, {"a": "a.csv"}).read_text()
    os.mkfifo(folder / "pipe.ini", 0o600)
    process = workspace.start(folder / "pipe.ini")
    (folder / "pipe.ini").write_text(text)
    assert ended(process).code == 0


# Age of a file


def test_a_last_line_of_a_file_from_the_future_is_sent(
    workspace: Workspace, collector: Collector
) -> None:
    """A last line without a newline is sent once the file has not changed for a while."""
    lines = rows(3)
    path = workspace.csv("a.csv", "\n".join(lines))
    config = workspace.ini(collector.url, {"a": path})
    ahead = time.time() + 1e6
    os.utime(path, (ahead, ahead))
    done = workspace.run(config, "--json")
    assert (0, 2) == (done.code, done.report["totals"]["sent"])
    assert "that line is left for the next run" in done.err
    time.sleep(10)
    assert workspace.run(config).code == 0
    assert packets("a", lines) == collector.packets("a")
