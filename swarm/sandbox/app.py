"""The sandbox as a starlette application: credentials, session, the API's two methods, the page.

The API is plain ASGI: starlette's routing, `Request` and `Response` would cost a fifth of the
throughput, and their way of reading a body would send a 100 to a client that asks for one.
"""

import base64
import binascii
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from swarm.errors import StateError
from swarm.sandbox import page
from swarm.sandbox.paths import FORGET_PATH, LAST_PATH, STATUS_PATH
from swarm.sandbox.refusals import Refusals
from swarm.sandbox.store import Store
from swarm.sandbox.validate import (
    PARTIAL_PATH,
    PATH,
    UTC_PATH,
    Breach,
    Packet,
    check_headers,
    check_packet,
)
from swarm.web.hosts import LoopbackNames

Headers = Mapping[bytes, bytes]
Pairs = list[tuple[bytes, bytes]]
Client = tuple[str, int] | None
Endpoint = Callable[[Request], Awaitable[Response]]

_API: Final = frozenset((PATH, UTC_PATH, PARTIAL_PATH))
_STORED: Final = b'{"status":"ok"}'
_STATUS_HEADERS: Final[dict[int, Pairs]] = {
    401: [(b"www-authenticate", b'Basic realm="swarm sandbox", charset="UTF-8"')],
    405: [(b"allow", b"GET, POST")],
}
_JSON: Final = ((b"content-type", b"application/json"),)


class Guard:
    """Basic auth: accepts the given pairs of user name and password, or any pair if `None`."""

    def __init__(self, credentials: Collection[tuple[str, str]] | None) -> None:
        self._accepts_all = credentials is None
        self._accepted = [f"{user}:{password}".encode() for user, password in credentials or ()]

    def breach(self, headers: Headers) -> Breach | None:
        """Return why a request is not authorised, None if it is."""
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"basic":
            return Breach(401, "basic auth is missing: send a user name and a password")
        try:
            pair = base64.b64decode(token.strip(), validate=True)
            user, _, password = pair.decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return Breach(401, "the credentials must be user:password as UTF-8 in base64")
        if not (user and password):
            return Breach(401, "the user name or the password is empty")
        # A list, not a generator: the response time must not reveal which pair matched.
        matches = [hmac.compare_digest(pair, accepted) for accepted in self._accepted]
        if self._accepts_all or any(matches):
            return None
        return Breach(401, "the credentials are not accepted")


class SandboxSessions:
    """Session cookies: a connection that was given one must send one back."""

    def __init__(self) -> None:
        self._mark = b"swarm_session=" + secrets.token_hex(8).encode() + b"."
        self._created = 0
        self._given: set[Client] = set()

    def get_or_create(self, client: Client, headers: Headers) -> tuple[Breach | None, Pairs]:
        """Return what is wrong with a request's cookie, and the headers that set a new one."""
        if self._mark in headers.get(b"cookie", b""):
            return None, []
        if client in self._given:
            reason = "the session cookie of this connection's first answer was not sent back"
            return Breach(400, reason), []
        self._given.add(client)
        self._created += 1
        return None, [(b"set-cookie", b"%s%d; Path=/; HttpOnly" % (self._mark, self._created))]

    def forget(self, client: Client) -> None:
        """Forget a connection that has ended: another one may get the same port."""
        self._given.discard(client)


class Collector:
    """The API, as an ASGI application for all of its paths."""

    def __init__(
        self, store: Store, guard: Guard, sessions: SandboxSessions, refusals: Refusals
    ) -> None:
        self._store = store
        self._guard = guard
        self._sessions = sessions
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        method, headers = scope["method"], dict(scope["headers"])
        breach, extra = self._sessions.get_or_create(scope["client"], headers)
        outcome: Breach | bytes | None = self._guard.breach(headers) or breach
        try:
            if outcome is None and method == "POST":
                outcome = await self._post(headers, receive, utc=scope["path"] == UTC_PATH)
            elif outcome is None and method == "GET":
                outcome = self._get(scope["query_string"])
            elif outcome is None:
                outcome = Breach(405, f"the method {method} is not supported: use GET or POST")
        except StateError as error:
            outcome = Breach(500, str(error))
        except ClientDisconnect:
            return
        status, body = 200, outcome
        if isinstance(outcome, Breach):
            status = outcome.status
            # Asking for a stream before its first packet is not a mistake of the client.
            if status != 404:
                self._refusals.note(outcome)
            body = json.dumps({"status": "refused", "reason": outcome.reason}).encode()
            extra = [*extra, *_STATUS_HEADERS.get(status, [])]
        response_headers = [*_JSON, (b"content-length", b"%d" % len(body)), *extra]
        await send({"type": "http.response.start", "status": status, "headers": response_headers})
        await send({"type": "http.response.body", "body": body})

    async def _post(self, headers: Headers, receive: Receive, *, utc: bool) -> Breach | bytes:
        """Check and store a packet."""
        breach = check_headers(headers)
        if breach:
            return breach
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            more = message.get("more_body", False)
        outcome = check_packet(body, utc=utc)
        if isinstance(outcome, Packet):
            return self._store.add(outcome) or _STORED
        return outcome

    def _get(self, query: bytes) -> Breach | bytes:
        """Return the last packet of the stream that the query names."""
        streams = parse_qs(query.decode("latin-1")).get("stream", [])
        if len(streams) != 1:
            return Breach(400, "the query must name one stream: ?stream=ID")
        text = self._store.last(streams[0])
        if text is None:
            return Breach(404, "nothing is stored for this stream yet", streams[0])
        return text.encode()


def create(
    store: Store,
    sessions: SandboxSessions,
    credentials: Collection[tuple[str, str]] | None,
    key: str | None = None,
) -> LoopbackNames:
    """Return the sandbox's application.

    ``credentials`` are the pairs that it accepts; `None` accepts any pair. A client with the
    ``key`` may delete the packets of streams and read the last ones; without a key nobody may.
    """
    refusals = Refusals()
    collector = Collector(store, Guard(credentials), sessions, refusals)

    async def show_status(_: Request) -> Response:
        return JSONResponse({"packets": store.count()})

    async def forget(request: Request) -> Response:
        store.forget(await request.json())
        return JSONResponse({"packets": store.count()})

    async def last(_: Request) -> Response:
        return JSONResponse(store.last_packets())

    routes = [*page.routes(store, refusals), Route(STATUS_PATH, show_status)]
    if key:
        routes += [
            Route(FORGET_PATH, _requires_key(forget, key), methods=["POST"]),
            Route(LAST_PATH, _requires_key(last, key)),
        ]
    pages = Starlette(
        routes=routes, exception_handlers={HTTPException: _on_error, StateError: _on_error}
    )
    # Many clients repeat a redirected POST as a GET: never redirect to the path with a slash.
    pages.router.redirect_slashes = False

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        app = collector if scope["path"] in _API else pages
        await app(scope, receive, send)

    return LoopbackNames(dispatch)


def _requires_key(endpoint: Endpoint, key: str) -> Endpoint:
    """Return an endpoint that answers only requests with the key."""
    expected = f"Bearer {key}".encode()

    async def guarded(request: Request) -> Response:
        given = request.headers.get("authorization", "").encode("latin-1")
        if hmac.compare_digest(given, expected):
            return await endpoint(request)
        return JSONResponse({"status": "refused", "reason": "the key is wrong"}, 401)

    return guarded


async def _on_error(_: Request, error: Exception) -> Response:
    """Return the answer for a wrong path or method, or a store that failed."""
    status, reason, headers = 500, str(error), None
    if isinstance(error, HTTPException):
        status, headers = error.status_code, error.headers
        reason = f"this path does not exist: packets go to {PATH}"
        if status == 405:
            reason = f"this path does not take this method: packets go to {PATH}"
    return JSONResponse({"status": "refused", "reason": reason}, status, headers)
