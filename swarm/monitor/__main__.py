"""The page's process: reads events from its standard input, and serves them until that ends.

Its only argument is the number of the listening socket, which it has inherited.
"""

import asyncio
import json
import logging
import signal
import socket
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager

from uvicorn import Config, Server

from swarm.monitor.app import Feed, create


class _QuietServer(Server):
    """A server without signal handlers: the process ends when its standard input does."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def _serve(listener: socket.socket) -> None:
    feed = Feed()
    server = _QuietServer(
        Config(
            create(feed),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
    loop = asyncio.get_running_loop()

    def end() -> None:
        feed.close()
        server.should_exit = True

    def read() -> None:
        for line in sys.stdin.buffer:
            loop.call_soon_threadsafe(feed.take, json.loads(line))
        loop.call_soon_threadsafe(end)

    threading.Thread(target=read, name="swarm-events", daemon=True).start()
    await server.serve(sockets=[listener])


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        asyncio.run(_serve(listener))


if __name__ == "__main__":
    main()
