"""A Dask cluster on this computer, for one run.

Run as a program, this module serves the cluster until its standard input ends: so it ends with the
command, however that ends, and a Ctrl-C in the terminal reaches the command alone. All connections
are encrypted, with a key that only the command gets: another user of this computer, who could
connect to the ports, must not run code.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import IO, cast

from swarm.errors import ExitCode, SwarmError

#: The time (s) that the cluster has to end.
_END_SECONDS = 10.0


class LocalClusterError(SwarmError):
    """The cluster on this computer did not start."""

    exit_code = ExitCode.TEMPORARY


@contextmanager
def local_cluster(workers: int) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Run a cluster with so many worker processes; yield its address and secrets.

    These are the texts of the authority, the certificate and its key.
    """
    command = [sys.executable, "-m", "swarm.cluster.local", str(workers)]
    # Dask's own log would go to the terminal: what matters comes over the channel.
    environment = {**os.environ, "DASK_LOGGING__DISTRIBUTED": "critical"}
    process = subprocess.Popen(  # noqa: S603 - this module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    with process, closing(cast("IO[bytes]", process.stdin)) as life:
        line = cast("IO[bytes]", process.stdout).readline()
        try:
            address, ca, certificate, key = json.loads(line)
        except ValueError:
            raise LocalClusterError("the cluster on this computer did not start") from None
        yield address, (ca, certificate, key)
        life.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def main() -> None:
    """Serve a cluster of ``sys.argv[1]`` workers until standard input ends."""
    import dask
    from distributed import LocalCluster, Security

    security = Security.temporary()
    # The calls of the command come through the scheduler, some times a second.
    dask.config.set({"distributed.scheduler.reuse-broadcast-comm": True})
    with LocalCluster(
        n_workers=int(sys.argv[1]),
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        protocol="tls://",
        security=security,
        dashboard_address=None,
        memory_limit=None,
    ) as cluster:
        secrets = security.tls_ca_file, security.tls_client_cert, security.tls_client_key
        sys.stdout.write(json.dumps([cluster.scheduler_address, *secrets]) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
