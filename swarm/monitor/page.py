"""The live page of a run: its process, to which events are passed."""

import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from swarm.errors import SettingsError
from swarm.extras import are_installed, install
from swarm.monitor.events import Event, Progress, as_line
from swarm.web.serving import HOST, child_environment, listen

_BACKLOG: Final = 128
_PACKAGES: Final = ("jinja2", "starlette", "uvicorn")
#: Bytes that the page's process may be behind; with more, it hangs.
_MOST_PENDING: Final = 16 * 1024 * 1024
_STOP_SECONDS: Final = 3.0


class LivePage:
    """The page of ``--page``, served by a process that gets events by its standard input.

    ``notice`` tells the user if that process ends too early. Raises `SettingsError` if the port is
    taken or a package is missing.
    """

    def __init__(self, port: int, notice: Callable[[str], None]) -> None:
        if not are_installed(*_PACKAGES):
            raise SettingsError(f"--page needs more packages; run: {install('sandbox')}")
        self._notice = notice
        self._pending = bytearray()
        self._is_broken = False
        with listen(port, "--page", _BACKLOG) as listener:
            self.url = f"http://{HOST}:{listener.getsockname()[1]}/"
            self._process = _start(listener)
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - Popen was asked for a pipe
        self._pipe = stdin.fileno()
        os.set_blocking(self._pipe, False)

    def __enter__(self) -> "LivePage":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the page; at once if the run has ended with an exception, such as a second Ctrl-C."""
        self.close(at_once=kind is not None)

    def take(self, event: Event) -> None:
        """Pass an event on, without waiting for the page's process."""
        if self._is_broken:
            return
        facts = event.with_streams() if isinstance(event, Progress) else event.as_dict()
        self._pending += as_line(facts).encode("utf-8", "replace") + b"\n"
        try:
            self._write()
        except OSError:
            self._break("its process has ended")
        if len(self._pending) > _MOST_PENDING:
            self._process.kill()
            self._break("its process does not answer")

    def stay(self, seconds: float) -> None:
        """Wait until the page has been up for a time (s) after the run; Ctrl-C ends the wait."""
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            self._flush(_STOP_SECONDS)
            self._process.wait(seconds)

    def close(self, *, at_once: bool) -> None:
        """End the process, unless ``at_once`` after it has shown all events to its readers."""
        if at_once:
            self._process.kill()
        elif not self._is_broken:
            self._flush(_STOP_SECONDS)
        stdin = self._process.stdin
        if stdin is not None:
            with suppress(OSError):
                stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _write(self) -> None:
        with suppress(BlockingIOError):
            while self._pending:
                written = os.write(self._pipe, self._pending[: 64 * 1024])
                del self._pending[:written]

    def _flush(self, seconds: float) -> None:
        """Write what is pending, for at most a time (s)."""
        if self._is_broken or not self._pending:
            return
        try:
            while self._pending and select.select([], [self._pipe], [], seconds)[1]:
                self._write()
        except OSError:
            self._break("its process has ended")

    def _break(self, why: str) -> None:
        self._is_broken = True
        self._pending.clear()
        self._notice(f"the page {self.url} is no longer there: {why}; the run goes on")


def _start(listener: socket.socket) -> "subprocess.Popen[bytes]":
    """Start the process that serves; it ends when its standard input does, so with this process."""
    number = listener.fileno()
    return subprocess.Popen(  # noqa: S603 - this package
        [sys.executable, "-P", "-m", "swarm.monitor", str(number)],
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[number],
        # A Ctrl-C in the terminal reaches only the run.
        start_new_session=True,
    )
