"""Variables that would expose or redirect the traffic are ignored, with a notice."""

import os
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trustme

from swarm.agent.config import warn_once
from swarm.collector.transport import libcurl, open_session
from swarm.collector.transport.base import Access, Engine
from swarm.config.ignored import key_log_hidden
from swarm.errors import Untrusted
from tests.support.collector import Collector
from tests.support.workspace import Workspace, rows
from tests.unit.collector.test_transport import Tunnel

ENGINES = ["curl", "requests"]
NOTICE = "SSLKEYLOGFILE is set and ignored: no TLS keys are written"


def secure(folder: Path) -> Collector:
    """Return a TLS collector; its authority is in ``ca.pem``."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return Collector(tls=context)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("options", [(), ("-q",)])
def test_the_command_writes_no_keys(
    workspace: Workspace, engine: str, options: tuple[str, ...]
) -> None:
    """Neither the command nor its workers write TLS keys; a notice says so unless -q is given."""
    keys = workspace.folder / "keys"
    with secure(workspace.folder) as collector:
        meters = {name: workspace.csv(f"{name}.csv", rows(2)) for name in "ab"}
        config = workspace.ini(collector.url, meters, swarm={"ca_bundle": "ca.pem"})
        for command in ("upload", "status"):
            arguments = (command, config, "--transport", engine, *options)
            done = workspace.run(*arguments, env={"SSLKEYLOGFILE": str(keys)})
            assert done.code == 0
            assert ("-q" not in options) is (NOTICE in done.err)
        assert len(collector.requests) > 4
    assert not keys.exists()


def test_workers_do_not_see_it(workspace: Workspace, collector: Collector) -> None:
    """TLS libraries that read the variable directly do not find it in the command's workers."""
    env = workspace.first(
        "import os\n"
        "def look():\n"
        "    with open('seen', 'a') as file: print('SSLKEYLOGFILE' in os.environ, file=file)\n"
        "os.register_at_fork(after_in_child=look)\n"
    )
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(2))})
    assert workspace.run(config, env={**env, "SSLKEYLOGFILE": "keys"}).code == 0
    assert {"False"} == set((workspace.folder / "seen").read_text().split())


_PROGRAM = """
import logging, os, sys
from datetime import UTC, datetime
logging.basicConfig(format="%(message)s")
if "preloaded" in sys.argv:
    import pycurl
    pycurl.Curl()
from swarm import Agent, Config, ConfigError, SimpleMeasurement
try:
    agent = Agent(transport=sys.argv[1])
except ConfigError as error:
    sys.exit(str(error))
with agent:
    for stream in "ab":
        config = Config(sys.argv[2], "acme", "secret", ca_bundle="ca.pem")
        moment = datetime(2023, 1, 1, tzinfo=UTC)
        agent.send(SimpleMeasurement(stream, moment, 1.5), config)
    agent.wait_until_last(timeout=30)
print(agent, "requests" in sys.modules, os.environ["SSLKEYLOGFILE"])
environment = os.popen("env").read()
print("SSLKEYLOGFILE=" in environment)
"""


def program(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a program that uses the library, in an environment that asks for keys and a proxy."""
    asked = {"SSLKEYLOGFILE": str(folder / "keys"), "https_proxy": "http://127.0.0.1:1"}
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        env={**os.environ, **asked},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("engine", [*ENGINES, "auto"])
def test_the_library_writes_no_keys(tmp_path: Path, engine: str) -> None:
    """The library writes none, logs that once, and leaves the variable to the program."""
    with secure(tmp_path) as collector:
        done = program(tmp_path, engine, collector.url)
        assert {"a", "b"} == {request.stream for request in collector.requests}
    uses_requests = engine == "requests"
    assert not (tmp_path / "keys").exists()
    assert (
        f"<Agent: 2 sent, 0 refused, 0 waiting> {uses_requests} {tmp_path / 'keys'}\nTrue\n"
        == done.stdout
    )
    assert [
        NOTICE,
        "https_proxy is set and not used; to use a proxy, set the config's 'proxy'",
    ] == done.stderr.splitlines()


def test_pycurl_that_was_there_first(tmp_path: Path) -> None:
    """A libcurl that another part of the program has set up writes keys, so curl is not used."""
    with secure(tmp_path) as collector:
        done = program(tmp_path, "auto", collector.url, "preloaded")
        assert "<Agent: 2 sent, 0 refused, 0 waiting> True" in done.stdout
        assert "SSLKEYLOGFILE is set, and pycurl was in use before" in done.stderr
        refused = program(tmp_path, "curl", collector.url, "preloaded")
        assert (1, 2) == (refused.returncode, len(collector.requests))
        assert "transport curl: SSLKEYLOGFILE is set, and pycurl was in use" in refused.stderr
    assert not (tmp_path / "keys").stat().st_size  # made by libcurl before


@pytest.mark.parametrize("engine", ENGINES)
def test_no_keys_through_a_tunnel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    """No keys are written through a proxy, nor with a CA file that can't be used."""
    with secure(tmp_path) as collector:
        tunnel = Tunnel(collector.port)
        assert libcurl.OBSTACLE is None  # set up before the variable
        monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
        access = Access("acme", "x", 5, str(tmp_path / "ca.pem"), tunnel.url)
        session = open_session(engine, access)
        assert session.post(collector.url, b'{"id":"m"}').status == 200
        session.close()
        tunnel.close()
        with pytest.raises(Untrusted):
            open_session(engine, Access("acme", "x", 5, str(tmp_path))).get(collector.url)
    assert not (tmp_path / "keys").exists()


def test_hidden_from_c_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """While hidden, Python sees the variable and a child does not; afterwards it is as before."""
    monkeypatch.setenv("SSLKEYLOGFILE", "keys")

    def child() -> str:
        return subprocess.run(["/usr/bin/env"], capture_output=True, text=True, check=True).stdout

    with key_log_hidden():
        assert "keys" == os.environ["SSLKEYLOGFILE"]
        assert "SSLKEYLOGFILE" not in child()
    assert "SSLKEYLOGFILE=keys" in child()
    monkeypatch.delenv("SSLKEYLOGFILE")
    with key_log_hidden():
        pass
    assert "SSLKEYLOGFILE" not in child()


def test_threads_that_come_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """Only one of several threads logs a notice."""
    barrier = threading.Barrier(8)

    def tell() -> None:
        for number in range(200):
            barrier.wait()
            warn_once(f"notice {number}")

    threads = [threading.Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [f"notice {number}" for number in range(200)] == caplog.messages
