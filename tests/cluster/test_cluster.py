"""A run on a Dask cluster: the same as without, whatever dies."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.errors import ExitCode
from tests.support.collector import Collector, Reply, Request
from tests.support.dask_cluster import DaskCluster
from tests.support.processes import until
from tests.support.workspace import PASSWORD, Finished, Workspace, ended, packets, rows

pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")

STREAMS = tuple(f"m{number}" for number in range(6))
ROWS = 400
_LEASE = 10.0


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[DaskCluster]:
    """Return a cluster without workers."""
    with DaskCluster(tmp_path / "dask") as cluster:
        yield cluster


def config_of(
    workspace: Workspace, collector: Collector, rest: str = "", count: int = ROWS
) -> Path:
    """Write an INI with streams, and their files."""
    for stream in STREAMS:
        workspace.csv(f"{stream}.csv", rows(count))
    meters = {stream: f"{stream}.csv" for stream in STREAMS}
    return workspace.ini(collector.url, meters, upload={"settle": "0.3s"}, rest=rest)


def assert_whole(collector: Collector, count: int = ROWS) -> None:
    """Assert that every row has arrived once and in order."""
    for stream in STREAMS:
        assert packets(stream, rows(count)) == collector.packets(stream)
        assert collector.max_in_flight(stream) == 1


def begun(collector: Collector, each: int = 30) -> None:
    """Wait until every stream has sent some packets."""
    until(lambda: all(len(collector.bodies(stream)) > each for stream in STREAMS), 60)


def sending(
    workspace: Workspace, collector: Collector, dask: DaskCluster, workers: int
) -> "tuple[subprocess.Popen[str], list[subprocess.Popen[bytes]]]":
    """Start a run on so many workers, and wait until it sends; return it, and the workers."""
    collector.delay = 0.02
    started = [dask.worker() for _ in range(workers)]
    process = workspace.start(config_of(workspace, collector, dask.section()), "--json")
    begun(collector)
    return process, started


def without_times(report: dict[str, object]) -> dict[str, object]:
    """Return a report without what differs from run to run."""
    kept = {key: report[key] for key in ("exit_code", "meters", "totals")}
    totals = dict(report["totals"])  # type: ignore[call-overload]
    return {**kept, "totals": {**totals, "packets_per_second": 0}}


@pytest.mark.measured
def test_a_cluster_sends_what_a_local_run_sends(workspace: Workspace) -> None:
    """The same packets and the same report; then a run without a cluster, and status: one truth."""
    found = []
    for options in ((), ("--cluster", "local")):
        with Collector() as collector:
            config = config_of(workspace, collector)
            done = workspace.run(config, "--json", *options).balanced()
            assert_whole(collector)
            found.append(without_times(done.report))
            again = workspace.run(config, "--json").balanced()
            assert ROWS * len(STREAMS) == again.report["totals"]["resumed"]
            waiting = json.loads(workspace.run("status", config, "--json").out)["meters"]
            assert {0} == {meter["waiting"] for meter in waiting}
    assert found[0] == found[1]
    use = done.report["cluster"]
    assert (1, 0, 0) == (use["hosts"], use["lost"], use["moved"])
    assert use["workers"] >= 1


def test_a_run_on_a_cluster_continues_one_without(
    workspace: Workspace, collector: Collector, dask: DaskCluster
) -> None:
    """Its checkpoints are those of the state folder; rejected and new rows are told the same."""
    config = config_of(workspace, collector, count=100)
    assert workspace.run(config).code == 0
    for stream in STREAMS:
        workspace.csv(f"{stream}.csv", rows(ROWS))
    config.write_text(config.read_text() + dask.section())
    dask.worker()
    done = workspace.run(config, "--json").balanced()
    assert_whole(collector)
    counts = done.report["totals"]
    assert (len(STREAMS) * 100, len(STREAMS) * 300) == (counts["resumed"], counts["sent"])


def test_secrets_are_nowhere_in_the_cluster(
    workspace: Workspace, collector: Collector, dask: DaskCluster
) -> None:
    """Neither in the scheduler's state and log, nor in a worker's log, nor in the command's."""
    dask.worker()
    config = config_of(workspace, collector, dask.section())
    process = workspace.start(config, "-vv")
    begun(collector)
    dumped = subprocess.run(
        [sys.executable, "-c", _DUMP, dask.address, str(dask.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert dumped.returncode == 0, dumped.stderr
    state = dumped.stdout
    done = ended(process)
    assert done.code == 0
    assert "swarm" in state
    for text in (state, dask.logs(), done.err):
        assert PASSWORD not in text


_DUMP = """
import sys
from distributed import Client, Security
folder = sys.argv[2]
security = Security(tls_ca_file=folder + "/ca.pem", tls_client_cert=folder + "/cert.pem",
                    tls_client_key=folder + "/key.pem", require_encryption=True)
def dump(dask_scheduler):
    return repr(dask_scheduler._to_dict())
if __name__ == "__main__":
    with Client(sys.argv[1], security=security) as client:
        print(client.run_on_scheduler(dump), client.get_worker_logs(), client.get_scheduler_logs())
"""


@pytest.mark.measured
def test_the_streams_of_a_killed_worker_go_on_elsewhere(
    workspace: Workspace, collector: Collector, dask: DaskCluster
) -> None:
    """Each row once, in order, after the lease; the report says what was lost and moved."""
    process, workers = sending(workspace, collector, dask, workers=2)
    workers[0].kill()
    done = ended(process).balanced()
    assert_whole(collector)
    assert done.code == 0
    use = done.report["cluster"]
    assert (2, 1) == (use["workers"], use["lost"])
    assert use["moved"] >= 1
    assert ROWS * len(STREAMS) == done.report["totals"]["sent"]
    assert "is lost; its" in done.err


def test_a_worker_that_was_stopped_sends_nothing_when_it_goes_on(
    workspace: Workspace, collector: Collector, dask: DaskCluster
) -> None:
    """It wakes up without a lease: its streams have moved, and no row goes out twice."""
    process, workers = sending(workspace, collector, dask, workers=2)
    workers[0].send_signal(signal.SIGSTOP)
    time.sleep(_LEASE + 4)
    workers[0].send_signal(signal.SIGCONT)
    done = ended(process).balanced()
    assert_whole(collector)
    assert (0, 1) == (done.code, done.report["cluster"]["lost"])


@pytest.mark.measured
def test_a_run_after_a_killed_one_waits_for_its_workers(
    workspace: Workspace, collector: Collector, dask: DaskCluster
) -> None:
    """Its workers stop within the lease; the next run, without a cluster, waits and goes on."""
    process, _ = sending(workspace, collector, dask, workers=1)
    process.kill()
    process.communicate()
    config = config_of(workspace, collector)
    done = workspace.run(config, "--json").balanced()
    assert "workers of a run that was killed may still send" in done.err
    assert_whole(collector)
    assert done.code == 0


@pytest.mark.measured
def test_without_a_scheduler_the_run_ends(
    workspace: Workspace, collector: Collector, dask: DaskCluster
) -> None:
    """Exit code 5 and its address; the same command goes on, here without a cluster."""
    process, _ = sending(workspace, collector, dask, workers=1)
    dask.scheduler.kill()
    done = ended(process).balanced()
    assert ExitCode.TEMPORARY == done.code
    assert f"the scheduler at {dask.address} is gone" in done.err
    assert done.report["totals"]["sent"] > 0
    assert workspace.run(config_of(workspace, collector)).code == 0
    assert_whole(collector)


def test_a_scheduler_that_is_not_there_is_told(workspace: Workspace, collector: Collector) -> None:
    """One line with its address, exit code 5."""
    config = config_of(workspace, collector)
    done = workspace.run(config, "--cluster", "tcp://127.0.0.1:9")
    assert ExitCode.TEMPORARY == done.code
    assert "the scheduler at tcp://127.0.0.1:9 can't be reached" in done.err
    assert "Traceback" not in done.err


@pytest.mark.measured
def test_without_workers_the_run_waits_as_long_as_for_a_packet(
    workspace: Workspace, collector: Collector, dask: DaskCluster
) -> None:
    """It says so at once, and ends with exit code 5 in the end."""
    config = config_of(workspace, collector, dask.section())
    done = workspace.run(config, "--retry-for", "4s")
    assert ExitCode.TEMPORARY == done.code
    assert f"no worker at {dask.address}: waiting, for up to 4.0 s" in done.err
    assert "Traceback" not in done.err


@pytest.mark.measured
def test_a_worker_of_another_version_is_not_used(
    workspace: Workspace, collector: Collector, dask: DaskCluster
) -> None:
    """The message names worker, host and both versions."""
    code = "import swarm.version\nswarm.version.VERSION = '0.9.9'\n"
    dask.worker(env=workspace.first(code))
    config = config_of(workspace, collector, dask.section())
    done = workspace.run(config, "--retry-for", "15s")
    assert ExitCode.TEMPORARY == done.code
    assert "is not used: on " in done.err
    assert "it has swarm 0.9.9, this command is" in done.err
    assert not collector.requests


def test_a_worker_that_joins_is_used(
    workspace: Workspace, collector: Collector, dask: DaskCluster
) -> None:
    """The streams that wait go to it; the rate limit is shared out among those that are there."""
    collector.delay = 0.02
    dask.worker()
    config = config_of(workspace, collector, dask.section())
    process = workspace.start(config, "--json", "--connections", "4", "--rate-limit", "200")
    until(lambda: len(collector.requests) > 60, 60)
    dask.worker()
    done = ended(process).balanced()
    assert_whole(collector)
    assert (0, 2) == (done.code, done.report["cluster"]["workers"])
    assert done.report["totals"]["packets_per_second"] < 230


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_in_order(
    workspace: Workspace, collector: Collector, number: signal.Signals
) -> None:
    """Packets under way are finished, the report is printed, and no process is left."""
    collector.delay = 0.02
    config = config_of(workspace, collector)
    process = workspace.start(config, "--json", "--cluster", "local")
    begun(collector)
    process.send_signal(number)
    done: Finished = ended(process).balanced()
    assert 128 + number == done.code
    assert workspace.run(config).code == 0
    assert_whole(collector)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "TLS needs tls_ca, tls_cert and tls_key under [cluster], or Dask's own settings"),
        ({"ca.pem": "junk", "cert.pem": "junk", "key.pem": "junk"}, "can't be used"),
    ],
)
def test_files_for_tls_that_can_not_be_used_are_a_mistake_of_the_ini(
    workspace: Workspace, collector: Collector, files: dict[str, str], expected: str
) -> None:
    """Exit code 2: trying again does not help."""
    for name, content in files.items():
        (workspace.folder / name).write_text(content)
    options = "".join(f"tls_{name.removesuffix('.pem')} = {name}\n" for name in files)
    rest = f"\n[cluster]\nscheduler = tls://127.0.0.1:9\n{options}"
    done = workspace.run(config_of(workspace, collector, rest))
    assert ExitCode.USAGE == done.code
    assert expected in done.err
    assert 1 == len(done.err.splitlines()), done.err


def test_rejected_rows_are_kept_by_the_command(
    workspace: Workspace, collector: Collector, dask: DaskCluster
) -> None:
    """In its state folder; a run without the cluster finds them rejected."""
    dask.worker()

    def reject(request: Request, _: Collector) -> Reply | None:
        is_bad = request.method == "POST" and b"T02:00:00" in request.body
        return Reply(400, body=b"no such hour") if is_bad else None

    collector.script = reject
    config = config_of(workspace, collector, dask.section(), count=20)
    done = workspace.run(config, "--json", "--on-reject", "skip").balanced()
    counts = done.report["totals"]
    assert (ExitCode.DATA, len(STREAMS)) == (done.code, counts["rejected"])
    for stream in STREAMS:
        (path,) = workspace.state.glob(f"rejects/*/{stream}.csv")
        assert rows(20)[8:9] == path.read_text().splitlines()
    again = workspace.run(config, "--json", "--cluster", "none").balanced()
    assert (len(STREAMS), 0) == (again.report["totals"]["rejected"], again.report["totals"]["sent"])


def test_credentials_that_are_refused_stop_the_streams_of_all_workers(
    workspace: Workspace, dask: DaskCluster
) -> None:
    """One answer to one worker tells the others; exit code 4."""
    dask.worker()
    dask.worker()
    with Collector(auth=("other", "password"), delay=0.05) as collector:
        config = config_of(workspace, collector, dask.section())
        done = workspace.run(config, "--json").balanced()
        assert ExitCode.REFUSED == done.code
        assert {"unauthorized"} == {meter["problem"]["kind"] for meter in done.meters.values()}
        assert [] == [body for stream in STREAMS for body in collector.bodies(stream)]


def test_check_runs_on_the_workers(workspace: Workspace, dask: DaskCluster) -> None:
    """With the same findings as here; nothing is written to the state folder."""
    dask.worker()
    with Collector() as collector:
        config = config_of(workspace, collector, dask.section())
        workspace.csv("m3.csv", [*rows(5), "2023-13-01 00:00:00,1"])
        found = [
            workspace.run("check", config, "--json", *options)
            for options in ((), ("--cluster", "none"))
        ]
    assert [ExitCode.DATA, ExitCode.DATA] == [each.code for each in found]
    assert found[0].out == found[1].out
    assert not workspace.state.exists()
