"""Opens the pool of a run on a cluster: the counterpart of `swarm.run.setup.open_pool`."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from distributed import Security

from swarm.checkpoint.grants import Grants
from swarm.checkpoint.paths import locks_folder
from swarm.cluster.channel import Cluster
from swarm.cluster.local import local_cluster
from swarm.cluster.messages import Opening
from swarm.collector.transport.base import Engine
from swarm.config.cluster import ClusterSettings
from swarm.config.parsers import LOCAL
from swarm.config.settings import Settings
from swarm.config.timetable import rate_now
from swarm.delivery.task import accesses
from swarm.errors import SettingsError
from swarm.run.pool import Pool
from swarm.run.setup import processes_for, slots_for
from swarm.run.shared import SharedState


@contextmanager
def open_pool(
    settings: Settings, engine: Engine, notify: Callable[[str], None], *, sends: bool
) -> Iterator[tuple[Pool, SharedState]]:
    """Open a run's pool on the workers of its cluster; no seat is left when the block ends.

    ``notify`` gets notices. Without ``sends`` nothing is written to the state folder.
    """
    upload = replace(settings.upload, transport="curl")
    # The ledger of each stream that a worker has begun is open in this process.
    slots, most = slots_for(upload, processes=1)
    run = uuid.uuid4().hex
    with ExitStack() as stack:
        found = accesses(settings)
        shared = SharedState.create(len(found))
        stack.callback(shared.close)
        shared.set_rate_limit(rate_now(upload.rate_limit))
        address, security = stack.enter_context(_scheduler(settings))
        grants = Grants(locks_folder(settings.state, settings.collector), run) if sends else None
        cluster = Cluster(address, security, Opening(run, upload, found), shared, grants, notify)

        def close() -> None:
            is_over = cluster.close()
            if grants is not None:
                grants.close(is_over=is_over)

        stack.callback(close)
        cluster.start()
        with Pool(shared, cluster, slots, most) as pool:
            yield pool, shared


@contextmanager
def _scheduler(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Yield the address of the scheduler, and the `Security` of the connection to it."""
    cluster = settings.cluster or ClusterSettings(LOCAL)
    if cluster.scheduler == LOCAL:
        with local_cluster(processes_for(settings)) as (address, secrets):
            yield address, _security(*secrets)
        return
    files = (cluster.tls_ca, cluster.tls_cert, cluster.tls_key)
    security = _security(*map(str, files)) if all(files) else Security()
    if cluster.scheduler.startswith("tls:"):
        _check_tls(cluster.scheduler, security)
    yield cluster.scheduler, security


def _security(ca: str, certificate: str, key: str) -> Any:
    """Return the `Security` of an encrypted connection; each is a file, or the text of one."""
    return Security(
        require_encryption=True,
        tls_ca_file=ca,
        tls_client_cert=certificate,
        tls_client_key=key,
    )


def _check_tls(scheduler: str, security: Any) -> None:
    """Raise `SettingsError` if the files for TLS are missing, or can't be used."""
    names = "tls_ca, tls_cert and tls_key under [cluster]"
    try:
        arguments = security.get_connection_args("client")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{scheduler}: {names} can't be used: {error}") from None
    if arguments.get("ssl_context") is None:
        raise SettingsError(f"{scheduler}: TLS needs {names}, or Dask's own settings for it")
