"""The HTTP engine on requests: pure Python, for where there is no pycurl.

requests limits the wait for each piece of an answer, never the whole; a watchdog does that here.
Requests go straight to its adapter: its session would parse a redirect's target and drain its
body, however long. A name is looked up by the system, whose own limits hold for that part.
"""

import http.client
import ssl
import sys
from functools import partial
from http.cookiejar import Cookie
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar

from swarm.collector.transport.base import BODY_LIMIT, Access, Answer, headers
from swarm.collector.transport.connection import CONNECT_LIMIT, Connection, Deadline, TLSConnection
from swarm.errors import TransportFault, Unanswered, Unreachable, Untrusted

#: Cookies are kept up to this size of their header, in bytes.
COOKIE_LIMIT = 8 * 1024

_JSON = "application/json"
_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


class RequestsSession:
    """A `Session` on one adapter of requests."""

    def __init__(self, access: Access) -> None:
        self._headers = headers(access)
        self._exchange = Deadline(access.timeout)
        self._verify = access.ca_bundle or certifi.where()
        self._adapter = _Adapter(self._exchange, self._verify)
        self._cookies = RequestsCookieJar()
        self._proxy = access.proxy
        self._proxies = {"http": access.proxy, "https": access.proxy} if access.proxy else {}
        # The wait for a piece of the answer: what is left if the watchdog can't shut the socket.
        self._limits = min(access.timeout, CONNECT_LIMIT), access.timeout
        self._prepared: dict[tuple[str, str], requests.PreparedRequest] = {}

    def post(self, url: str, packet: bytes) -> Answer:
        """Post one packet; see `Session`."""
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
        """Tell where it last went; never the credential."""
        used = [url for _, url in self._prepared]
        return f"<RequestsSession {used[-1] if used else 'unused'}>"

    def _request(self, method: str, url: str) -> requests.PreparedRequest:
        """Return the prepared request; the last few are kept."""
        request = self._prepared.get((method, url))
        if request is None:
            if len(self._prepared) > 8:
                self._prepared.clear()
            fixed = self._headers | ({"Content-Type": _JSON} if method == "POST" else {})
            request = requests.Request(method, url, headers=fixed).prepare()
            self._prepared[method, url] = request
        if self._cookies:
            request.headers.pop("Cookie", None)
            request.prepare_cookies(self._cookies)
        return request

    def _send(self, request: requests.PreparedRequest, url: str) -> Answer:
        self._exchange.start()
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
            raise self._fault(urlsplit(url), error) from None
        finally:
            self._exchange.stop()

    def _answer(self, request: requests.PreparedRequest, response: requests.Response) -> Answer:
        status = response.status_code
        if "Set-Cookie" in response.headers:
            extract_cookies_to_jar(  # type: ignore[no-untyped-call]
                self._cookies, request, response.raw
            )
            _bound(self._cookies)
        after = None if 200 <= status < 300 else response.headers.get("Retry-After")
        body, is_cut = _body(response)
        return Answer(status, body, after, is_cut)

    def _fault(self, url: SplitResult, error: Exception) -> TransportFault:
        host, cause = _plain(url.netloc), _cause(error)
        late = self._exchange.expired()
        reason = f"timed out after {self._exchange.timeout:g} s" if late else _reason(cause)
        if self._exchange.sent:
            return Unanswered(f"no answer from {host}: {reason}")
        distrust = isinstance(cause, ssl.SSLCertVerificationError)
        if distrust or (url.scheme == "https" and not self._is_ca_bundle()):
            return Untrusted(f"the certificate of {host} was not accepted: {reason}")
        way = f" through the proxy {_plain(urlsplit(self._proxy).netloc)}" if self._proxy else ""
        return Unreachable(f"could not connect to {host}{way}: {reason}")

    def _is_ca_bundle(self) -> bool:
        """Tell whether the CA file can be used; no connection comes about with one that can't."""
        try:
            _tls().load_verify_locations(self._verify)
        except OSError:
            return False
        return True


class _Adapter(HTTPAdapter):
    """An adapter with one connection, in view of the deadline; it retries nothing."""

    def __init__(self, exchange: Deadline, authorities: str) -> None:
        self._authorities = authorities
        self._pools = {
            "http": partial(_pool, urllib3.HTTPConnectionPool, partial(Connection, exchange)),
            "https": partial(_pool, urllib3.HTTPSConnectionPool, partial(TLSConnection, exchange)),
        }
        self._last: tuple[str | None, Any] = None, None
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *args: Any, **options: Any
    ) -> Any:
        """Return the pool for a request; to find the last one's again is a tenth of its cost."""
        if self._last[0] != request.url:
            pool = super().get_connection_with_tls_context(request, *args, **options)
            self._last = request.url, pool
        return self._last[1]

    def close(self) -> None:
        """Close the connection; urllib3 would leave that to the garbage collector."""
        if self._last[1] is not None:
            self._last[1].close()
        super().close()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=_tls(), **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        # The collector's authorities are loaded by urllib3 itself, those of a proxy are not.
        own = _tls()
        own.load_verify_locations(self._authorities)
        manager = super().proxy_manager_for(
            proxy, ssl_context=_tls(), proxy_ssl_context=own, **options
        )
        manager.pool_classes_by_scheme = self._pools
        return manager


def _bound(cookies: RequestsCookieJar) -> None:
    """Drop what does not fit into a header that servers take; the first ones stay, as in curl."""
    room = COOKIE_LIMIT
    for cookie in cast(list[Cookie], list(cookies)):
        size = len(cookie.name) + len(cookie.value or "") + len("=; ")
        if size > room:
            cookies.clear(cookie.domain, cookie.path, cookie.name)
        else:
            room -= size


def _tls() -> ssl.SSLContext:
    """Return a context as urllib3 makes it, but for SSLKEYLOGFILE: no TLS keys are written.

    The variable is not looked at; what OpenSSL may have made of it is undone.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET
    context.hostname_checks_common_name = False
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    # typeshed forgets that it may be None.
    context.keylog_filename = None  # type: ignore[assignment]
    return context


def _pool(kind: Any, connection: Any, *args: Any, **options: Any) -> Any:
    pool = kind(*args, **options)
    pool.ConnectionCls = connection
    return pool


def _body(response: requests.Response) -> tuple[bytes, bool]:
    """Return the body, or what came of it, and whether it was cut.

    The connection is kept where the body ended.
    """
    response.raw.enforce_content_length = False  # a body that was cut is worth having too
    try:
        body = bytes(response.raw.read(BODY_LIMIT, decode_content=False))
        return body, len(body) < BODY_LIMIT and bool(response.raw.length_remaining)
    except _FAILURES:
        return b"", True
    finally:
        response.close()


def _cause(error: BaseException) -> BaseException:
    """Return what requests and urllib3 wrapped."""
    inner = [getattr(error, "reason", None), *error.args, error.__cause__]
    found = next((each for each in inner if isinstance(each, BaseException)), None)
    return error if found is None else _cause(found)


def _reason(cause: BaseException) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message
    if isinstance(cause, http.client.BadStatusLine):
        return "what came back is not HTTP"  # not for a terminal: it could be anything
    return _plain(getattr(cause, "strerror", None) or str(cause) or type(cause).__name__)


def _plain(text: str) -> str:
    """Return one printable line, without what a URL may hold before its ``@``."""
    words = (word.rpartition("@")[2] for word in text.split())
    return "".join(sign if sign.isprintable() else "?" for sign in " ".join(words))
