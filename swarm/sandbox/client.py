"""Requests of a run, and of `swarm status`, to a sandbox: over loopback, with its key.

A sandbox has its store to itself: to share it would cost each packet a third more. So its run
leaves word beside the store of where the sandbox is, and who finds the store in use asks there.
"""

import http.client
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from swarm.errors import StateError
from swarm.files import open_fresh
from swarm.sandbox import store as stores
from swarm.sandbox.page import FORGET_PATH, LAST_PATH, STATUS_PATH

# How long an answer may take that needs no work, and one for which many packets are dropped (s).
_PATIENCE: Final = 10.0
_LONG_PATIENCE: Final = 600.0


@dataclass(frozen=True)
class Client:
    """Asks the sandbox at a URL; every question raises `StateError` where it has no answer."""

    url: str
    key: str

    def packets(self) -> int:
        """Return how many packets the sandbox holds."""
        return int(self._asked("GET", STATUS_PATH)["packets"])

    def last_packets(self) -> dict[str, str]:
        """Return the packet of each stream that was stored last, verbatim."""
        return dict(self._asked("GET", LAST_PATH))

    def forget(self, streams: Sequence[str]) -> None:
        """Have the packets of some streams dropped."""
        self._asked("POST", FORGET_PATH, json.dumps(streams), _LONG_PATIENCE)

    def _asked(
        self, method: str, path: str, body: str | None = None, patience: float = _PATIENCE
    ) -> Any:
        place = urlsplit(self.url).netloc
        connection = http.client.HTTPConnection(place, timeout=patience)
        try:
            with closing(connection):
                connection.request(method, path, body, {"Authorization": f"Bearer {self.key}"})
                response = connection.getresponse()
                answer = json.load(response)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise StateError(f"the sandbox at {self.url} does not answer: {error}") from error
        if response.status != 200:
            raise StateError(f"the sandbox at {self.url}: {answer['reason']}")
        return answer


@contextmanager
def announced(client: Client, store: Path) -> Iterator[None]:
    """Leave word beside a store of the sandbox that uses it, readable by this user alone."""
    path = _word(store)
    # Without it `swarm status` can't look meanwhile, and no more.
    with suppress(OSError), os.fdopen(open_fresh(path), "w", encoding="utf-8") as file:
        json.dump([client.url, client.key], file)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def last_packets(store: Path) -> dict[str, str]:
    """Return the packet of each stream that was stored last, verbatim: read, or asked for.

    Raises `StateError` where neither can be done.
    """
    try:
        return stores.last_packets(store)
    except stores.StoreInUseError:
        # A word that is stale leads nowhere: then the store's own is the better one.
        with suppress(OSError, ValueError, TypeError, StateError):
            return Client(*json.loads(_word(store).read_text(encoding="utf-8"))).last_packets()
        raise


def _word(store: Path) -> Path:
    return store.with_name(f"{store.name}-at")
