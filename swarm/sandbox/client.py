"""Requests of a run, and of `swarm status`, to a sandbox: over loopback, with its key.

A sandbox locks its store: to share it would cost a third more per packet. So the run writes the
sandbox's address into a file beside the store, and `swarm status` asks there while it is in use.
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
from swarm.sandbox.paths import FORGET_PATH, LAST_PATH, STATUS_PATH

# The time limits (s) of a request, and of one that deletes packets.
_TIMEOUT: Final = 10.0
_DELETE_TIMEOUT: Final = 600.0


@dataclass(frozen=True)
class Client:
    """Client of the sandbox at a URL; each method raises `StateError` if there is no answer."""

    url: str
    key: str

    def packets(self) -> int:
        """Return the number of packets in the sandbox."""
        return int(self._request("GET", STATUS_PATH)["packets"])

    def last_packets(self) -> dict[str, str]:
        """Return the packet of each stream that was stored last, verbatim."""
        return dict(self._request("GET", LAST_PATH))

    def forget(self, streams: Sequence[str]) -> None:
        """Delete the packets of some streams."""
        self._request("POST", FORGET_PATH, json.dumps(streams), _DELETE_TIMEOUT)

    def _request(
        self, method: str, path: str, body: str | None = None, timeout: float = _TIMEOUT
    ) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=timeout)
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
    """Write the address of the sandbox that uses a store beside it, readable by this user only."""
    path = _address_file(store)
    # Without the file, only a `swarm status` during the run fails.
    with suppress(OSError), os.fdopen(open_fresh(path), "w", encoding="utf-8") as file:
        json.dump([client.url, client.key], file)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def last_packets(store: Path) -> dict[str, str]:
    """Return the packet of each stream that was stored last, verbatim.

    It comes from the file, or from the sandbox that uses it. Raises `StateError` if both fail.
    """
    try:
        return stores.last_packets(store)
    except stores.StoreInUseError:
        # The address may be stale: raise the error of the store in that case.
        with suppress(OSError, ValueError, TypeError, StateError):
            return Client(
                *json.loads(_address_file(store).read_text(encoding="utf-8"))
            ).last_packets()
        raise


def _address_file(store: Path) -> Path:
    return store.with_name(f"{store.name}-at")
