"""``environment = sandbox``: a collector for one run, whose packets stay for the next."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from swarm import files
from swarm.checkpoint import paths
from swarm.config.settings import Settings
from swarm.errors import StateError
from swarm.run.observer import Observer
from swarm.text import pluralize

if TYPE_CHECKING:
    from swarm.sandbox.server import Running


@contextmanager
def opened(settings: Settings, observer: Observer) -> Iterator["Running"]:
    """Run the sandbox collector, yield it, and note at the end what it holds and where."""
    from swarm.sandbox.client import announced
    from swarm.sandbox.server import running

    store = _store(settings)
    try:
        files.make_folder(store.parent)
    except OSError as error:
        message = f"{store.parent}: can't be made: {error.strerror}; make the folder above writable"
        raise StateError(message) from None
    known = {
        (m.credentials.username, m.credentials.password) for m in settings.meters if m.credentials
    }
    with running(store, credentials=known) as sandbox:
        with announced(sandbox.client, store):
            yield sandbox
        observer.notes.append(_held(sandbox, store))


def _held(sandbox: "Running", store: Path) -> str:
    try:
        packets = sandbox.packets()
    except StateError:
        return f"The sandbox ended during the run; what it took until then is in {store}"
    return f"The sandbox holds {pluralize(packets, 'packet')}, in {store}"


def last_times(settings: Settings) -> dict[str, str]:
    """Return the time of the packet of each stream that the sandbox stored last, verbatim.

    It is not started for that; one that runs is asked. Raises `StateError` where that can't be had.
    """
    from swarm.sandbox.client import last_packets

    packets = last_packets(_store(settings))
    return {stream: json.loads(text)["tsISO8601"] for stream, text in packets.items()}


def _store(settings: Settings) -> Path:
    """Return the sandbox's store; SQLite would follow a link in its place."""
    store = paths.sandbox_store(settings.state)
    files.check_private(store)
    return store
