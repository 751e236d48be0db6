"""A limit on the whole time of an exchange, for engines that limit each wait alone.

A server that sends a byte a second never lets a socket's own timeout strike. One thread per process
shuts the sockets of exchanges whose time is up: whoever waits for them then sees their end.
"""

import socket
import threading
import time
from contextlib import suppress
from weakref import WeakSet

_IDLE = float("inf")


class Deadline:
    """The time limit of one session's exchanges, and the socket that is shut when it is up."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.socket: socket.socket | None = None
        self._end = _IDLE
        self._lock = threading.Lock()
        _WATCHDOG.watch(self)

    def start(self) -> None:
        """Begin an exchange."""
        self._end = time.monotonic() + self.timeout

    def stop(self) -> None:
        """End it; past this its socket is no longer shut."""
        with self._lock:
            self._end = _IDLE

    def remaining(self) -> float:
        """Return the seconds that are left; raise `TimeoutError` where none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def expired(self) -> bool:
        """Tell whether the exchange's time is up."""
        return time.monotonic() >= self._end

    def check(self, now: float) -> float:
        """Shut the socket if its time is up; return how soon to check again.

        An exchange that begins later than now has all its time still to run.
        """
        with self._lock:
            if now < self._end:
                return min(self._end - now, self.timeout)
            with suppress(OSError):  # the peer was quicker
                if self.socket:
                    # Not SSLSocket's own shutdown: what is written next would go in the clear.
                    socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
            return self.timeout


class _Watchdog:
    """One thread for all sessions of the process; it sleeps until the next deadline there can be.

    An exchange costs it nothing: it looks again about once in the length of a timeout.
    """

    def __init__(self) -> None:
        self._deadlines: WeakSet[Deadline] = WeakSet()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, deadline: Deadline) -> None:
        """Watch a session from now on, for as long as it lives."""
        with self._changed:
            self._deadlines.add(deadline)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                self._changed.wait(min((deadline.check(now) for deadline in self._deadlines), default=None))


_WATCHDOG = _Watchdog()
