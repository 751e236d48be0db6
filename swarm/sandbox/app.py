"""The sandbox as a starlette application: credentials, session, the API's two methods, the page.

The API is plain ASGI: starlette's `Request` and `Response` would cost a tenth of the throughput,
and reading a body as they do would tell a client that waits for a 100 to go on.
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
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from swarm.errors import StateError
from swarm.sandbox.hosts import LoopbackNames
from swarm.sandbox.page import FORGET_PATH, LAST_PATH, STATUS_PATH, Refusals, render
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

Headers = Mapping[bytes, bytes]
Pairs = list[tuple[bytes, bytes]]
Client = tuple[str, int] | None
Answer = Callable[[Request], Awaitable[Response]]

_STORED: Final = b'{"status":"ok"}'
_EXTRA: Final[dict[int, Pairs]] = {
    401: [(b"www-authenticate", b'Basic realm="swarm sandbox", charset="UTF-8"')],
    405: [(b"allow", b"GET, POST")],
}
_JSON: Final = ((b"content-type", b"application/json"),)
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


class Guard:
    """Basic auth: the pairs it lets in, or any pair of a name and a password."""

    def __init__(self, credentials: Collection[tuple[str, str]] | None) -> None:
        self._open = credentials is None
        self._accepted = [f"{user}:{word}".encode() for user, word in credentials or ()]

    def breach(self, headers: Headers) -> Breach | None:
        """Return why a request is not let in."""
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"basic":
            return Breach(401, "basic auth is missing: send a user name and a password")
        try:
            pair = base64.b64decode(token.strip(), validate=True)
            user, _, word = pair.decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return Breach(401, "the credentials must be user:password as UTF-8 in base64")
        if not (user and word):
            return Breach(401, "the user name or the password is empty")
        return None if self._accepts(pair) else Breach(401, "the credentials are not accepted")

    def _accepts(self, pair: bytes) -> bool:
        # A list, not a generator: the time must not tell which of the pairs it was.
        matches = [hmac.compare_digest(pair, accepted) for accepted in self._accepted]
        return self._open or any(matches)


class SandboxSessions:
    """Session cookies: a connection that was given one has to send one back."""

    def __init__(self) -> None:
        self._mark = b"swarm_session=" + secrets.token_hex(8).encode() + b"."
        self._made = 0
        self._given: set[Client] = set()

    def get_or_create(self, client: Client, headers: Headers) -> tuple[Breach | None, Pairs]:
        """Return what is wrong with a request's cookie, and the headers that give it one."""
        if self._mark in headers.get(b"cookie", b""):
            return None, []
        if client in self._given:
            reason = "the session cookie of this connection's first answer was not sent back"
            return Breach(400, reason), []
        self._given.add(client)
        self._made += 1
        return None, [(b"set-cookie", b"%s%d; Path=/; HttpOnly" % (self._mark, self._made))]

    def forget(self, client: Client) -> None:
        """Take note that a connection has ended: its port may come again as another one."""
        self._given.discard(client)


class Collector:
    """The API, as an ASGI endpoint for each of its routes."""

    def __init__(
        self, store: Store, guard: Guard, sessions: SandboxSessions, refusals: Refusals
    ) -> None:
        self._store = store
        self._guard = guard
        self._sessions = sessions
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = dict(scope["headers"])
        astray, cookie = self._sessions.get_or_create(scope["client"], headers)
        outcome: Breach | bytes | None = self._guard.breach(headers) or astray
        try:
            outcome = outcome or await self._answer(scope, headers, receive)
        except StateError as error:
            outcome = Breach(500, str(error))
        except ClientDisconnect:
            return
        if isinstance(outcome, Breach):
            await self._refuse(outcome, cookie, send)
        else:
            await _send(send, 200, outcome, cookie)

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive) -> Breach | bytes:
        if scope["method"] == "POST":
            return await self._post(headers, receive, utc=scope["path"] == UTC_PATH)
        if scope["method"] == "GET":
            return self._get(scope["query_string"])
        return Breach(405, f"there is no {scope['method']} here: GET and POST are the methods")

    async def _post(self, headers: Headers, receive: Receive, *, utc: bool) -> Breach | bytes:
        breach = check_headers(headers)
        if breach:
            return breach
        outcome = check_packet(await _body(receive), utc=utc)
        if isinstance(outcome, Packet):
            return self._store.add(outcome) or _STORED
        return outcome

    def _get(self, query: bytes) -> Breach | bytes:
        streams = parse_qs(query.decode("latin-1")).get("stream", [])
        if len(streams) != 1:
            return Breach(400, "the query must name one stream: ?stream=ID")
        text = self._store.last(streams[0])
        if text is None:
            return Breach(404, "nothing is stored of this stream yet", streams[0])
        return text.encode()

    async def _refuse(self, breach: Breach, cookie: Pairs, send: Send) -> None:
        # A stream that is asked for before its first packet is no mistake of the client's.
        if breach.status != 404:
            self._refusals.note(breach)
        body = json.dumps({"status": "refused", "reason": breach.reason}).encode()
        await _send(send, breach.status, body, [*cookie, *_EXTRA.get(breach.status, [])])


async def _body(receive: Receive) -> bytes:
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _send(send: Send, status: int, body: bytes, extra: Pairs) -> None:
    headers = [*_JSON, (b"content-length", b"%d" % len(body)), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def create(
    store: Store,
    sessions: SandboxSessions,
    credentials: Collection[tuple[str, str]] | None,
    key: str | None = None,
) -> Starlette:
    """Return the sandbox; ``credentials`` are the pairs that it accepts, `None` is any pair.

    Who has the ``key`` may have packets forgotten, and see the last ones; without one nobody may.
    """
    refusals = Refusals()
    collector = Collector(store, Guard(credentials), sessions, refusals)

    async def show_page(request: Request) -> Response:
        url = f"{request.base_url}{PATH[1:]}"
        text = render(url, store.count(), store.streams(), refusals.last())
        return HTMLResponse(text, headers={"content-security-policy": _POLICY})

    async def show_status(_: Request) -> Response:
        return JSONResponse({"packets": store.count()})

    routes = [Route(path, collector) for path in (PATH, UTC_PATH, PARTIAL_PATH)]
    routes += [Route("/", show_page), Route(STATUS_PATH, show_status)]
    if key:
        routes += _private(store, key)
    handlers = {HTTPException: _explain, StateError: _tell}
    app = Starlette(
        routes=routes,
        exception_handlers=handlers,
        middleware=[Middleware(LoopbackNames)],
    )
    # A redirect where a slash is missing would turn a POST into a GET in many a client.
    app.router.redirect_slashes = False
    return app


def _private(store: Store, key: str) -> list[Route]:
    """Return what is there for those alone who have the key."""

    async def forget(request: Request) -> Response:
        store.forget(await request.json())
        return JSONResponse({"packets": store.count()})

    async def last(_: Request) -> Response:
        return JSONResponse(store.last_packets())

    return [
        Route(FORGET_PATH, _locked(forget, key), methods=["POST"]),
        Route(LAST_PATH, _locked(last, key)),
    ]


def _locked(answer: Answer, key: str) -> Answer:
    expected = f"Bearer {key}".encode()

    async def locked(request: Request) -> Response:
        given = request.headers.get("authorization", "").encode("latin-1")
        if hmac.compare_digest(given, expected):
            return await answer(request)
        return JSONResponse({"status": "refused", "reason": "the key is another"}, 401)

    return locked


async def _tell(_: Request, error: Exception) -> Response:
    return JSONResponse({"status": "refused", "reason": str(error)}, 500)


async def _explain(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    reason = f"there is nothing here: packets go to {PATH}"
    return JSONResponse({"status": "refused", "reason": reason}, status)
