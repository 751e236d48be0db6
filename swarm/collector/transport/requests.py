"""The HTTP engine on requests: pure Python, for systems without pycurl.

requests limits the wait for each piece of an answer, but not the total time; the watchdog of
`swarm.collector.transport.connection` does. This engine uses the adapter of requests directly: a
session of requests would parse the target of a redirect and read its whole body. A name is looked
up by the system, which has its own time limits for that.
"""

import http.client
import ssl
import sys
from functools import partial
from http.cookiejar import Cookie
from typing import Any, cast
from urllib.parse import urlsplit

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar

from swarm.collector.transport.base import (
    BODY_LIMIT,
    CONNECT_LIMIT,
    Access,
    Answer,
    headers,
    printable,
    transport_fault,
)
from swarm.collector.transport.connection import Connection, Deadline, TLSConnection
from swarm.errors import TransportFault

#: Limit for the ``Cookie`` header, in bytes; cookies that do not fit are dropped.
COOKIE_LIMIT = 8 * 1024

_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


class RequestsSession:
    """A `Session` on one adapter of requests."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._deadline = Deadline(access.timeout)
        self._authorities = access.ca_bundle or certifi.where()
        self._adapter = _Adapter(self._deadline, self._authorities)
        self._cookies = RequestsCookieJar()
        self._proxies = {"http": access.proxy, "https": access.proxy} if access.proxy else {}
        # Limits for connecting and for each read, in case the watchdog can't shut down the socket.
        self._limits = min(access.timeout, CONNECT_LIMIT), access.timeout
        self._prepared: dict[tuple[str, str], requests.PreparedRequest] = {}

    def post(self, url: str, packet: bytes) -> Answer:
        """Post one packet; see `Session`.

        Raises `Unreachable`, `Untrusted` or `Unanswered`.
        """
        request = self._request("POST", url)
        request.body = packet
        request.headers["Content-Length"] = str(len(packet))
        return self._send(request, url)

    def get(self, url: str) -> Answer:
        """Get a resource; see `Session`."""
        return self._send(self._request("GET", url), url)

    def close(self) -> None:
        """Close the connection."""
        self._adapter.close()

    def __repr__(self) -> str:
        """Return the last URL, without the credential."""
        used = [url for _, url in self._prepared]
        return f"<RequestsSession {used[-1] if used else 'unused'}>"

    def _request(self, method: str, url: str) -> requests.PreparedRequest:
        """Return a prepared request with the present cookies; the last few requests are cached."""
        request = self._prepared.get((method, url))
        if request is None:
            if len(self._prepared) > 8:
                self._prepared.clear()
            fixed = headers(self._access, is_post=method == "POST")
            request = requests.Request(method, url, headers=fixed).prepare()
            self._prepared[method, url] = request
        if self._cookies:
            request.headers.pop("Cookie", None)
            request.prepare_cookies(self._cookies)
        return request

    def _send(self, request: requests.PreparedRequest, url: str) -> Answer:
        self._deadline.start()
        try:
            response = self._adapter.send(
                request,
                stream=True,
                timeout=self._limits,
                verify=self._authorities,
                proxies=self._proxies,
            )
            if "Set-Cookie" in response.headers:
                extract_cookies_to_jar(  # type: ignore[no-untyped-call]
                    self._cookies, request, response.raw
                )
                _limit_cookies(self._cookies)
            status = response.status_code
            after = None if 200 <= status < 300 else response.headers.get("Retry-After")
            body, is_cut = _read_body(response)
            return Answer(status, body, after, is_cut)
        except _FAILURES as error:
            raise self._fault(url, error) from None
        finally:
            self._deadline.stop()

    def _fault(self, url: str, error: Exception) -> TransportFault:
        cause = _root_cause(error)
        is_untrusted = isinstance(cause, ssl.SSLCertVerificationError)
        if self._deadline.expired():
            reason = f"timed out after {self._deadline.timeout:g} s"
        elif isinstance(cause, ssl.SSLCertVerificationError):
            reason = cause.verify_message
        elif isinstance(cause, http.client.BadStatusLine):
            reason = "the answer is not HTTP"  # its text could be anything: do not print it
        else:
            reason = printable(
                getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
            )
        if not self._deadline.sent and not is_untrusted and urlsplit(url).scheme == "https":
            # With a CA file that can't be loaded, no connection comes about.
            try:
                _tls_context().load_verify_locations(self._authorities)
            except OSError:
                is_untrusted = True
        return transport_fault(
            url,
            self._access.proxy,
            reason,
            was_sent=self._deadline.sent,
            is_untrusted=is_untrusted,
        )


class _Adapter(HTTPAdapter):
    """An adapter with one connection, which observes the deadline; it never retries."""

    def __init__(self, deadline: Deadline, authorities: str) -> None:
        self._authorities = authorities
        self._pools = {
            "http": partial(_pool, urllib3.HTTPConnectionPool, partial(Connection, deadline)),
            "https": partial(_pool, urllib3.HTTPSConnectionPool, partial(TLSConnection, deadline)),
        }
        self._last: tuple[str | None, Any] = None, None
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *args: Any, **options: Any
    ) -> Any:
        """Return the pool for a request; the last one is cached, as a lookup costs 10 % of it."""
        if self._last[0] != request.url:
            pool = super().get_connection_with_tls_context(request, *args, **options)
            self._last = request.url, pool
        return self._last[1]

    def close(self) -> None:
        """Close the connection at once; urllib3 would leave that to the garbage collector."""
        if self._last[1] is not None:
            self._last[1].close()
        super().close()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=_tls_context(), **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        # urllib3 loads the CA file for connections to the collector, but not for those to a proxy.
        proxy_context = _tls_context()
        proxy_context.load_verify_locations(self._authorities)
        manager = super().proxy_manager_for(
            proxy, ssl_context=_tls_context(), proxy_ssl_context=proxy_context, **options
        )
        manager.pool_classes_by_scheme = self._pools
        return manager


def _limit_cookies(cookies: RequestsCookieJar) -> None:
    """Drop the cookies that do not fit into `COOKIE_LIMIT`; the first ones stay, as with curl."""
    room = COOKIE_LIMIT
    for cookie in cast(list[Cookie], list(cookies)):
        size = len(cookie.name) + len(cookie.value or "") + len("=; ")
        if size > room:
            cookies.clear(cookie.domain, cookie.path, cookie.name)
        else:
            room -= size


def _tls_context() -> ssl.SSLContext:
    """Return a context as urllib3 makes it, except that it writes no TLS keys (SSLKEYLOGFILE)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET
    context.hostname_checks_common_name = False
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    # OpenSSL may have read the variable. typeshed omits that the attribute may be None.
    context.keylog_filename = None  # type: ignore[assignment]
    return context


def _pool(kind: Any, connection: Any, *args: Any, **options: Any) -> Any:
    pool = kind(*args, **options)
    pool.ConnectionCls = connection
    return pool


def _read_body(response: requests.Response) -> tuple[bytes, bool]:
    """Return the body, as far as it can be read, and True if it was cut.

    The connection is kept if the body was read to its end.
    """
    response.raw.enforce_content_length = False  # return a part of the body instead of an error
    try:
        body = bytes(response.raw.read(BODY_LIMIT, decode_content=False))
        return body, len(body) < BODY_LIMIT and bool(response.raw.length_remaining)
    except _FAILURES:
        return b"", True
    finally:
        response.close()


def _root_cause(error: BaseException) -> BaseException:
    """Return the error that requests and urllib3 have wrapped."""
    inner = [getattr(error, "reason", None), *error.args, error.__cause__]
    found = next((each for each in inner if isinstance(each, BaseException)), None)
    return error if found is None else _root_cause(found)
