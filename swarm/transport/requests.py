"""The HTTP engine on requests: pure Python, for where there is no pycurl.

requests limits the wait for each piece of an answer, never the whole; a watchdog does that here.
Requests go straight to its adapter: its session would parse a redirect's target and drain its
body, however long. A name is looked up by the system, whose own limits hold for that part.
"""

import http.client
import io
import socket
import ssl
import time
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar
from urllib3.connection import HTTPConnection, HTTPSConnection

from swarm.errors import TransportFault, Unanswered, Unreachable, Untrusted
from swarm.transport import BODY_LIMIT, Access, Answer, headers

#: To connect takes no longer than this (s), even where a whole request may.
CONNECT_LIMIT = 10.0

_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


class RequestsSession:
    """A `swarm.transport.Session` on one adapter of requests."""

    def __init__(self, access: Access) -> None:
        self._headers = headers(access)
        self._guard = _Guard(access.timeout)
        self._adapter = _Adapter(self._guard)
        self._cookies = RequestsCookieJar()
        self._proxy = access.proxy
        self._proxies = {"http": access.proxy, "https": access.proxy} if access.proxy else {}
        self._verify = access.ca_bundle or certifi.where()
        self._limits = urllib3.Timeout(
            connect=min(access.timeout, CONNECT_LIMIT), read=access.timeout
        )
        self._prepared: dict[str, requests.PreparedRequest] = {}

    def post(self, url: str, packet: bytes) -> Answer:
        """Post one packet; see `swarm.transport.Session`."""
        request = self._request("POST", url)
        request.body = packet
        request.headers["Content-Length"] = str(len(packet))
        return self._exchange(request, url)

    def get(self, url: str) -> Answer:
        """Get a resource; see `swarm.transport.Session`."""
        return self._exchange(self._request("GET", url), url)

    def close(self) -> None:
        """Close the connection."""
        self._adapter.close()

    def __repr__(self) -> str:
        """Tell where it last went; never the credential."""
        used = [request.url for request in self._prepared.values()]
        return f"<RequestsSession {used[-1] if used else 'unused'}>"

    def _request(self, method: str, url: str) -> requests.PreparedRequest:
        """Return the prepared request, the last one of this method where it fits."""
        request = self._prepared.get(method)
        if request is None or request.url != url:
            fixed = dict(self._headers)
            if method == "POST":
                fixed["Content-Type"] = "application/json"
            request = requests.Request(method, url, headers=fixed).prepare()
            self._prepared[method] = request
        if self._cookies:
            request.headers.pop("Cookie", None)
            request.prepare_cookies(self._cookies)
        return request

    def _exchange(self, request: requests.PreparedRequest, url: str) -> Answer:
        self._guard.start()
        try:
            response = self._adapter.send(
                request,
                stream=True,
                timeout=self._limits,
                verify=self._verify,
                proxies=self._proxies,
            )
            return self._answer(request, response)
        except _FAILURES as error:
            raise self._fault(urlsplit(url).netloc, error) from None
        finally:
            self._guard.stop()

    def _answer(self, request: requests.PreparedRequest, response: requests.Response) -> Answer:
        status = response.status_code
        if "Set-Cookie" in response.headers:
            extract_cookies_to_jar(self._cookies, request, response.raw)
        after = None if 200 <= status < 300 else response.headers.get("Retry-After")
        return Answer(status, _body(response), after)

    def _fault(self, host: str, error: Exception) -> TransportFault:
        host, cause = _plain(host), _cause(error)
        if self._guard.expired():
            reason = f"timed out after {self._guard.timeout:g} s"
        elif isinstance(cause, ssl.SSLCertVerificationError):
            reason = cause.verify_message
        else:
            reason = _plain(getattr(cause, "strerror", None) or str(cause))
        if self._guard.sent:
            return Unanswered(f"no answer from {host}: {reason}")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Untrusted(f"the certificate of {host} was not accepted: {reason}")
        way = f" through the proxy {_plain(urlsplit(self._proxy).netloc)}" if self._proxy else ""
        return Unreachable(f"could not connect to {host}{way}: {reason}")


class _Adapter(HTTPAdapter):
    """An adapter with one connection, which its guard knows; it retries nothing."""

    def __init__(self, guard: _Guard) -> None:
        self._pools = {
            "http": partial(_pool, urllib3.HTTPConnectionPool, partial(_Connection, guard)),
            "https": partial(_pool, urllib3.HTTPSConnectionPool, partial(_TLSConnection, guard)),
        }
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pool(kind: Any, connection: Any, *args: Any, **options: Any) -> Any:
    pool = kind(*args, **options)
    pool.ConnectionCls = connection
    return pool


class _HeaderReader(io.BufferedReader):
    """http.client takes a header that is cut off for a whole one; with this it does not."""

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n"):
            raise http.client.HTTPException("the answer ended before its header did")
        return line


class _Response(http.client.HTTPResponse):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fp = _HeaderReader(cast(io.BufferedReader, self.fp).detach())

    def begin(self) -> None:
        """Read on until the header is the answer's; http.client itself skips none but 100."""
        super().begin()
        while self.status < 200:
            self.headers = self.msg = cast(http.client.HTTPMessage, None)
            super().begin()


class _Connection(HTTPConnection):
    """A connection that shows its socket to the guard, and when it begins to send."""

    response_class = _Response

    def __init__(self, guard: _Guard, *args: Any, **options: Any) -> None:
        self._guard = guard
        super().__init__(*args, **options)

    def _new_conn(self) -> socket.socket:
        limit = time.monotonic() + min(self._guard.remaining(), CONNECT_LIMIT)
        sock = _dialled(self.host, self.port, limit)
        self._guard.socket = sock
        # What limits the TLS handshake, in which the watchdog can't reach the socket.
        sock.settimeout(self._guard.remaining())
        return sock

    def connect(self) -> None:
        super().connect()
        self._guard.socket = self.sock
        self._guard.remaining()

    def request(self, *args: Any, **options: Any) -> None:
        if self.sock is None:
            self.connect()
        self._guard.sent = True
        super().request(*args, **options)


class _TLSConnection(_Connection, HTTPSConnection):
    pass


def _dialled(host: str, port: int, limit: float) -> socket.socket:
    """Connect to the first address that answers; one limit for all of them together."""
    error: OSError = TimeoutError("timed out")
    for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            left = max(0.001, limit - time.monotonic())
            sock = socket.create_connection(address[:2], left)
        except OSError as failure:
            error = failure
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    raise error


def _body(response: requests.Response) -> bytes:
    """Return the body, or what came of it; the connection is kept where the body ended."""
    response.raw.enforce_content_length = False  # a body that was cut is worth having too
    try:
        return bytes(response.raw.read(BODY_LIMIT, decode_content=False))
    except _FAILURES:
        return b""
    finally:
        response.close()


def _cause(error: BaseException) -> BaseException:
    """Return what requests and urllib3 wrapped."""
    inner = [getattr(error, "reason", None), *error.args, error.__cause__]
    found = next((each for each in inner if isinstance(each, BaseException)), None)
    return error if found is None else _cause(found)


def _plain(text: str) -> str:
    """Return one line without what a URL may hold before its ``@``."""
    return " ".join(word.rpartition("@")[2] for word in text.split())
