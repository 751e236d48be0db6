"""Runs the sandbox: in the foreground until a signal, or as a process of its own for one run.

The child that `running` starts gets its settings over stdin, never on the command line, and ends
when stdin does: so it can't outlive its parent, however that one ends. It has a session of its
own, so that a Ctrl-C in the terminal is for the parent alone to act on.
"""

import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Final, NamedTuple, cast

from swarm.errors import SettingsError, StateError, SwarmError
from swarm.extras import install
from swarm.sandbox.client import Client
from swarm.sandbox.store import Store
from swarm.sandbox.validate import PATH

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from uvicorn import Server

    from swarm.sandbox.app import SandboxSessions

Credentials = Collection[tuple[str, str]]
Ready = Callable[[str], None]
Stop = Callable[[], None]
Until = Callable[[Stop], AbstractContextManager[None]]

_HOST: Final = "127.0.0.1"
_BACKLOG: Final = 2048
# How long a sandbox may take to end before it is killed (s).
_PATIENCE: Final = 5.0
_ERRORS: Final[dict[int, type[SwarmError]]] = {
    error.exit_code: error for error in (SettingsError, StateError)
}


class SandboxConfig(NamedTuple):
    """The settings of a sandbox: its file, the pairs it accepts (`None` is any), its order rule.

    Who has the ``key`` may have it forget streams, and ask for all last packets.
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

    ``credentials`` are the pairs that are accepted, `None` is any pair. Raises `SettingsError`
    where the port is taken or the extra is missing, `StateError` where the store can't be used.
    """
    setup = _setup(store_path, credentials, accept_late)
    run(setup, port, on_ready or (lambda url: None), until_signalled)


def run(setup: SandboxConfig, port: int, on_ready: Ready, until: Until) -> None:
    """Serve until what ``until`` makes of it: it is given the function that ends the sandbox."""
    _require_extra()
    from swarm.sandbox import app

    sessions = app.SandboxSessions()
    with (
        closing(_listen(port)) as listener,
        closing(Store(Path(setup.store), accept_late=setup.accept_late)) as store,
    ):
        server = _server(app.create(store, sessions, setup.credentials, setup.key), sessions)
        with until(lambda: _stop(server)):
            # The socket listens already: who connects now is answered in a moment.
            on_ready(f"http://{_HOST}:{listener.getsockname()[1]}{PATH}")
            server.run(sockets=[listener])


@contextmanager
def until_signalled(stop: Stop) -> Iterator[None]:
    """Stop at SIGINT or SIGTERM, and do no more: both are how a sandbox is meant to end."""

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
    """A sandbox that runs as a process of its own."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self._stdin = cast(IO[str], child.stdin)
        self._stdout = cast(IO[str], child.stdout)
        self.pid = child.pid
        self.client = Client("", "")

    def begin(self, setup: SandboxConfig) -> None:
        """Hand over the settings and wait until the sandbox is ready."""
        # A child that is gone already has left word of it on its stdout.
        with suppress(OSError):
            self._stdin.write(json.dumps(setup) + "\n")
            self._stdin.flush()
        word = self._stdout.readline().strip()
        if not word.startswith("http://"):
            code = self._child.wait()
            raise _ERRORS.get(code, SwarmError)(word or f"the sandbox did not start: exit {code}")
        self.client = Client(word, setup.key or "")

    @property
    def url(self) -> str:
        """The URL that packets go to; empty until the sandbox is ready."""
        return self.client.url

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._child.poll() is None

    def packets(self) -> int:
        """Return how many packets the sandbox holds; raises `StateError`."""
        return self.client.packets()

    def forget(self, streams: Sequence[str]) -> None:
        """Have the packets of some streams dropped; raises `StateError`."""
        self.client.forget(streams)

    def stop(self) -> None:
        """End the sandbox; what it answered is stored. To stop it again does nothing."""
        with suppress(OSError):
            self._stdin.close()
        try:
            self._child.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._stdout.close()


@contextmanager
def running(
    store_path: Path, credentials: Credentials | None = None, accept_late: bool = True
) -> Iterator[Running]:
    """Run a sandbox beside this process, for as long as the context; it never outlives it.

    Raises as `serve` does.
    """
    _require_extra()
    sandbox = Running(_child())
    try:
        setup = _setup(store_path, credentials, accept_late)
        sandbox.begin(setup._replace(key=secrets.token_hex(16)))
        yield sandbox
    finally:
        sandbox.stop()


def _child() -> subprocess.Popen[str]:
    # -P and this process's own path: the child imports what this process would import, and
    # nothing that happens to lie in the current folder.
    path = os.pathsep.join(filter(None, map(_absolute, sys.path)))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "swarm.sandbox"],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


def _absolute(entry: str) -> str:
    """Return an entry of the path of modules for another process; empty for a folder removed."""
    with suppress(FileNotFoundError):
        return entry or str(Path.cwd())
    return ""


def _setup(store_path: Path, credentials: Credentials | None, accept_late: bool) -> SandboxConfig:
    pairs = None if credentials is None else list(credentials)
    return SandboxConfig(str(Path(store_path).absolute()), pairs, accept_late)


def _require_extra() -> None:
    if not (find_spec("starlette") and find_spec("uvicorn")):
        raise SettingsError(f"the sandbox needs more packages; run: {install('sandbox')}")


def _listen(port: int) -> socket.socket:
    # asyncio sends at once (TCP_NODELAY) only where the protocol is spelt out: without it, every
    # answer would wait 40 ms for an acknowledgement.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two servers have one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"the sandbox can't have port {port} on {_HOST}: {why}") from error
    return listener


def _server(application: "Starlette", sessions: "SandboxSessions") -> "Server":
    from uvicorn import Config, Server
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Connection(H11Protocol):
        """A connection that says so when it ends."""

        def connection_lost(self, exc: Exception | None) -> None:
            sessions.forget(self.client)
            super().connection_lost(exc)

    class QuietServer(Server):
        """Leaves signals alone: uvicorn would raise them once more when all is done."""

        @contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            yield

    return QuietServer(
        Config(
            application,
            http=Connection,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            # Longer than a client waits between two packets, as collectors have it.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
    )


def _stop(server: "Server") -> None:
    # Requests that stop half-way are cut off now, and uvicorn would print a traceback for each.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    server.should_exit = True
