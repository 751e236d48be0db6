"""The sandbox's page and its server-sent events, as routes of a starlette application."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from swarm.errors import StateError
from swarm.sandbox.paths import EVENTS_PATH, PAGE_PATH
from swarm.sandbox.refusals import Refusals
from swarm.sandbox.store import Store
from swarm.sandbox.validate import PATH
from swarm.sandbox.view import DRAWN, LISTED, View
from swarm.web.pages import render
from swarm.web.serving import HEADERS, page_headers

# The pauses (s) between two looks at the store: the shorter one until everything was drawn once.
_PAUSE: Final = 1.0
_SHORT_PAUSE: Final = 0.1


def routes(store: Store, refusals: Refusals) -> list[Route]:
    """Return the routes of the page; all are for GET and HEAD alone, and change nothing."""

    async def show_page(request: Request) -> Response:
        nonce, headers = page_headers()
        url = f"{request.base_url}{PATH[1:]}"
        text = render(
            "swarm.sandbox", "page.html", nonce=nonce, url=url, drawn=DRAWN, listed=LISTED
        )
        return HTMLResponse(text, headers=headers)

    async def send_events(request: Request) -> Response:
        kind = "text/event-stream"
        if request.method == "HEAD":
            return Response(headers=HEADERS, media_type=kind)
        view = View(store, refusals, request.query_params.get("contains", ""))
        return StreamingResponse(_events(view), headers=HEADERS, media_type=kind)

    return [Route(PAGE_PATH, show_page), Route(EVENTS_PATH, send_events)]


async def _events(view: View) -> AsyncIterator[str]:
    """Yield what is new, until the browser goes away or the store fails."""
    with suppress(StateError):
        while True:
            yield f"data: {json.dumps(view.news())}\n\n"
            await asyncio.sleep(_SHORT_PAUSE if view.is_behind else _PAUSE)
            for _ in view.draw():
                # Packets that have come meanwhile are answered first.
                await asyncio.sleep(0)
