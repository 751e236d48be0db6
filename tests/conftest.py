"""Fixtures for all tests."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import settings

from swarm.cli.log import LOG, SCREEN, set_up, write_stderr
from tests.support import tracing
from tests.support.collector import Collector
from tests.support.workspace import Workspace

_NOBODY = 65534

tracing.harden()

# A busy machine must not fail a test.
settings.register_profile("swarm", deadline=None)
settings.load_profile("swarm")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Record the tests that were skipped."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session for skipped tests if SKIPPED_TESTS=fail: set it where none may be."""
    is_worker = hasattr(session.config, "workerinput")
    if _skipped and not is_worker and os.environ.get("SKIPPED_TESTS") == "fail":
        print(f"\nskipped, and SKIPPED_TESTS=fail: {', '.join(_skipped)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


_skipped: list[str] = []


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Show why a test was tried again: it fails too seldom to be seen otherwise."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.section(f"tried again: {report.nodeid}")
        terminalreporter.line(report.longreprtext)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the machine's own variables and state out of the tests."""
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    for name in (*proxies, "NO_COLOR", "SSLKEYLOGFILE", "SWARM_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg-state"))


@pytest.fixture
def workspace(tmp_path: Path, request: pytest.FixtureRequest) -> Workspace:
    """Return a folder to run the command in; the marker ``measured`` adds coverage of its runs."""
    is_measured = request.node.get_closest_marker("measured") is not None
    return Workspace(tmp_path, is_measured=is_measured)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Return a collector that stores what it receives."""
    with Collector() as server:
        yield server


@pytest.fixture
def locked_folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that this process may not write in, even if it runs as root."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(_NOBODY)
    yield folder
    if is_root:
        os.seteuid(0)
    folder.chmod(0o700)


@pytest.fixture
def own_log() -> Iterator[None]:
    """Let a test in this process log as a run does, and restore the logging afterwards."""
    yield
    set_up()
    LOG.handlers.clear()
    LOG.setLevel(logging.NOTSET)
    SCREEN.write = write_stderr
