"""The process that `swarm.sandbox.server.running` starts: settings on stdin, its URL on stdout.

It runs until its stdin ends. It ignores SIGINT and SIGTERM: its parent acts on them.
"""

import io
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Final

from swarm.errors import SwarmError
from swarm.sandbox.server import SandboxConfig, Stop, run

# The time limit of an orderly end (s); all packets that were answered are stored already.
_GRACE: Final = 0.5


class Stdin:
    """The pipe from the parent: it brings the settings, and its end stops the sandbox."""

    def __init__(self) -> None:
        # Raw: the watching thread would hold the lock of a buffered reader until the process ends.
        self._raw = io.FileIO(sys.stdin.fileno(), closefd=False)
        self._stop: Stop = lambda: None

    def settings(self) -> SandboxConfig:
        """Return the settings, and start to watch for the end of stdin."""
        config = SandboxConfig(*json.loads(self._raw.readline()))
        Thread(target=self._watch, daemon=True).start()
        return config

    @contextmanager
    def until_it_ends(self, stop: Stop) -> Iterator[None]:
        """Call ``stop`` when the parent closes the pipe or ends."""
        self._stop = stop
        yield

    def _watch(self) -> None:
        while self._raw.read(4096):
            pass
        self._stop()
        time.sleep(_GRACE)
        os._exit(0)


def main() -> int:
    """Serve until stdin ends; return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    stdin = Stdin()
    try:
        config = stdin.settings()
    except ValueError:
        _print("swarm starts this process itself: run `swarm sandbox` instead")
        return 2
    try:
        run(config, 0, _print, stdin.until_it_ends)
    except SwarmError as error:
        _print(str(error))
        return error.exit_code
    return 0


def _print(line: str) -> None:
    # If the parent is gone, the end of stdin stops the sandbox.
    with suppress(OSError):
        os.write(sys.stdout.fileno(), f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
