"""``environment = sandbox``: a collector for one run, whose packets stay for the next."""

from collections.abc import Iterator
from contextlib import contextmanager

from swarm.progress import Quiet
from swarm.settings import Settings


@contextmanager
def opened(settings: Settings, observer: Quiet) -> Iterator[str]:
    """Run the sandbox collector; yield its URL, and note at the end what it holds and where."""
    from swarm.sandbox.server import running

    folder = settings.state / "sandbox"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = folder / "packets.sqlite"
    known = {
        (m.credentials.username, m.credentials.password) for m in settings.meters if m.credentials
    }
    # What the user asked to send again, or late, a rehearsal has to take.
    accept_late = settings.upload.restart or settings.upload.late == "send"
    with running(store, credentials=known, accept_late=accept_late) as sandbox:
        yield sandbox.url
        packets = sandbox.packets()
    observer.notes.append(f"The sandbox holds {packets:,} packets, in {store}")
