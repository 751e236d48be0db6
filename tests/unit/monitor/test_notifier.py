"""Notifications of ``[notify]``: real requests and real commands."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from swarm.config.notify import Notify
from swarm.config.options import Upload
from swarm.config.settings import Settings
from swarm.monitor import notifier
from swarm.monitor.notifier import Notifier

REPORT = '{"exit_code": 0, "name": "ü"}'


class Handler(BaseHTTPRequestHandler):
    """Answers with the status that the path begins with, or late."""

    seen: ClassVar[list[tuple[str, str, str]]]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.seen.append((self.command, self.path, body))
        what = self.path.split("/")[1]
        if what == "slow":
            time.sleep(5)
        self.send_response(int(what) if what.isdecimal() else 200)
        self.send_header("Location", "/200/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = _answer  # noqa: N815 - the server's names

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """Run a healthcheck; return its URL."""
    Handler.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let notifications take at most two seconds."""
    monkeypatch.setattr(notifier, "SECONDS", 2.0)


def notify(folder: Path, exit_code: int = 0, **targets: object) -> list[str]:
    """Notify of a run with this exit code; return the notices."""
    notices: list[str] = []
    settings = Settings(folder / "m.ini", "c", None, (), Upload(), folder)
    watched = Notifier(Notify(folder, **targets), settings, notices.append)  # type: ignore[arg-type]
    watched.start()
    watched.finish(exit_code, REPORT)
    return notices


def script(folder: Path, text: str) -> tuple[str, ...]:
    """Write a script; return the command that runs it."""
    path = folder / "hook.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return "./hook.sh", "a b"


@pytest.mark.parametrize("exit_code", [0, 3, 143])
def test_a_healthcheck_hears_of_start_and_end(tmp_path: Path, server: str, exit_code: int) -> None:
    """In this order; the end has the exit code in its path, and the report. A query stays."""
    assert [] == notify(tmp_path, exit_code, healthcheck=f"{server}/uuid/?create=1")
    assert [
        ("GET", "/uuid/start?create=1", ""),
        ("POST", f"/uuid/{exit_code}?create=1", REPORT),
    ] == Handler.seen


@pytest.mark.parametrize(("status", "reason"), [(404, "404 Not Found"), (302, "302 Found")])
def test_what_it_refuses_is_a_notice(tmp_path: Path, server: str, status: int, reason: str) -> None:
    """Redirects are not followed. The path of the URL, a secret, is not shown."""
    notices = notify(tmp_path, healthcheck=f"{server}/{status}/secret")
    line = f"[notify] healthcheck http://127.0.0.1: answered {reason}"
    assert [line, line] == notices
    assert 2 == len(Handler.seen)


def test_nobody_there_is_a_notice(tmp_path: Path) -> None:
    """A port that nobody listens on."""
    notices = notify(tmp_path, healthcheck="http://127.0.0.1:9/secret")
    assert ["[notify] healthcheck http://127.0.0.1: no connection"] * 2 == notices


def test_a_proxy_of_the_environment_is_not_used(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the INI says where requests go."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert [] == notify(tmp_path, healthcheck=f"{server}/uuid")


@pytest.mark.usefixtures("short")
def test_all_of_it_takes_only_so_long(tmp_path: Path, server: str) -> None:
    """A healthcheck and a command that hang; also what the command has started is ended."""
    command = script(tmp_path, "echo $$ > pid; sleep 60 & echo $! > child; wait")
    start = time.monotonic()
    notices = notify(tmp_path, healthcheck=f"{server}/slow/x", on_success=command)
    assert time.monotonic() - start < 4
    assert "[notify] on_success ./hook.sh: no end in time, stopped" == notices[-1]
    assert {"[notify] healthcheck http://127.0.0.1: no end in time, stopped"} == set(notices[:-1])
    for name in ("pid", "child"):
        assert not _is_running(int((tmp_path / name).read_text()))


def _is_running(pid: int) -> bool:
    for _ in range(50):
        with suppress(ProcessLookupError):
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat")
            if not state.exists() or ") Z " in state.read_text():
                return False
            time.sleep(0.05)
            continue
        return False
    return True


@pytest.mark.parametrize(("exit_code", "name"), [(0, "on_success"), (5, "on_failure")])
def test_a_command_gets_the_report(tmp_path: Path, exit_code: int, name: str) -> None:
    """On its standard input; exit code and INI in its environment. It runs in the INI's folder."""
    text = 'printf "%s|" "$1" "$SWARM_EXIT_CODE" "$SWARM_CONFIG" > got; cat >> got; echo noise'
    other = "on_failure" if name == "on_success" else "on_success"
    targets = {name: script(tmp_path, text), other: ("./nothing",)}
    assert [] == notify(tmp_path, exit_code, **targets)
    expected = f"a b|{exit_code}|{tmp_path}/m.ini|{REPORT}"
    assert expected == (tmp_path / "got").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("echo one; echo two >&2; exit 7", "status 7: two"),
        ("exit 1", "status 1"),
        ("kill -9 $$", "killed by signal 9"),
    ],
)
def test_a_command_that_fails_is_a_notice(tmp_path: Path, text: str, why: str) -> None:
    """With the last line of its output."""
    found = notify(tmp_path, on_success=script(tmp_path, text))
    assert [f"[notify] on_success ./hook.sh: {why}"] == found


def test_a_command_that_can_not_be_run_is_a_notice(tmp_path: Path) -> None:
    """It does not exist."""
    notices = notify(tmp_path, 4, on_failure=("/nowhere/x",))
    assert ["[notify] on_failure /nowhere/x: can't be run: No such file or directory"] == notices


def test_a_command_may_leave_the_report_unread(tmp_path: Path) -> None:
    """Even a long one; what it leaves running in the background stays."""
    command = script(tmp_path, "sleep 30 > /dev/null 2>&1 & echo $! > child")
    assert [] == notify(tmp_path, on_success=command)
    child = int((tmp_path / "child").read_text())
    os.kill(child, signal.SIGKILL)
