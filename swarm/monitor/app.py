"""The page as a starlette application: the page itself, its server-sent events, the metrics."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from swarm.extras import install
from swarm.monitor.state import RunState
from swarm.web.hosts import LoopbackNames
from swarm.web.pages import render
from swarm.web.serving import HEADERS, page_headers

#: The shortest time (s) between two messages to a reader, and the longest without one.
_PAUSE: Final = 0.5
_HEARTBEAT: Final = 10.0


class Feed:
    """The state of the run, and the readers that wait for its next change."""

    def __init__(self) -> None:
        self.state = RunState()
        self._changed = asyncio.Event()
        self.is_over = False

    def take(self, event: Mapping[str, Any]) -> None:
        """Take an event into account and wake the readers."""
        self.state.apply(event)
        self._wake()

    def close(self) -> None:
        """End the readers' answers: the page goes away."""
        self.is_over = True
        self._wake()

    async def messages(self) -> AsyncIterator[str]:
        """Yield server-sent events for one reader: all of the state, then what changes.

        A reader that is slow gets fewer messages, none of which has missed a change.
        """
        known = 0
        while True:
            changed = self._changed
            if self.state.change > known:
                news = self.state.since(known)
                known = self.state.change
                yield f"data: {json.dumps(news, ensure_ascii=False)}\n\n"
                await asyncio.sleep(_PAUSE)
            elif self.is_over:
                return
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), _HEARTBEAT)
                if self.state.change == known and not self.is_over:
                    yield ": still here\n\n"

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def create(feed: Feed) -> Starlette:
    """Return the application that shows a feed; it only reads."""

    async def page(_: Request) -> Response:
        nonce, headers = page_headers()
        return HTMLResponse(render("swarm.monitor", "page.html", nonce=nonce), headers=headers)

    async def events(_: Request) -> Response:
        return StreamingResponse(feed.messages(), media_type="text/event-stream", headers=HEADERS)

    async def metrics(_: Request) -> Response:
        try:
            from swarm.monitor.metrics import exposition, values_of
        except ImportError:
            text = f"metrics need another package; run: {install('metrics')}\n"
            return PlainTextResponse(text, 404)
        media = "text/plain; version=0.0.4; charset=utf-8"
        return Response(exposition(values_of(feed.state)), media_type=media, headers=HEADERS)

    return Starlette(
        routes=[Route("/", page), Route("/events", events), Route("/metrics", metrics)],
        middleware=[Middleware(LoopbackNames)],
    )
