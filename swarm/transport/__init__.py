"""The HTTP engines behind one small interface: post and get bytes, nothing else.

An engine keeps its connection open, keeps cookies and sends them back, and limits the whole time
of a request. It never retries, never follows a redirect, and takes nothing from the environment:
whether a packet may be sent again is for `swarm.delivery` to decide.
"""

import base64
import os
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Literal, NamedTuple, Protocol

from swarm.errors import SettingsError
from swarm.extras import install
from swarm.scheduler import THREADS, Scheduler
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


def available(engine: Engine) -> Literal["curl", "requests"]:
    """Return the engine to use: ``auto`` is curl where pycurl is installed, and can be used.

    Raises `SettingsError` where curl is asked for and can't be had.
    """
    obstacle = None if engine == "requests" else _obstacle()
    if engine == "curl" and obstacle:
        raise SettingsError(f"--transport curl: {obstacle}, or leave the option out")
    return "requests" if engine == "requests" or obstacle else "curl"


def _obstacle() -> str | None:
    """Return why curl can't be used, and what to do; None where it can."""
    try:
        libcurl = import_module("swarm.transport.libcurl")
        import_module("swarm.transport.curl")
    except ImportError as error:
        return f"pycurl can't be loaded ({error}); run: {install('fast')}"
    return f"{libcurl.OBSTACLE}; unset it" if libcurl.OBSTACLE else None


def scheduler(engine: Engine) -> Scheduler:
    """Return what runs streams side by side: a loop, where libcurl and greenlet can be loaded."""
    if available(engine) == "curl":
        with suppress(ImportError):
            return _loop(os.getpid())
    return THREADS


@cache
def _loop(_process: int) -> Scheduler:
    """Return the loop of this process: a fork has the memory of its parent's, but not its thread.

    It never ends, nor needs to: without jobs it sleeps.
    """
    from swarm.transport.loop import Loop

    return Loop()


def open_session(engine: Engine, access: Access, scheduler: Scheduler = THREADS) -> Session:
    """Return a new session, for a job of a scheduler; it connects with its first request."""
    if available(engine) == "curl":
        from swarm.transport.curl import CurlSession

        return CurlSession(access, scheduler)
    from swarm.transport.requests import RequestsSession

    return RequestsSession(access)


def headers(access: Access) -> dict[str, str]:
    """Return the request headers that both engines send."""
    return {
        "Authorization": access.authorization,
        "User-Agent": f"wattics-swarm/{VERSION}",
        "Accept": "application/json",
    }
