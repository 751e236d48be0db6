"""A Dask scheduler and its workers, each a real process, on loopback with TLS."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import trustme

from tests.support.processes import until

_ROOT = str(Path(__file__).parents[2])
_SECONDS = 60.0
#: The time (s) that a process has to end by itself.
_END_SECONDS = 5.0


class DaskCluster:
    """A scheduler in a folder, and workers that are started one by one; a context manager.

    Each process writes its log to a file. ``within`` is the command that runs a process elsewhere,
    for example in a network namespace; ``host`` is the scheduler's address there.
    """

    def __init__(
        self, folder: Path, *, host: str = "127.0.0.1", within: tuple[str, ...] = ()
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._file = folder / "scheduler.json"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        certificate = authority.issue_cert(host, "dask")
        certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
        self.scheduler = self._start(
            "scheduler",
            *("--host", host, "--port", "0", "--protocol", "tls"),
            *("--scheduler-file", str(self._file), "--no-dashboard", "--no-show"),
            within=within,
        )
        until(lambda: self._file.is_file() and self._file.read_text().endswith("}"), _SECONDS)
        self.address: str = json.loads(self._file.read_text())["address"]

    def __enter__(self) -> "DaskCluster":
        return self

    def __exit__(self, *_: object) -> None:
        running = [process for process in self._processes if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
            process.kill()
            process.wait()

    def section(self) -> str:
        """Return the section of an INI for this cluster."""
        files = {"tls_ca": "ca.pem", "tls_cert": "cert.pem", "tls_key": "key.pem"}
        lines = [f"{option} = {self.folder / name}" for option, name in files.items()]
        return "\n".join(["", "[cluster]", f"scheduler = {self.address}", *lines, ""])

    def worker(
        self, *, env: Mapping[str, str] | None = None, within: tuple[str, ...] = ()
    ) -> "subprocess.Popen[bytes]":
        """Start a worker process without a nanny; return once the scheduler knows it."""
        process = self._start(
            "worker",
            self.address,
            *("--nworkers", "1", "--nthreads", "1", "--no-nanny", "--no-dashboard"),
            *("--local-directory", str(self.folder), "--memory-limit", "0"),
            env=env,
            within=within,
        )
        log = self.folder / f"worker-{len(self._processes) - 1}.log"
        until(lambda: "Registered to:" in log.read_text(errors="replace"), _SECONDS)
        return process

    def logs(self) -> str:
        """Return all that the processes have written."""
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))

    def _start(
        self,
        kind: str,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        within: tuple[str, ...] = (),
    ) -> "subprocess.Popen[bytes]":
        tls = [
            f"--tls-{name}={self.folder / file}"
            for name, file in (("ca-file", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem"))
        ]
        log = self.folder / f"{kind}-{len(self._processes)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*within, sys.executable, "-m", "dask", kind, *arguments, *tls],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env={**_unmeasured(), "PYTHONPATH": _ROOT, **(env or {})},
            )
        self._processes.append(process)
        return process


def _unmeasured() -> dict[str, str]:
    """Return our environment without coverage's variables: many of these processes are killed."""
    return {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_")}
