"""The interface of the HTTP engines: access, answer, session."""

import base64
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from swarm.version import VERSION

Engine = Literal["auto", "curl", "requests"]

#: An answer's body is read to this many bytes; what comes after is left unread.
BODY_LIMIT = 64 * 1024


class Answer(NamedTuple):
    """A collector's answer: the header was complete, the body may have been cut.

    ``is_cut`` says that it was, by the connection's end; past `BODY_LIMIT` it is left.
    """

    status: int
    body: bytes = b""
    retry_after: str | None = None
    is_cut: bool = False


@dataclass(frozen=True)
class Access:
    """Access to a collector: credentials, whole time of one request (s), CA file, proxy URL."""

    username: str
    password: str = field(repr=False)
    timeout: float = 30.0
    ca_bundle: str | None = None
    proxy: str | None = None

    def __hash__(self) -> int:
        # Sessions are looked up by it for each packet of the library.
        return hash((self.username, self.password))

    @property
    def authorization(self) -> str:
        """The value of the ``Authorization`` header: RFC 7617 basic auth, in UTF-8."""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")


class Session(Protocol):
    """One connection to one collector with one credential, for one job at a time."""

    def post(self, url: str, packet: bytes) -> Answer:
        """Post one packet.

        Raises `Unreachable` (nothing was sent), `Untrusted` (TLS, nothing was sent) or
        `Unanswered` (no complete header came back).
        """

    def get(self, url: str) -> Answer:
        """Get a resource; raises as `post` does."""

    def close(self) -> None:
        """Close the connection; a closed session is not used again."""


def headers(access: Access) -> dict[str, str]:
    """Return the request headers that both engines send."""
    return {
        "Authorization": access.authorization,
        "User-Agent": f"wattics-swarm/{VERSION}",
        "Accept": "application/json",
    }
