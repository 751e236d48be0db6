"""What became of a packet is asked once `settle` has passed since the end of its exchange."""

import ssl
from pathlib import Path

import pytest
import trustme

from tests.support.collector import Behaviour, Collector, Raw, Request
from tests.support.workspace import Workspace, packets, rows

LINES = rows(2)
#: The second connection takes longer to shake hands than `settle`; then the packet comes, the
#: connection is reset, and the packet is stored within `settle` all the same.
_HANDSHAKE, _STORED_AFTER, _SETTLE = 1.5, 0.8, 1.2


@pytest.mark.parametrize("engine", ["curl", "requests"])
def test_a_slow_handshake_does_not_use_up_the_time_to_settle(
    workspace: Workspace, tmp_path: Path, engine: str
) -> None:
    """Asked too early, the collector would not know the packet yet, and get it twice."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    posts: list[int] = []

    def script(request: Request, _: Collector) -> Behaviour | None:
        if request.method == "GET":
            # The next request comes over a new connection.
            return None if posts else Raw(data=b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
        posts.append(request.connection)
        return Raw(end="reset", later=_STORED_AFTER) if len(posts) == 1 else None

    with Collector(
        script, tls=context, handshake=lambda number: _HANDSHAKE if number == 1 else 0.0
    ) as collector:
        config = workspace.ini(
            collector.url,
            {"m": workspace.csv("m.csv", LINES)},
            swarm={"ca_bundle": str(tmp_path / "ca.pem")},
            upload={"settle": f"{_SETTLE}s", "transport": engine},
        )
        done = workspace.run(config, "--json").balanced()
        assert (0, 2) == (done.code, done.meters["m"]["sent"])
        assert 1 == posts[0]  # the slow one
        assert packets("m", LINES) == collector.packets("m")
