"""``--page`` from end to end: real processes and sockets, during a run and after it."""

import json
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.collector import Collector
from tests.support.workspace import Workspace, ended, rows


@pytest.fixture
def config(workspace: Workspace, collector: Collector) -> Path:
    """Write an INI of two meters."""
    workspace.csv("a.csv", rows(400))
    return workspace.ini(collector.url, {"a": "a.csv", "<b>": "a.csv"})


@pytest.fixture
def run(workspace: Workspace, config: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start a run of about four seconds with its page, which stays for a minute."""
    options = ("--page", "0", "--page-after", "60s", "--rate-limit", "200", "--progress", "none")
    process = workspace.start(config, *options)
    yield process
    if process.poll() is None:
        process.kill()
        process.communicate()


def address(process: "subprocess.Popen[str]") -> str:
    """Return the page's address, which is told on stderr."""
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.fullmatch(r"notice: page of this run: (http://127\.0\.0\.1:\d+/)\n", line)
    assert found, line
    return found[1]


def get(url: str, method: str = "GET", host: str | None = None) -> tuple[int, str]:
    """Return status and body of a request."""
    request = urllib.request.Request(url, method=method)
    if host:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def events(url: str) -> Iterator[dict[str, Any]]:
    """Yield the messages of a page."""
    with urllib.request.urlopen(f"{url}events", timeout=30) as answer:
        for line in answer:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


@pytest.mark.measured
def test_a_run_is_followed_to_its_end(run: "subprocess.Popen[str]") -> None:
    """Streams move, the end is told, the metrics have the counts; then Ctrl-C ends the page."""
    url = address(run)
    streams: dict[str, Any] = {}
    moved = []
    for news in events(url):
        streams.update(news["streams"])
        moved.append(news["progress"].get("done", 0))
        if news["end"]:
            break
    assert (0, 800) == (news["end"]["exit_code"], news["end"]["sent"])
    assert moved == sorted(moved)
    assert len(set(moved)) >= 3
    assert {"a", "<b>"} == streams.keys()
    assert [(400, "done")] * 2 == [(each["done"], each["state"]) for each in streams.values()]
    metrics = get(f"{url}metrics")[1]
    assert 'swarm_meter_rows{config="config.ini",meter="a",outcome="sent"} 400.0' in metrics
    newest = re.search(r'last_acknowledged_timestamp_seconds{[^}]*meter="a"} (\S+)', metrics)
    assert newest
    assert 1672531200 + 399 * 900 == float(newest[1])
    run.send_signal(signal.SIGINT)
    assert 0 == ended(run).code
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=5)


def test_the_page_only_reads(run: "subprocess.Popen[str]") -> None:
    """Other methods, other paths and other hosts get nothing."""
    url = address(run)
    status, page = get(url)
    assert 200 == status
    assert "<title>swarm</title>" in page
    for path in ("", "events", "metrics"):
        assert 405 == get(url + path, "POST")[0]
        assert 403 == get(url + path, host="example.com")[0]
    assert 404 == get(f"{url}other")[0]


def test_it_ends_with_a_run_that_is_killed(run: "subprocess.Popen[str]") -> None:
    """No process of it stays behind."""
    url = address(run)
    run.kill()
    run.communicate()
    for _ in range(100):
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            return
        time.sleep(0.1)
    raise AssertionError("the page is still there")


def test_it_ends_with_the_run(workspace: Workspace, config: Path, collector: Collector) -> None:
    """Without --page-after, nothing listens after the command; the report is as ever."""
    done = workspace.run(config, "--page", "0", "--json")
    assert (0, 800) == (done.code, done.report["totals"]["sent"])
    found = re.search(r"http://127\.0\.0\.1:(\d+)/", done.err)
    assert found
    with socket.create_server(("127.0.0.1", int(found[1]))):
        pass


def test_a_reader_that_never_reads(run: "subprocess.Popen[str]") -> None:
    """It holds up neither the run nor its end."""
    url = address(run)
    port = int(url.rsplit(":", 1)[1].rstrip("/"))
    with socket.create_connection(("127.0.0.1", port)) as lazy:
        lazy.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert any(news["end"] for news in events(url))
        run.send_signal(signal.SIGINT)
        assert 0 == ended(run).code


def test_a_port_that_is_taken(workspace: Workspace, config: Path, collector: Collector) -> None:
    """One line and exit 2, before a file is read or a packet sent."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = workspace.run(config, "--page", str(port))
    assert 2 == done.code
    assert f"--page can't listen on port {port} of 127.0.0.1: Address already in use\n" == done.err
    assert not collector.bodies("a")


def test_missing_packages(workspace: Workspace, config: Path, collector: Collector) -> None:
    """The line names the pip command of the extra."""
    hidden = workspace.first(
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'uvicorn':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    done = workspace.run(config, "--page", "0", env=hidden)
    assert 2 == done.code
    assert re.fullmatch(r"--page needs more packages; run: .*pip install .*uvicorn.*\n", done.err)
    assert not collector.bodies("a")


def test_a_page_that_fails_is_a_notice(run: "subprocess.Popen[str]") -> None:
    """The run goes on without it."""
    next(events(address(run)))
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    for child in children:
        if b"swarm.monitor" in Path(f"/proc/{child}/cmdline").read_bytes():
            subprocess.run(["kill", "-9", child], check=True)
    done = ended(run)
    assert 0 == done.code
    assert "is no longer there: its process has ended; the run goes on" in done.err


def test_worker_processes_do_not_hold_the_port(run: "subprocess.Popen[str]") -> None:
    """Only the page's process has the listening socket."""
    url = address(run)
    next(events(url))
    time.sleep(1)
    port = int(url.rsplit(":", 1)[1].rstrip("/"))
    listening = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
    }
    assert 1 == len(listening)
    holders = []
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    for pid in (str(run.pid), *children):
        links = [
            str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()
        ]
        if any(f"socket:[{inode}]" in links for inode in listening):
            holders.append(Path(f"/proc/{pid}/cmdline").read_bytes())
    assert [True] == [b"swarm.monitor" in holder for holder in holders]
