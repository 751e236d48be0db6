"""Run the sandbox: in the foreground until a signal, or as a child process during one run.

The child that `running` starts gets its settings over stdin, never on the command line, and ends
when stdin does, so it can't outlive its parent. It has its own session: a Ctrl-C in the terminal
reaches only the parent.
"""

import json
import logging
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Final, NamedTuple, cast

from swarm.errors import SettingsError, StateError, SwarmError
from swarm.extras import are_installed, install
from swarm.sandbox.client import Client
from swarm.sandbox.store import Store
from swarm.sandbox.validate import PATH
from swarm.web.serving import HOST, child_environment, listen

if TYPE_CHECKING:
    from starlette.types import ASGIApp
    from uvicorn import Server

    from swarm.sandbox.app import SandboxSessions

Credentials = Collection[tuple[str, str]]
Ready = Callable[[str], None]
Stop = Callable[[], None]
Until = Callable[[Stop], AbstractContextManager[None]]

_BACKLOG: Final = 2048
# The time (s) that a sandbox gets to end, before it is killed.
_STOP_TIMEOUT: Final = 5.0
_ERRORS: Final[dict[int, type[SwarmError]]] = {
    error.exit_code: error for error in (SettingsError, StateError)
}


class SandboxConfig(NamedTuple):
    """The settings of a sandbox.

    ``store`` is the path of its file, ``credentials`` the pairs that it accepts; `None` accepts any
    pair. A client with the ``key`` may delete the packets of streams and read the last ones.
    """

    store: str
    credentials: list[tuple[str, str]] | None
    accept_late: bool
    key: str | None = None


def serve(
    store_path: Path,
    port: int = 0,
    credentials: Credentials | None = None,
    accept_late: bool = True,
    on_ready: Ready | None = None,
) -> None:
    """Serve on loopback until SIGINT or SIGTERM; ``on_ready`` gets the URL that packets go to.

    ``credentials`` are the pairs that are accepted; `None` accepts any pair. Raises
    `SettingsError` if the port is taken or the extra is missing, `StateError` if the store can't be
    used.
    """
    config = _config(store_path, credentials, accept_late)
    run(config, port, on_ready or (lambda url: None), until_signalled)


def run(config: SandboxConfig, port: int, on_ready: Ready, until: Until) -> None:
    """Serve inside the context ``until``, which gets the function that stops the sandbox."""
    _require_extra()
    from swarm.sandbox import app

    sessions = app.SandboxSessions()
    with (
        closing(listen(port, "the sandbox", _BACKLOG)) as listener,
        closing(Store(Path(config.store), accept_late=config.accept_late)) as store,
    ):
        server = _server(app.create(store, sessions, config.credentials, config.key), sessions)

        def stop() -> None:
            # Requests under way are cut off now, and uvicorn would print a traceback for each.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            server.should_exit = True

        with until(stop):
            # The socket listens already: a client that connects now is answered soon.
            on_ready(f"http://{HOST}:{listener.getsockname()[1]}{PATH}")
            server.run(sockets=[listener])


@contextmanager
def until_signalled(stop: Stop) -> Iterator[None]:
    """Call ``stop`` at SIGINT or SIGTERM: both are a regular end of the sandbox."""

    def on_signal(_signal: int, _frame: FrameType | None) -> None:
        stop()

    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, on_signal) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


class Running:
    """A sandbox that runs as a child process."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self._stdin = cast(IO[str], child.stdin)
        self._stdout = cast(IO[str], child.stdout)
        self.pid = child.pid
        self.client = Client("", "")

    def begin(self, config: SandboxConfig) -> None:
        """Send the settings to the child and wait until it is ready; raises the child's error."""
        # A child that has ended already has written the reason to its stdout.
        with suppress(OSError):
            self._stdin.write(json.dumps(config) + "\n")
            self._stdin.flush()
        line = self._stdout.readline().strip()
        if not line.startswith("http://"):
            code = self._child.wait()
            raise _ERRORS.get(code, SwarmError)(line or f"the sandbox did not start: exit {code}")
        self.client = Client(line, config.key or "")

    @property
    def url(self) -> str:
        """The URL that packets go to; empty until the sandbox is ready."""
        return self.client.url

    @property
    def is_running(self) -> bool:
        """True if the process has not ended."""
        return self._child.poll() is None

    def packets(self) -> int:
        """Return the number of packets in the sandbox; raises `StateError`."""
        return self.client.packets()

    def forget(self, streams: Sequence[str]) -> None:
        """Delete the packets of some streams; raises `StateError`."""
        self.client.forget(streams)

    def stop(self) -> None:
        """Stop the sandbox; all packets that it answered are stored. It may be called twice."""
        with suppress(OSError):
            self._stdin.close()
        try:
            self._child.wait(timeout=_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._stdout.close()


@contextmanager
def running(
    store_path: Path, credentials: Credentials | None = None, accept_late: bool = True
) -> Iterator[Running]:
    """Run a sandbox as a child process while the context is open.

    The parameters and errors are those of `serve`.
    """
    _require_extra()
    sandbox = Running(spawn())
    try:
        config = _config(store_path, credentials, accept_late)
        sandbox.begin(config._replace(key=secrets.token_hex(16)))
        yield sandbox
    finally:
        sandbox.stop()


def spawn() -> subprocess.Popen[str]:
    """Start the child process; it waits for its settings."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "swarm.sandbox"],
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


def _config(store_path: Path, credentials: Credentials | None, accept_late: bool) -> SandboxConfig:
    pairs = None if credentials is None else list(credentials)
    return SandboxConfig(str(Path(store_path).absolute()), pairs, accept_late)


def _require_extra() -> None:
    if not are_installed("jinja2", "starlette", "uvicorn"):
        raise SettingsError(f"the sandbox needs more packages; run: {install('sandbox')}")


def _server(application: "ASGIApp", sessions: "SandboxSessions") -> "Server":
    from uvicorn import Config, Server

    from swarm.sandbox import connection

    class QuietServer(Server):
        """A server without signal handlers: uvicorn's would raise the signal again at the end."""

        @contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            yield

    return QuietServer(
        Config(
            application,
            http=connection.protocol(sessions),
            ws="none",
            lifespan="off",
            loop="auto",  # uvloop if it is installed: a fifth less CPU time
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            # As long as real collectors keep an idle connection: longer than clients pause.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
    )
