"""Rounds on a Dask cluster of several hosts, in each of which something is killed, stopped or cut.

Each round runs the command over streams that have grown, and does one thing to the cluster while
packets are under way. Hosts are network namespaces: a worker that is cut off from its cluster still
reaches the collector. Needs root.
"""

import os
import signal
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme

from tests.chaos.__main__ import Chaos, Figures
from tests.support.collector import Collector
from tests.support.dask_cluster import DaskCluster
from tests.support.hosts import Hosts
from tests.support.workspace import ended

_HEAD, _WORKERS, _WEB = 1, (2, 3), 4
_DELAY = 0.01
#: A stop or a cut takes up to this long (s): longer than a lease, or shorter.
_LONGEST_EVENT = 15.0
#: A round that takes longer (s) hangs.
_LONGEST_ROUND = 150.0


class ClusterChaos(Chaos):
    """A chaos test on a cluster of its own; ``hangs`` and ``bugs`` count rounds that went wrong."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        self.hangs = 0
        self.bugs: list[str] = []
        self.lost_workers = 0
        self._clusters = 0
        self._workers: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def is_sound(self) -> bool:
        """True if nothing was lost, repeated or out of order, and every round has ended."""
        return self.figures.is_sound and not (self.hangs or self.bugs)

    def play(self, rounds: int) -> None:
        """Play rounds, then send the rest, and judge what the collector holds."""
        start = time.monotonic()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.workspace.folder / "web.pem"))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(f"10.77.2.{_WEB}").configure_cert(tls)
        with (
            Hosts(_WEB) as hosts,
            Collector(
                self.misbehave, tls=tls, listener=hosts.listener(_WEB), delay=_DELAY
            ) as collector,
        ):
            dask: DaskCluster | None = None
            for _ in range(rounds):
                if dask is None or dask.scheduler.poll() is not None:
                    if dask is not None:
                        dask.__exit__(None)
                    dask = self._cluster(hosts)
                self._grow(collector)
                self._round(hosts, dask, collector)
            if dask is not None:
                dask.__exit__(None)
            self.is_calm = True
            process = self.workspace.start(self._config(collector), within=hosts.within(_HEAD))
            done = ended(process)
            if done.code != 0:
                self.bugs.append(done.err)
            self._judge(collector)
        self.figures.seconds = time.monotonic() - start

    def _cluster(self, hosts: Hosts) -> DaskCluster:
        self._clusters += 1
        self._workers.clear()
        folder = self.workspace.folder / f"dask-{self._clusters}"
        return DaskCluster(folder, host=f"10.77.1.{_HEAD}", within=hosts.within(_HEAD))

    def _config(self, collector: Collector, rest: str = "") -> Path:
        return self.workspace.ini(
            collector.url,
            {stream: f"{stream}.csv" for stream in self.streams},
            swarm={"ca_bundle": "web.pem"},
            upload={"timeout": "0.5s", "settle": "0.3s", "progress": "none", "retry_for": "30s"},
            rest=rest,
        )

    def _round(self, hosts: Hosts, dask: DaskCluster, collector: Collector) -> None:
        for number in _WORKERS:
            worker = self._workers.get(number)
            if worker is None or worker.poll() is not None:
                self._workers[number] = dask.worker(within=hosts.within(number))
        config = self._config(collector, dask.section())
        process = self.workspace.start(config, "--json", within=hosts.within(_HEAD))
        moment = len(collector.requests) + len(self.streams) + self.random.randrange(200)
        began = time.monotonic()
        while process.poll() is None and len(collector.requests) < moment:
            if time.monotonic() - began > _LONGEST_ROUND:
                break
            time.sleep(0.002)
        if process.poll() is None:
            self.figures.in_flight += collector.in_flight > 0
            name = self.random.choice(list(_EVENTS))
            self.figures.kills[name] += 1
            _EVENTS[name](self, hosts, dask, process)
        try:
            out, err = process.communicate(timeout=_LONGEST_ROUND)
        except subprocess.TimeoutExpired:
            self.hangs += 1
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return
        if process.returncode == 1 or "Traceback" in err:
            self.bugs.append(err)
        self.lost_workers += '"lost": 1' in out or '"lost": 2' in out

    def _some_worker(self) -> int:
        return self.random.choice(_WORKERS)

    def _time(self) -> float:
        return self.random.random() * _LONGEST_EVENT

    def _kill_worker(self, *_: object) -> None:
        self._workers[self._some_worker()].kill()

    def _stop_worker(self, *_: object) -> None:
        worker = self._workers[self._some_worker()]
        worker.send_signal(signal.SIGSTOP)
        time.sleep(self._time())
        worker.send_signal(signal.SIGCONT)

    def _cut_host(self, hosts: Hosts, *_: object) -> None:
        number = self._some_worker()
        hosts.cut(number, is_cut=True)
        time.sleep(self._time())
        hosts.cut(number, is_cut=False)
        # A worker that has lost its scheduler may take long to notice: begin with a new one.
        self._workers[number].kill()

    def _kill_command(
        self, _hosts: Hosts, _dask: DaskCluster, process: "subprocess.Popen[str]"
    ) -> None:
        os.killpg(process.pid, signal.SIGKILL)

    def _end_command(
        self, _hosts: Hosts, _dask: DaskCluster, process: "subprocess.Popen[str]"
    ) -> None:
        process.send_signal(signal.SIGTERM)

    def _kill_scheduler(self, _hosts: Hosts, dask: DaskCluster, *_: object) -> None:
        dask.scheduler.kill()

    def _join(self, hosts: Hosts, dask: DaskCluster, *_: object) -> None:
        dask.worker(within=hosts.within(self._some_worker()))


_EVENTS: dict[str, Callable[[ClusterChaos, Hosts, DaskCluster, "subprocess.Popen[str]"], None]] = {
    "worker killed": ClusterChaos._kill_worker,
    "worker stopped for a while": ClusterChaos._stop_worker,
    "host cut off for a while": ClusterChaos._cut_host,
    "command killed": ClusterChaos._kill_command,
    "command ended by SIGTERM": ClusterChaos._end_command,
    "scheduler killed": ClusterChaos._kill_scheduler,
    "worker joins": ClusterChaos._join,
}


def run(rounds: int, seed: int, at_once: int) -> tuple[bool, list[str]]:
    """Play rounds on several clusters at once; return whether all was well, and the figures."""
    with TemporaryDirectory() as folder, ThreadPoolExecutor(at_once) as threads:
        chaos = []
        for number in range(at_once):
            place = Path(folder) / str(number)
            place.mkdir()
            chaos.append(ClusterChaos(place, seed + number))
        start = time.monotonic()
        parts = [rounds // at_once + (number < rounds % at_once) for number in range(at_once)]
        list(threads.map(ClusterChaos.play, chaos, parts))
    figures = Figures(seed)
    kills: Counter[str] = sum((each.figures.kills for each in chaos), Counter())
    faults: Counter[str] = sum((each.figures.faults for each in chaos), Counter())
    for each in chaos:
        found = each.figures
        figures.packets += found.packets
        figures.lost += found.lost
        figures.twice += found.twice
        figures.out_of_order += found.out_of_order
        figures.in_flight += found.in_flight
    figures.kills, figures.faults = kills, faults
    figures.seconds = time.monotonic() - start
    hangs, bugs = sum(each.hangs for each in chaos), [bug for each in chaos for bug in each.bugs]
    lines = [line.replace("kills in", "events in") for line in figures.lines()]
    lines.append(
        f"rounds: {rounds}; of them {sum(each.lost_workers for each in chaos)} ended with a lost "
        f"worker; hangs {hangs}, bugs {len(bugs)}"
    )
    return all(each.is_sound for each in chaos), [*lines, *bugs]
