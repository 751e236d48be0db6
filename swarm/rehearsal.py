"""``environment = sandbox``: a collector for one run, whose packets stay for the next."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swarm.progress import Quiet
from swarm.settings import Settings


@contextmanager
def opened(settings: Settings, observer: Quiet) -> Iterator[str]:
    """Run the sandbox collector; yield its URL, and note at the end what it holds and where."""
    from swarm.sandbox.server import running

    store = _store(settings)
    store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = {
        (m.credentials.username, m.credentials.password) for m in settings.meters if m.credentials
    }
    # What the user asked to send again, or late, a rehearsal has to take.
    accept_late = settings.upload.restart or settings.upload.late == "send"
    with running(store, credentials=known, accept_late=accept_late) as sandbox:
        yield sandbox.url
        packets = sandbox.packets()
    observer.notes.append(f"The sandbox holds {packets:,} packets, in {store}")


def last_times(settings: Settings) -> dict[str, str]:
    """Return the time of the packet of each stream that the sandbox stored last, verbatim.

    It is not started for that. Raises `StateError` where its store can't be read.
    """
    from swarm.sandbox.store import last_packets

    packets = last_packets(_store(settings))
    return {stream: json.loads(text)["tsISO8601"] for stream, text in packets.items()}


def _store(settings: Settings) -> Path:
    return settings.state / "sandbox" / "packets.sqlite"
