"""The sandbox only answers to loopback names, over real HTTP; access rights of its store."""

import http.client
import json
import stat
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from swarm.sandbox.paths import STATUS_PATH
from swarm.sandbox.server import running
from swarm.sandbox.store import Store
from swarm.sandbox.validate import PATH
from swarm.web.hosts import is_loopback
from tests.unit.sandbox.test_sandbox import USER, connected, packet

OURS = ["localhost", "localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}", "[::1]", "LOCALHOST:1"]
OTHERS = [
    "evil.example",
    "evil.example:{port}",
    "localhost.evil.example",
    "127.0.0.1.evil.example:{port}",
    "192.168.1.7:{port}",
    "localhost:{port}@evil.example",
    "localhost:evil",
    "[::2]:1",
    "",
]


@pytest.mark.parametrize("host", OTHERS)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", STATUS_PATH), ("GET", f"{PATH}?stream=m"), ("POST", PATH)],
)
def test_another_name_gets_no_answer(tmp_path: Path, host: str, method: str, path: str) -> None:
    """A web page whose name resolves to 127.0.0.1 can neither read nor send packets."""
    with running(tmp_path / "store", {USER}) as sandbox, connected(sandbox.url) as client:
        assert client.post(packet(1)).status == 200
        port = str(urlsplit(sandbox.url).port)
        answer = client.ask(method, path, packet(2), host=host.replace("{port}", port))
        assert (403, 1) == (answer.status, sandbox.packets())
        assert "only requests to localhost, 127.0.0.1 and [::1] are answered" in answer.reason


@pytest.mark.parametrize("host", OURS)
def test_loopbacks_names_are_answered(tmp_path: Path, host: str) -> None:
    """All loopback names are answered, with any port, as a tunnel may use another one."""
    with running(tmp_path / "store", {USER}) as sandbox, connected(sandbox.url) as client:
        name = host.replace("{port}", str(urlsplit(sandbox.url).port))
        assert client.ask("POST", PATH, packet(1), host=name).status == 200
        assert client.ask("GET", "/", host=name).status == 200


def test_no_name_is_no_other_name(tmp_path: Path) -> None:
    """HTTP/1.0 has no Host header, and no browser uses it."""
    with running(tmp_path / "store", {USER}) as sandbox:
        connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc, timeout=20)
        connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"  # type: ignore[attr-defined]
        connection.request("GET", STATUS_PATH)
        assert json.load(connection.getresponse()) == {"packets": 0}
        connection.close()


def test_names_of_loopback() -> None:
    """All of 127.0.0.0/8 is loopback; a name that only begins with such an address is not."""
    assert is_loopback("127.8.9.10:1")
    assert not is_loopback("127.8.9.10.example:1")


def test_a_store_is_for_its_user_alone(tmp_path: Path) -> None:
    """A new store and SQLite's files beside it are private; an existing store keeps its mode."""
    Store(tmp_path / "new").close()
    store = Store(tmp_path / "new")
    for path in tmp_path.iterdir():
        assert (path, 0o600) == (path, stat.S_IMODE(path.stat().st_mode))
    store.close()
    (tmp_path / "new").chmod(0o644)
    Store(tmp_path / "new").close()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o644
