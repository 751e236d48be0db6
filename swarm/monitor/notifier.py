"""Notifications of ``[notify]``: pings of a healthcheck, and a command when the run ends."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from swarm.config.notify import Notify
from swarm.config.settings import Settings
from swarm.web.serving import child_environment

#: The longest time (s) that the notifications at the end of a run take.
SECONDS: Final = 10.0
#: The end of a command's output, of which a notice shows the last line.
_LAST_BYTES: Final = 4096
_PING: Final = (sys.executable, "-P", "-m", "swarm.monitor.ping")


class Notifier:
    """Notifies the targets of a run; what fails is a notice and changes nothing else."""

    def __init__(self, notify: Notify, settings: Settings, notice: Callable[[str], None]) -> None:
        self._notify = notify
        self._settings = settings
        self._notice = notice
        self._start: _Child | None = None

    def start(self) -> None:
        """Ping the healthcheck without waiting for its answer: the run begins."""
        self._start = self._ping("start", "")

    def finish(self, exit_code: int, report: str) -> None:
        """Ping the healthcheck and run the command, in at most `SECONDS`: the run has ended.

        ``report`` is JSON.
        """
        deadline = time.monotonic() + SECONDS
        command = self._notify.on_failure if exit_code else self._notify.on_success
        hook = self._run(command, exit_code, report) if command else None
        if self._start is not None:
            # The healthcheck must get the start before the end, if it gets it at all.
            self._await(self._start, time.monotonic() + SECONDS / 2)
        seconds = max(deadline - time.monotonic(), 0.1)
        self._await(self._ping(str(exit_code), report, seconds), deadline)
        self._await(hook, deadline)

    def _ping(self, what: str, body: str, seconds: float = SECONDS) -> "_Child | None":
        url = self._notify.healthcheck
        if url is None:
            return None
        parts = urlsplit(url)
        order = {
            "method": "POST" if body else "GET",
            "url": urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{what}")),
            "body": body,
            "proxy": self._settings.proxy,
            "ca_bundle": self._settings.ca_bundle,
            "seconds": seconds,
        }
        # The path of the URL may be a secret: no message shows it.
        name = f"healthcheck {parts.scheme}://{parts.hostname}"
        return self._open(name, _PING, json.dumps(order), child_environment())

    def _run(self, words: tuple[str, ...], exit_code: int, report: str) -> "_Child | None":
        name = f"{'on_failure' if exit_code else 'on_success'} {words[0]}"
        environment = {
            **os.environ,
            "SWARM_EXIT_CODE": str(exit_code),
            "SWARM_CONFIG": str(self._settings.config.absolute()),
        }
        return self._open(name, words, report, environment, self._notify.folder)

    def _open(
        self,
        name: str,
        words: Sequence[str],
        text: str,
        environment: Mapping[str, str],
        folder: Path | None = None,
    ) -> "_Child | None":
        try:
            return _Child(name, words, text, environment, folder)
        except OSError as error:
            self._notice(f"[notify] {name}: can't be run: {error.strerror}")
            return None

    def _await(self, child: "_Child | None", deadline: float) -> None:
        if child is not None and (failure := child.failure(deadline)):
            self._notice(f"[notify] {child.name}: {failure}")


class _Child:
    """A process that gets a text on its standard input; raises OSError if it can't be started."""

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        text: str,
        environment: Mapping[str, str],
        folder: Path | None,
    ) -> None:
        self.name = name
        # Files and not pipes: it may leave its input unread, or its output open.
        with ExitStack() as stack:
            source = stack.enter_context(tempfile.TemporaryFile())
            source.write(text.encode("utf-8", "replace"))
            source.seek(0)
            self._output = stack.enter_context(tempfile.TemporaryFile())
            self._process = subprocess.Popen(  # noqa: S603 - the INI's owner names the command
                words,
                stdin=source,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment,
                # A Ctrl-C in the terminal reaches only the run.
                start_new_session=True,
            )
            stack.pop_all()
        source.close()

    def failure(self, deadline: float) -> str:
        """Wait for its end until a time (monotonic); return why it failed, empty if it did not."""
        try:
            status = self._process.wait(max(deadline - time.monotonic(), 0))
        except BaseException as error:
            # Also what it has started itself. Ctrl-C ends the wait, too.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            status = -signal.SIGALRM
        with self._output as output:
            output.seek(-min(output.seek(0, os.SEEK_END), _LAST_BYTES), os.SEEK_END)
            lines = output.read().decode("utf-8", "replace").strip().splitlines()
        if not status:
            return ""
        if status == -signal.SIGALRM:
            return "no end in time, stopped"
        if self._process.args == _PING:
            return lines[-1] if lines else "no answer"
        reason = f"status {status}" if status > 0 else f"killed by signal {-status}"
        return ": ".join([reason, *lines[-1:]])
