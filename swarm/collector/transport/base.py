"""The interface of the HTTP engines (access, answer, session), and what the engines share."""

import base64
import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol
from urllib.parse import urlsplit

from swarm.errors import TransportFault, Unanswered, Unreachable, Untrusted
from swarm.version import VERSION

Engine = Literal["auto", "curl", "requests"]

#: Limit for the body of an answer, in bytes; the rest is not read.
BODY_LIMIT = 64 * 1024

#: Limit for connecting, TLS included (s), also if a request may take longer.
CONNECT_LIMIT = 10.0

#: The reason of a fault if the connection ended within the header of the answer.
INCOMPLETE_HEADER = "the answer ended before its header was complete"

# What a word may hold before the host of a URL; a quote before the URL is kept.
_USERINFO = re.compile(r"(?<!\S)(['\"]?)\S*@")


class Answer(NamedTuple):
    """An answer of the collector with a complete header.

    ``is_cut`` is True if the connection ended within the body; a body longer than `BODY_LIMIT` is
    shortened, but not cut.
    """

    status: int
    body: bytes = b""
    retry_after: str | None = None
    is_cut: bool = False


@dataclass(frozen=True)
class Access:
    """Access to a collector: credential, total time of a request (s), CA file, URL of the proxy."""

    username: str
    password: str = field(repr=False)
    timeout: float = 30.0
    ca_bundle: str | None = None
    proxy: str | None = None

    def __hash__(self) -> int:
        # The library looks up a session by its access for each packet: hash the main fields only.
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

        Raise `Unreachable` (nothing was sent), `Untrusted` (TLS, nothing was sent) or `Unanswered`
        (no complete header came back).
        """

    def get(self, url: str) -> Answer:
        """Get a resource; raise the same errors as `post`."""

    def close(self) -> None:
        """Close the connection; a closed session must not be used again."""


def headers(access: Access, *, is_post: bool) -> dict[str, str]:
    """Return the request headers that both engines send."""
    common = {
        "Authorization": access.authorization,
        "User-Agent": f"wattics-swarm/{VERSION}",
        "Accept": "application/json",
    }
    return common | ({"Content-Type": "application/json"} if is_post else {})


def transport_fault(
    url: str, proxy: str | None, reason: str, *, was_sent: bool, is_untrusted: bool
) -> TransportFault:
    """Return the error for a request that got no answer; its text holds no credential."""
    host = printable(urlsplit(url).netloc)
    if was_sent:
        return Unanswered(f"no answer from {host}: {reason}")
    if is_untrusted:
        return Untrusted(f"the certificate of {host} was not accepted: {reason}")
    via = f" through the proxy {printable(urlsplit(proxy).netloc)}" if proxy else ""
    return Unreachable(f"could not connect to {host}{via}: {reason}")


def printable(text: str) -> str:
    """Return a text as one printable line, without what a URL may hold before its ``@``."""
    line = _USERINFO.sub(r"\1", " ".join(text.split()))
    return "".join(character if character.isprintable() else "?" for character in line)
