"""``environment = sandbox``: a collector for one run, whose store stays for the next run."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from swarm import files
from swarm.checkpoint import paths
from swarm.config.settings import Settings
from swarm.errors import StateError
from swarm.text import pluralize

if TYPE_CHECKING:
    from swarm.sandbox.server import Running


@contextmanager
def opened(settings: Settings, note: Callable[[str], None]) -> Iterator["Running"]:
    """Run the sandbox and yield it; at the end, ``note`` gets a line on what it holds."""
    from swarm.sandbox.client import announced
    from swarm.sandbox.server import running

    store = _store(settings)
    try:
        files.make_folder(store.parent)
    except OSError as error:
        raise StateError(
            f"{store.parent}: can't be created: {error.strerror}; make the folder above it writable"
        ) from None
    known = {
        (m.credentials.username, m.credentials.password) for m in settings.meters if m.credentials
    }
    with running(store, credentials=known) as sandbox:
        with announced(sandbox.client, store):
            yield sandbox
        try:
            note(f"The sandbox holds {pluralize(sandbox.packets(), 'packet')}, in {store}")
        except StateError:
            note(
                f"The sandbox ended during the run; the packets received until then are in {store}"
            )


def last_times(settings: Settings) -> dict[str, str]:
    """Return the time of each stream's last packet in the sandbox's store, as it was sent.

    The sandbox is not started for that; one that runs is asked. Raises `StateError`.
    """
    from swarm.sandbox.client import last_packets

    packets = last_packets(_store(settings))
    return {stream: json.loads(text)["tsISO8601"] for stream, text in packets.items()}


def _store(settings: Settings) -> Path:
    """Return the path of the sandbox's store; a link in its place is refused."""
    store = paths.sandbox_store(settings.state)
    files.check_private(store)
    return store
