"""The command line as its users see it: real processes, real terminals, real pipes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from swarm import __main__ as command
from swarm.config.options import OPTIONS
from swarm.errors import StateError
from swarm.run.stop import EndNow
from swarm.version import VERSION
from tests.support.collector import Collector
from tests.support.terminal import Terminal
from tests.support.workspace import Finished, Workspace, ended, packets, rows

pytestmark = pytest.mark.usefixtures("own_log")

HEAVY = {
    *("requests", "urllib3", "pycurl", "certifi", "http.client", "ssl", "sqlite3", "tqdm"),
    *("starlette", "uvicorn", "multiprocessing", "asyncio", "logging", "platformdirs"),
}


def imports(*arguments: str) -> set[str]:
    """Return the names of all modules that a command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
        # Coverage would add its own imports.
        env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "import swarm.cli.main"],
        ["-m", "swarm", "--help"],
        ["-m", "swarm", "--version"],
        ["-m", "swarm", "upload", "--help"],
    ],
)
def test_help_is_quick(arguments: list[str]) -> None:
    """Help and version load no HTTP library, no pool and no log, so that they are quick."""
    found = imports(*arguments)
    assert ("swarm.cli.main", set()) == (
        "swarm.cli.main" if "swarm.cli.main" in found else "",
        HEAVY & found,
    )


def test_the_help_names_every_option(workspace: Workspace) -> None:
    """The command's --help names the subcommands, that of upload every option."""
    general = workspace.run("--help")
    assert (0, "") == (general.code, general.err)
    assert all(name in general.out for name in ("upload", "check", "sandbox", "--version"))
    upload = workspace.run("upload", "-h")
    assert (0, "") == (upload.code, upload.err)
    flags = [flag for option in OPTIONS for flag in option.flags]
    words = set(re.split(r"[\s,]+", upload.out))
    assert set() == {*flags, "--meter", "-m", "--restart", "--adopt"} - words
    assert "password" not in upload.out


def test_the_version(workspace: Workspace) -> None:
    """--version prints the version on stdout."""
    done = workspace.run("--version")
    assert (0, f"swarm, version {VERSION}\n", "") == (done.code, done.out, done.err)


def test_no_arguments_is_a_question_of_usage(workspace: Workspace) -> None:
    """Without arguments the help is printed on stderr, with exit 2: nothing was done."""
    done = workspace.run()
    assert (2, "") == (done.code, done.out)
    assert "Usage: swarm" in done.err


@pytest.mark.parametrize(
    "arguments",
    [["--colour", "c.ini"], ["c.ini", "--colour"], ["upload"], ["check"], ["sandbox", "--port=x"]],
)
def test_wrong_usage_is_exit_2(workspace: Workspace, arguments: list[str]) -> None:
    """An unknown option, a missing argument or an invalid value gives exit 2 and a message."""
    done = workspace.run(*arguments)
    assert (2, "", True) == (done.code, done.out, "Error: " in done.err)
    assert "Traceback" not in done.err


@pytest.mark.parametrize("arguments", [["none.ini"], ["upload", "none.ini"], ["check", "none.ini"]])
def test_a_missing_ini_is_one_line(workspace: Workspace, arguments: list[str]) -> None:
    """A missing INI gives exit 2 and one line that names it."""
    done = workspace.run(*arguments)
    assert (2, "", 1) == (done.code, done.out, len(done.err.splitlines()))
    assert "none.ini" in done.err


def test_nothing_ever_prompts(workspace: Workspace, collector: Collector) -> None:
    """A run does not read stdin: it completes while stdin is open and silent."""
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(2))})
    ours, theirs = os.pipe()
    done = subprocess.run(
        [sys.executable, "-m", "swarm", str(config)],
        stdin=ours,
        capture_output=True,
        timeout=50,
        check=False,
        start_new_session=True,
    )
    os.close(ours)
    os.close(theirs)
    assert (0, packets("m", rows(2))) == (done.returncode, collector.packets("m"))


# Options


def given(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, Any]:
    """Return the options that the command line passes on, from flags and variables."""
    passed: dict[str, Any] = {}

    def load(_path: Path, options: Mapping[str, Any], *, secrets: bool) -> None:
        passed.update(options)
        raise StateError(f"secrets: {secrets}")

    monkeypatch.setattr("swarm.config.load.load", load)
    assert run_here(monkeypatch, *arguments) == 7
    return passed


def run_here(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command in this process; return its exit status."""
    monkeypatch.setattr(sys, "argv", ["swarm", *arguments])
    with pytest.raises(SystemExit) as caught:
        command.main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize(
    ("arguments", "env", "expected"),
    [
        ([], {}, {}),
        (["--settle", "0s"], {}, {"settle": 0.0}),
        (["--since", "1970-01-01"], {}, {"since": 0}),
        (["-k", "--json", "-q"], {}, {"keep_going": True, "json": True, "quiet": True}),
        ([], {"SWARM_KEEP_GOING": "no", "SWARM_SETTLE": "0s"}, {"keep_going": False, "settle": 0}),
        (["--timeout", "5s"], {"SWARM_TIMEOUT": "9s"}, {"timeout": 5.0}),
        (["-m", "a", "--meter", "b"], {}, {"meters": ("a", "b")}),
        (["--restart", "--adopt"], {}, {"restart": True, "adopt": True}),
        (["-v", "-v"], {}, {"verbose": 2}),
        (["-vv"], {}, {"verbose": 2}),
        ([], {"SWARM_VERBOSE": "2"}, {"verbose": 2}),
        ([], {"SWARM_VERBOSE": "0"}, {"verbose": 0}),
    ],
)
def test_only_what_was_given_is_handed_on(
    monkeypatch: pytest.MonkeyPatch,
    arguments: Sequence[str],
    env: Mapping[str, str],
    expected: Mapping[str, Any],
) -> None:
    """Flags and variables override the INI even with "no" or zero; others are not passed on."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert expected == given(monkeypatch, *arguments, "c.ini")


@pytest.mark.parametrize(
    ("name", "value"), [("SWARM_VERBOSE", "much"), ("SWARM_VERBOSE", "-1"), ("SWARM_JSON", "maybe")]
)
def test_a_wrong_variable_is_named(workspace: Workspace, name: str, value: str) -> None:
    """A variable with an invalid value gives exit 2 and is named."""
    done = workspace.run("c.ini", env={name: value})
    assert (2, True) == (done.code, name in done.err)


# Errors


@pytest.mark.parametrize(
    ("arguments", "env", "shows"),
    [
        ([], {}, False),
        (["-v"], {}, False),
        (["-vv"], {}, True),
        (["-v", "-v"], {}, True),
        ([], {"SWARM_VERBOSE": "2"}, True),
    ],
)
def test_a_bug_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    env: dict[str, str],
    shows: bool,
) -> None:
    """An unexpected error gives exit 1 and one line; the traceback is shown only with -vv."""

    def load(*_: object, **__: object) -> None:
        raise KeyError("foreseen by\nnobody")

    monkeypatch.setattr("swarm.config.load.load", load)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert run_here(monkeypatch, *arguments, "c.ini") == 1
    out = capsys.readouterr()
    assert ("", shows) == (out.out, "Traceback" in out.err)
    last = out.err.splitlines()[-1]
    assert last == r"swarm: a bug: KeyError: 'foreseen by\nnobody'; -vv shows where"
    assert shows or out.err.count("\n") == 1


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make every upload raise an error."""

    def upload(*_: object) -> None:
        raise error

    monkeypatch.setattr("swarm.run.upload.upload", upload)


def test_the_ini_may_ask_for_tracebacks(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`verbose = 2` in the INI has the effect of -vv on errors after the INI was read."""
    failing(monkeypatch, ValueError("unforeseen"))
    path = workspace.csv("m.csv", rows(1))
    for verbose in ("1", "2"):
        config = workspace.ini("local", {"m": path}, upload={"verbose": verbose})
        assert run_here(monkeypatch, str(config)) == 1
        assert (verbose == "2") == ("Traceback" in capsys.readouterr().err)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (StateError("m.ledger: the checkpoint is damaged"), 7, "m.ledger: the checkpoint is dam"),
        (EndNow(signal.SIGINT), 130, "ended at once; run the same command again to continue"),
        (EndNow(signal.SIGTERM), 143, "ended at once; run the same command again to continue"),
    ],
)
def test_an_error_stands_in_the_log_file_too(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    said: str,
) -> None:
    """An error that ends a run is on stderr, in the log file, and in the exit code."""
    failing(monkeypatch, error)
    log = workspace.folder / "swarm.log"
    path = workspace.csv("m.csv", rows(1))
    config = workspace.ini("local", {"m": path}, swarm={"log_file": str(log)})
    assert code == run_here(monkeypatch, str(config))
    assert f"ERROR {said}" in log.read_text().splitlines()[-1]


def test_ctrl_c_before_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C while the INI is read gives exit 130 without a traceback."""

    def load(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("swarm.config.load.load", load)
    assert run_here(monkeypatch, "c.ini") == 130
    assert "" == capsys.readouterr().err.strip()


@pytest.mark.parametrize("arguments", [["upload"], ["check"], ["--dry-run"]])
def test_ctrl_c_while_checking(workspace: Workspace, arguments: list[str]) -> None:
    """SIGINT during a check ends the run soon, with exit 130 and without a traceback."""
    path = workspace.csv("m.csv", rows(1000))
    config = workspace.ini("local", {f"m{n}": path for n in range(3000)})
    process = workspace.start(*arguments, config, "--progress", "plain", "-v", "--processes", "1")
    assert process.stderr is not None
    while " checked" not in process.stderr.readline():
        pass
    start = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    done = ended(process)
    assert (130, True) == (done.code, time.monotonic() - start < 5)
    assert "stopping: SIGINT received; nothing was sent\n" in done.err
    assert "Traceback" not in done.err


# Standard output


def many(workspace: Workspace, collector: str = "local") -> Path:
    """Return an INI whose check prints more than a pipe holds."""
    path = workspace.csv("m.csv", rows(1))
    return workspace.ini(collector, {f"meter-{n:04}": path for n in range(600)})


@pytest.mark.parametrize("is_json", [True, False])
def test_a_reader_that_leaves_early_is_no_error(workspace: Workspace, is_json: bool) -> None:
    """`swarm check ... | head -c 10` ends quietly, with the exit code of the work done."""
    line = '{ "$@"; echo "exit $?" >&2; } | head -c 10'
    options = ["--progress", "none", *(["--json"] if is_json else [])]
    done = shell(workspace, line, "check", str(many(workspace)), *options)
    assert (10, "exit 0\n") == (len(done.out), done.err)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["check"], ["check", "--json"]])
def test_no_reader_at_all_is_no_error(workspace: Workspace, arguments: list[str]) -> None:
    """If stdout has no reader from the start, the command works as usual and prints no error."""
    if "check" in arguments:
        config = workspace.ini("local", {"m": workspace.csv("m.csv", rows(1))})
        arguments = [*arguments, "--progress", "none", str(config)]
    ours, theirs = os.pipe()
    os.close(ours)
    assert Finished(0, "", "") == shell(workspace, 'exec "$@"', *arguments, stdout=theirs)
    os.close(theirs)


def shell(
    workspace: Workspace, line: str, *arguments: str, stdout: int = subprocess.PIPE
) -> Finished:
    """Run swarm through a line of shell, in which it is ``$@``."""
    done = subprocess.run(
        ["/bin/sh", "-c", line, "sh", sys.executable, "-m", "swarm", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=workspace.folder,
        check=False,
        timeout=50,
    )
    return Finished(done.returncode, done.stdout or "", done.stderr)


def test_a_misspelt_command_is_told(workspace: Workspace) -> None:
    """A misspelt command gets a suggestion; an existing file of that name is read as an INI."""
    for words in (["chek"], ["chek", "x.ini"], ["Check", "x.ini"]):
        done = workspace.run(*words)
        assert (2, True) == (done.code, "; did you mean 'check'?" in done.err)
    assert "can't be read" in workspace.run("meters").err
    (workspace.folder / "chek").write_text("x")
    assert "chek:1: a line before the first [section]" in workspace.run("chek").err


def test_a_csv_in_the_place_of_an_ini_is_told(workspace: Workspace) -> None:
    """A CSV given as an INI is one line of error, with the command that creates an INI for it."""
    path = workspace.csv("m.csv", rows(2))
    for words in ([], ["check"]):
        done = workspace.run(*words, path)
        command = f"swarm init {path} > meters.ini"
        message = f"{path}: this is a CSV file, but an INI is expected; create one: {command}\n"
        assert (2, message) == (done.code, done.err)
    path.write_text("\n [swarm]\n")
    assert "environment: missing" in workspace.run(path).err


def test_a_glob_without_a_match_is_told(workspace: Workspace) -> None:
    """A glob that matches no file is reported as such, not as a missing file."""
    config = workspace.ini("sandbox", {"m": "data/*.csv"})
    (line,) = workspace.run("check", config, "-q").err.splitlines()
    expected = f"expected a readable CSV at {workspace.folder}/data/*.csv"
    said = f"no such file, and no file matches the pattern; {expected}"
    assert line.endswith(said)


def test_a_comment_behind_a_value_is_told(workspace: Workspace) -> None:
    """A comment after a value is reported, with the INI's problems or with the missing file."""
    hint = "comments must be on their own lines"
    config = workspace.ini("sandbox   # rehearse", {"m": "m.csv"})
    first, *rest = workspace.run("check", config).err.splitlines()
    assert (True, [f"{config}:2: {hint}"]) == ("found 'sandbox   # rehearse'" in first, rest)
    config = workspace.ini("sandbox", {"m": "m.csv   # comment"})
    (line,) = workspace.run("check", config, "-q").err.splitlines()
    assert (True, True) == ("no such file; " in line, line.endswith(f"; {hint} in an INI"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["check"], ["check", "--json"]])
def test_a_full_disk_behind_stdout_is_told(workspace: Workspace, arguments: list[str]) -> None:
    """A result that can't be written is an error: one line, no exit 0, no traceback."""
    if "check" in arguments:
        arguments = [*arguments, "--progress", "none", str(many(workspace))]
    done = shell(workspace, 'exec "$@" >/dev/full', *arguments)
    assert (1, "swarm: can't write to standard output: No space left on device\n") == (
        done.code,
        done.err,
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_trouble(
    workspace: Workspace, collector: Collector, closed: str
) -> None:
    """With stdin, stdout or stderr closed, packets arrive and no file gets its descriptor."""
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(3))})
    done = shell(workspace, f'exec "$@" {closed}', str(config))
    assert (0, "Traceback" in done.err) == (done.code, False)
    assert packets("m", rows(3)) == collector.packets("m")
    assert (">&-" in closed.replace("2>&-", "")) == (not done.out)
    again = workspace.run(config, "--json").balanced()
    assert (0, 3) == (again.code, again.report["totals"]["resumed"])


def test_a_terminal_that_knows_no_umlauts(workspace: Workspace, collector: Collector) -> None:
    """IDs that stdout can't encode are escaped in the table; JSON and packets are always UTF-8."""
    config = workspace.ini(collector.url, {"Zähler-東": workspace.csv("m.csv", rows(2))})
    env = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    table = subprocess.run(
        [sys.executable, "-m", "swarm", str(config)],
        capture_output=True,
        check=True,
        env={**os.environ, **env},
        timeout=50,
    )
    assert r"Zähler-\u6771" in table.stdout.decode("latin-1")
    assert workspace.run(config, "--json", env=env).report["meters"][0]["id"] == "Zähler-東"
    check = workspace.run("check", config, "--json", env=env)
    assert json.loads(check.out)["meters"][0]["id"] == "Zähler-東"
    first = workspace.run(config, "--dry-run", env=env).out.splitlines()[0]
    assert json.loads(first)["id"] == "Zähler-東"


# Progress and messages


@pytest.fixture
def with_notices(workspace: Workspace, collector: Collector) -> Path:
    """Return an INI for a run with a notice for each meter."""
    lines = rows(60)
    meters = {f"m{n}": workspace.csv(f"m{n}.csv", [*lines, lines[-1]]) for n in range(6)}
    return workspace.ini(
        collector.url, meters, swarm={"log_file": "swarm.log"}, upload={"processes": "1"}
    )


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Return a terminal of 20 lines, wide enough for every notice."""
    with Terminal(20, 300) as terminal:
        yield terminal


def run_in(
    terminal: Terminal, workspace: Workspace, *arguments: str | Path, **env: str
) -> Finished:
    """Run the command with its stderr on a terminal and its stdout in a pipe."""
    done = subprocess.run(
        [sys.executable, "-m", "swarm", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal.fileno(),
        text=True,
        encoding="utf-8",
        cwd=workspace.folder,
        env={**os.environ, "TERM": "xterm", **env},
        check=False,
        timeout=50,
    )
    terminal.settle()
    return Finished(done.returncode, done.stdout, terminal.text)


def test_bars_on_a_terminal(terminal: Terminal, workspace: Workspace, with_notices: Path) -> None:
    """A terminal shows bars with the notices above them, and at the end only the total bar."""
    done = run_in(terminal, workspace, with_notices)
    assert (0, True) == (done.code, "packets sent in" in done.out)
    *above, total = terminal.screen.lines
    assert ["notice"] * 6 == [line.partition(":")[0] for line in above]
    assert re.fullmatch(r"total +: 100%\|█+\| 360/360 \[.*rows/s\]", total)
    assert "\x1b" not in done.out


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["--progress", "plain"], {}),
        ([], {"TERM": "dumb"}),
        ([], {"SWARM_PROGRESS": "plain"}),
        (["--progress", "none"], {}),
        (["-q"], {}),
    ],
)
def test_a_terminal_without_bars(
    terminal: Terminal,
    workspace: Workspace,
    with_notices: Path,
    arguments: list[str],
    env: dict[str, str],
) -> None:
    """Without bars, no control character is written to a terminal."""
    done = run_in(terminal, workspace, with_notices, *arguments, **env)
    assert (0, set()) == (done.code, set(re.findall(r"[^\x20-\x7e\r\n]", done.err)))
    assert ("-q" in arguments) == ("notice: " not in done.err)
    is_silent = "-q" in arguments or "none" in arguments
    assert is_silent == ("sending 360 rows of 6 streams" not in done.err)
    assert ("-q" in arguments) == (done.err == "")


def test_no_colour_anywhere(terminal: Terminal, workspace: Workspace, with_notices: Path) -> None:
    """With NO_COLOR there are at most cursor movements, and no colour."""
    done = run_in(terminal, workspace, with_notices, NO_COLOR="1")
    assert {"\x1b[A"} >= set(re.findall(r"\x1b\[[^A-Za-z]*[A-Za-z]", done.err))


@pytest.mark.parametrize("verbose", ["", "-v", "-vv"])
def test_a_file_gets_lines(workspace: Workspace, with_notices: Path, verbose: str) -> None:
    """If stderr is not a terminal, plain lines without control characters are written."""
    done = workspace.run(with_notices, *([verbose] if verbose else []))
    assert (0, set()) == (done.code, set(re.findall(r"[^\x20-\x7e\n]", done.err)))
    lines = done.err.splitlines()
    assert "checking 6 meters" in lines[0 if not verbose else 1]
    assert 6 == sum(line.startswith("notice: ") for line in lines)
    assert (6 if verbose else 0) == sum(": done, 60 sent" in line for line in lines)
    assert any(line.startswith("360 of 360 rows (100 %)") for line in lines)


def test_the_log_file_tells_the_run(workspace: Workspace, with_notices: Path) -> None:
    """The log file has every notice, the end of each stream, the totals and the exit code."""
    assert workspace.run(with_notices, "-q").code == 0
    text = (workspace.folder / "swarm.log").read_text()
    assert (6, 6) == (text.count("NOTICE notice: "), text.count(": done, 60 sent, 1 filtered"))
    lines = [line.partition("] ")[2] for line in text.splitlines()]
    assert f"INFO swarm {VERSION}: {with_notices}" == lines[0]
    assert ("INFO exit 0", True) == (lines[-1], lines[-3].startswith("INFO 360 packets sent in"))
    assert "INFO 6 connections: one for each stream" == lines[-2]
    assert workspace.run(with_notices, "--dry-run").code == 0
    assert text == (workspace.folder / "swarm.log").read_text()
    assert workspace.run("check", with_notices).code == 0
    assert len(text) < len((workspace.folder / "swarm.log").read_text())


def test_a_log_file_that_cannot_be_opened(workspace: Workspace, collector: Collector) -> None:
    """A log file without a folder gives exit 2 and one line, and nothing is sent."""
    path = workspace.csv("m.csv", rows(1))
    config = workspace.ini(collector.url, {"m": path}, swarm={"log_file": "none/swarm.log"})
    done = workspace.run(config)
    assert (2, "", 1) == (done.code, done.out, len(done.err.splitlines()))
    assert ("log_file" in done.err, []) == (True, collector.requests)


def test_quiet_says_nothing_where_all_is_well(workspace: Workspace, collector: Collector) -> None:
    """With -q and exit code 0, every command prints only the JSON; else problems and the table."""
    good = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(2))})
    for name in ("upload", "check", "status"):
        done = workspace.run(name, good, "-q")
        assert (0, "", "") == (done.code, done.out, done.err)
        assert workspace.run(name, good, "-q", "--json").report["meters"]
    assert '"value"' in workspace.run("upload", good, "-q", "--dry-run").out
    workspace.csv("m.csv", ["x,1"])
    for name in ("upload", "check"):
        done = workspace.run(name, good, "-q")
        assert (3, True, True) == (done.code, "m.csv:1:1" in done.err, done.out.startswith("meter"))


@pytest.mark.parametrize("asked", [["--json"], []])
def test_wrong_settings_as_json(workspace: Workspace, asked: list[str]) -> None:
    """With --json or SWARM_JSON, an error of usage or of the INI is also an object on stdout."""
    config = workspace.ini(
        "sandbox", {"m": workspace.csv("m.csv", rows(1))}, upload={"settle": "soon"}
    )
    env = {} if asked else {"SWARM_JSON": "yes"}
    for arguments in (["check"], ["upload"], ["upload", "--wrong"]):
        done = workspace.run(*arguments, config, *asked, env=env)
        told = json.loads(done.out)
        assert (2, 2, ["exit_code", "problems", "swarm"]) == (
            done.code,
            told["exit_code"],
            sorted(told),
        )
        assert told["problems"]
        assert all(problem in done.err for problem in told["problems"])
    assert "" == workspace.run("check", config).out


def test_quiet_hides_warnings_of_the_ini(workspace: Workspace, collector: Collector) -> None:
    """An INI that others can read causes a warning, unless -q is given."""
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(1))})
    config.chmod(0o644)
    assert "warning: " in workspace.run("check", config).err
    assert "" == workspace.run("check", config, "-q").err


def test_a_check_tells_gaps_and_how_long_sending_takes(workspace: Workspace) -> None:
    """The check uses the given rate, else the INI's; notices about the data are on stderr."""
    lines = [line for at, line in enumerate(rows(41)) if at != 7]
    falling = [f"2023-01-01 00:0{at}:00,{value}" for at, value in enumerate((5, 7, 6))]
    meters = {"m": workspace.csv("m.csv", lines), "n": workspace.csv("n.csv", falling)}
    rest = "\n[meter:n]\ncolumns = pC_1\n"
    config = workspace.ini("sandbox", meters, upload={"rate_limit": "0.5"}, rest=rest)
    done = workspace.run("check", config)
    assert (0, True) == (done.code, "notice: n: pC_1 is cumulative energy" in done.err)
    assert "m: 1 gap, 1 row missing" in done.out.splitlines()
    assert done.out.endswith("\n43 packets take 1 min 26 s at 0.5 per second\n")
    told = workspace.run("check", config, "--rate", "10", "--json").report
    assert (10.0, 4.3) == (told["rate"], told["upload_seconds"])
    assert {
        "from": "2023-01-01T01:30:00.000+00:00",
        "to": "2023-01-01T02:00:00.000+00:00",
        "missing": 1,
    } == told["meters"][0]["gaps"][0]
    wrong = workspace.run("check", config, "--rate", "fast")
    assert (2, True) == (wrong.code, "found 'fast', expected a number" in wrong.err)
