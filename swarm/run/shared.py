"""The state shared by all processes of a run: a memory mapping, guarded by a kernel lock.

The kernel releases the lock of a killed process; a lock of multiprocessing would stay taken. Times
are of the monotonic clock, which is the same for all processes of a machine.

Only single bytes, and single doubles through a memoryview, are read or written without the lock:
each is one store. `struct.pack_into` would write zeros first, which a reader might see.

The *gate* is a circuit breaker: it closes when the collector becomes unreachable, one *probe* at a
time may pass, and the first answer opens it.
"""

import mmap
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.reduction import DupFd
from typing import Any

from swarm.errors import StateError
from swarm.open_files import has_too_many, way_out

_STOP, _GATE = 0, 1
# Doubles, counted from the start of the mapping.
_FAILURES, _NEXT_PROBE, _LAST_ANSWER, _NEXT_REQUEST, _DOWN_SINCE, _CONGESTED, _RATE = range(1, 8)
_DOUBLES_LENGTH = 64
_DETAIL, _DETAIL_LENGTH = 64, 448
# Two bytes for each set of credentials: a write of one must not undo the other.
_CREDENTIALS = _DETAIL + _DETAIL_LENGTH
_ACCEPTED, _REFUSED = 0, 1

#: After a late request, the next ones are due sooner, by this time (s) at most.
_CATCH_UP = 0.1


class SharedState:
    """The shared state of one run; ``fd`` is that of an unlinked file, made by the parent."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._map = mmap.mmap(fd, os.fstat(fd).st_size)
        self._doubles = memoryview(self._map)[:_DOUBLES_LENGTH].cast("d")
        self._mutex = threading.Lock()

    @classmethod
    def create(cls, credentials: int) -> "SharedState":
        """Create the state of a run with this many sets of credentials."""
        import tempfile

        try:
            with tempfile.TemporaryFile() as file:
                # Written, not truncated: on a full disk, a page fault in a hole kills the process.
                file.write(bytes(_CREDENTIALS + 2 * credentials))
                file.flush()
                shared = cls(os.dup(file.fileno()))
        except OSError as error:
            help_text = "free some space, or set the variable TMPDIR to another folder"
            why = way_out() if has_too_many(error) else f"{error.strerror}; {help_text}"
            raise StateError(f"can't create a temporary file for the run: {why}") from None
        shared.restart_clock()
        return shared

    def __reduce__(self) -> tuple[Any, ...]:
        # For a process that is being spawned: it inherits the descriptor, and maps it itself.
        return _inherited, (DupFd(self._fd),)

    def close(self) -> None:
        """Release the mapping."""
        self._doubles.release()
        self._map.close()
        os.close(self._fd)

    def stop(self) -> None:
        """Stop all processes from sending packets."""
        self._map[_STOP] = 1

    @property
    def stopped(self) -> bool:
        """True if the run must stop."""
        return self._map[_STOP] != 0

    def is_blocked(self, credential: int) -> bool:
        """Return True if no packet may be sent under a credential now."""
        facts = self._map
        return bool(facts[_STOP] or facts[_GATE] or facts[_CREDENTIALS + 2 * credential + _REFUSED])

    def restart_clock(self) -> None:
        """Count the time without an answer from now."""
        self._put(_LAST_ANSWER, time.monotonic())

    def record_answer(self) -> None:
        """Record an answer of the collector: there is no outage.

        The gate opens, and the backoff begins again at the next failure.
        """
        self._doubles[_LAST_ANSWER] = time.monotonic()
        if self._map[_GATE]:
            with self._locked():
                self._map[_GATE] = 0
                self._put(_FAILURES, 0.0)

    def record_earlier_answer(self, seconds: float) -> None:
        """Record an answer that came some time (s) ago, to a process of another computer."""
        moment = time.monotonic() - seconds
        if moment > self._get(_LAST_ANSWER):
            self._put(_LAST_ANSWER, moment)

    def seconds_without_answer(self) -> float:
        """Return the time (s) since the last answer to any stream."""
        return time.monotonic() - self._get(_LAST_ANSWER)

    @property
    def is_down(self) -> bool:
        """True if the last try did not reach the collector."""
        return self._map[_GATE] != 0

    def record_unreachable(self, wait: float, detail: str) -> None:
        """Record that the collector is unreachable; the next probe is due after ``wait`` (s)."""
        with self._locked():
            text = detail.encode(errors="replace")[:_DETAIL_LENGTH].ljust(_DETAIL_LENGTH, b"\0")
            self._map[_DETAIL : _DETAIL + _DETAIL_LENGTH] = text
            if not self._map[_GATE]:
                # Close the gate last: readers test it without the lock, and then read the times.
                self._put(_DOWN_SINCE, time.monotonic())
                self._put(_NEXT_PROBE, time.monotonic() + wait)
                self._map[_GATE] = 1

    def down_for(self) -> float:
        """Return the time (s) since the collector became unreachable."""
        return time.monotonic() - self._get(_DOWN_SINCE)

    @property
    def detail(self) -> str:
        """The reason why the last try did not reach the collector."""
        text = self._map[_DETAIL : _DETAIL + _DETAIL_LENGTH]
        return text.rstrip(b"\0").decode("utf-8", "ignore")

    @property
    def failures(self) -> int:
        """The number of probes that failed since the last answer."""
        return int(self._get(_FAILURES))

    def until_probe(self) -> float:
        """Return the time (s) until the next probe may be sent."""
        return self._get(_NEXT_PROBE) - time.monotonic()

    def claim_probe(self, wait: float) -> bool:
        """Return True if the caller may probe now; the next probe is due after ``wait`` (s)."""
        with self._locked():
            if not self._map[_GATE]:
                return True
            now = time.monotonic()
            if now < self._get(_NEXT_PROBE):
                return False
            self._put(_NEXT_PROBE, now + wait)
            self._put(_FAILURES, self._get(_FAILURES) + 1)
            return True

    @property
    def rate_limit(self) -> float | None:
        """The requests a second that are allowed now, None without a limit."""
        return self._doubles[_RATE] or None

    def set_rate_limit(self, rate: float | None) -> None:
        """Set the limit (requests/s); moments that were reserved at another limit are void."""
        if rate != self.rate_limit:
            with self._locked():
                self._put(_NEXT_REQUEST, 0.0)
                self._put(_RATE, rate or 0.0)

    def reserve_request(self, rate: float) -> float:
        """Reserve the next moment at a rate (requests/s); return the time (s) until then."""
        with self._locked():
            now = time.monotonic()
            # Before the first request the double is zero: there is nothing to make up for.
            moment = max(self._get(_NEXT_REQUEST) or now, now - _CATCH_UP)
            self._put(_NEXT_REQUEST, moment + 1 / rate)
            return moment - now

    def count_congested(self) -> None:
        """Count an answer that asks for fewer requests, or a request that was lost."""
        with self._locked():
            self._put(_CONGESTED, self._get(_CONGESTED) + 1)

    @property
    def congested(self) -> int:
        """The number of such answers and requests since the start of the run."""
        return int(self._get(_CONGESTED))

    def accept_credential(self, credential: int) -> None:
        """Record that the collector acknowledged a packet under a credential."""
        self._map[_mark(credential, _ACCEPTED)] = 1

    def is_credential_accepted(self, credential: int) -> bool:
        """Return True if a packet was acknowledged under a credential in this run."""
        return self._map[_mark(credential, _ACCEPTED)] != 0

    def refuse_credential(self, credential: int) -> bool:
        """Mark a credential as not accepted; return True for the first caller.

        The streams of the credential end when they look at this next.
        """
        with self._locked():
            index = _mark(credential, _REFUSED)
            is_first = not self._map[index]
            self._map[index] = 1
            return is_first

    def is_credential_refused(self, credential: int) -> bool:
        """Return True if the streams of a credential must stop."""
        return self._map[_mark(credential, _REFUSED)] != 0

    def _get(self, index: int) -> float:
        return self._doubles[index]

    def _put(self, index: int, value: float) -> None:
        self._doubles[index] = value

    @contextmanager
    def _locked(self) -> Iterator[None]:
        import fcntl

        with self._mutex:
            fcntl.lockf(self._fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._fd, fcntl.LOCK_UN)


def _mark(credential: int, mark: int) -> int:
    return _CREDENTIALS + 2 * credential + mark


def _inherited(duplicate: Any) -> SharedState:
    return SharedState(duplicate.detach())
