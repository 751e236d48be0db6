"""A cluster of several hosts, in network namespaces: one is cut off while it sends."""

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from swarm.errors import ExitCode
from tests.support.collector import Collector
from tests.support.dask_cluster import DaskCluster
from tests.support.hosts import OBSTACLE, Hosts
from tests.support.processes import until
from tests.support.workspace import Workspace, ended, packets, rows

pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")

STREAMS = tuple(f"m{number}" for number in range(6))
ROWS = 500
_LEASE = 10.0


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """Return a host for the command and the scheduler, two for workers, and one for the web."""
    with Hosts(4) as found:
        yield found


@pytest.fixture
def web(hosts: Hosts, tmp_path: Path) -> Iterator[Collector]:
    """Return a collector on a host of its own, over HTTPS."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "web.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("10.77.2.4").configure_cert(tls)
    with Collector(tls=tls, listener=hosts.listener(4), delay=0.02) as collector:
        yield collector


def test_a_host_that_is_cut_off_stops_sending_before_others_go_on(
    workspace: Workspace, hosts: Hosts, web: Collector, tmp_path: Path
) -> None:
    """It still reaches the collector, but its lease ends: lost 0, twice 0, out of order 0."""
    for stream in STREAMS:
        workspace.csv(f"{stream}.csv", rows(ROWS))
    head = hosts.within(1)
    with DaskCluster(tmp_path / "dask", host="10.77.1.1", within=head) as dask:
        for number in (2, 3):
            dask.worker(within=hosts.within(number))
        config = workspace.ini(
            web.url,
            {stream: f"{stream}.csv" for stream in STREAMS},
            swarm={"ca_bundle": str(tmp_path / "web.pem")},
            upload={"settle": "0.3s"},
            rest=dask.section(),
        )
        process = workspace.start(config, "--json", within=head)
        until(lambda: all(len(web.bodies(stream)) > 30 for stream in STREAMS), 60)
        hosts.cut(2, is_cut=True)
        time.sleep(_LEASE / 2)
        still = len(web.requests)
        time.sleep(_LEASE)
        hosts.cut(2, is_cut=False)
        done = ended(process).balanced()
    assert len(web.requests) > still
    for stream in STREAMS:
        assert packets(stream, rows(ROWS)) == web.packets(stream)
        assert web.max_in_flight(stream) == 1
    assert (0, 1) == (done.code, done.report["cluster"]["lost"])
    assert done.report["cluster"]["moved"] >= 1


_OTHER_FILES = 'mount --bind "$1" "$2"; shift 2; exec "$@"'


def test_a_worker_without_the_files_names_its_host(
    workspace: Workspace, collector: Collector, tmp_path: Path
) -> None:
    """All workers need the files under the same paths."""
    path = workspace.csv("data/m.csv", rows(ROWS))
    empty = tmp_path / "empty"
    empty.mkdir()
    elsewhere = ("unshare", "--mount", "sh", "-c", _OTHER_FILES, "sh")
    with DaskCluster(tmp_path / "dask") as dask:
        dask.worker(within=(*elsewhere, str(empty), str(path.parent)))
        config = workspace.ini(collector.url, {"m": path}, rest=dask.section())
        done = workspace.run(config)
    assert ExitCode.DATA == done.code
    assert "no such file" in done.err
    assert f"a readable CSV at {path} (on {socket.gethostname()})" in done.err
    assert not collector.requests
