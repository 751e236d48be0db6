"""The process behind `swarm.sandbox.server.running`: settings on stdin, its URL on stdout.

It lives as long as its stdin: SIGINT and SIGTERM are for its parent to act on.
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

# How long an orderly end may take (s); all that was answered is stored already.
_GRACE: Final = 0.5


class Stdin:
    """The line to the parent: it brings the settings, and its end is the sandbox's end."""

    def __init__(self) -> None:
        # Raw: a buffered reader stays locked by the thread that waits on it, up to the very end.
        self._raw = io.FileIO(sys.stdin.fileno(), closefd=False)
        self._stop: Stop = lambda: None

    def settings(self) -> SandboxConfig:
        """Return the settings, then begin to watch for the end."""
        setup = SandboxConfig(*json.loads(self._raw.readline()))
        Thread(target=self._watch, daemon=True).start()
        return setup

    @contextmanager
    def until_it_ends(self, stop: Stop) -> Iterator[None]:
        """Call ``stop`` when the parent has closed the line, or is gone."""
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
        setup = stdin.settings()
    except ValueError:
        _say("this process is started by swarm: the command is `swarm sandbox`")
        return 2
    try:
        run(setup, 0, _say, stdin.until_it_ends)
    except SwarmError as error:
        _say(str(error))
        return error.exit_code
    return 0


def _say(line: str) -> None:
    # A parent that is gone hears nothing: the end of stdin tells of that already.
    with suppress(OSError):
        os.write(sys.stdout.fileno(), f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
