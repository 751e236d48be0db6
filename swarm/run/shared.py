"""State shared by all processes of a run, in a mapping guarded by a kernel lock.

A killed process leaves no lock behind, as it would with a lock of multiprocessing. Times are those
of the monotonic clock, which all processes of a machine share.

What is read or written without the lock is one byte, or one double through a memoryview: a single
store. `struct.pack_into` is none: it clears the place first, and a reader may see the zeros.
"""

import mmap
import os
import tempfile
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
_FAILURES, _NEXT_PROBE, _LAST_ANSWER, _NEXT_REQUEST, _DOWN_SINCE = range(1, 6)
_DOUBLES_LENGTH = 48
_WORDS, _WORDS_LENGTH = 64, 448
# Two bytes for each set: processes that write the one must not undo the other.
_CREDENTIALS = _WORDS + _WORDS_LENGTH
_ACCEPTED, _DISABLED = 0, 1

#: How late a request may take up the rate it missed, in seconds.
_CATCH_UP = 0.1


class SharedState:
    """One run's shared facts; ``fd`` is of an unlinked file, made by the parent."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._map = mmap.mmap(fd, os.fstat(fd).st_size)
        self._doubles = memoryview(self._map)[:_DOUBLES_LENGTH].cast("d")
        self._mutex = threading.Lock()

    @classmethod
    def create(cls, credentials: int) -> "SharedState":
        """Make the board of a run with so many sets of credentials."""
        try:
            with tempfile.TemporaryFile() as file:
                # Not truncated: a hole would be filled by a page fault, which a full disk kills.
                file.write(bytes(_CREDENTIALS + 2 * credentials))
                file.flush()
                board = cls(os.dup(file.fileno()))
        except OSError as error:
            help_text = "free some room, or name another folder with the variable TMPDIR"
            why = way_out() if has_too_many(error) else f"{error.strerror}; {help_text}"
            raise StateError(f"no temporary file for the run: {why}") from None
        board.restart_clock()
        return board

    def __reduce__(self) -> tuple[Any, ...]:
        # To a process that is being spawned: it gets the descriptor, and maps it anew.
        return _inherited, (DupFd(self._fd),)

    def close(self) -> None:
        """Let go of the mapping."""
        self._doubles.release()
        self._map.close()
        os.close(self._fd)

    def stop(self) -> None:
        """Tell every process that no packet may be sent any more."""
        self._map[_STOP] = 1

    @property
    def stopped(self) -> bool:
        """Whether the run has been told to stop."""
        return self._map[_STOP] != 0

    def is_gate_closed(self, credential: int) -> bool:
        """Whether anything here stands in the way of a packet under a credential."""
        facts = self._map
        return bool(facts[_STOP] or facts[_GATE] or facts[_place(credential, _DISABLED)])

    def restart_clock(self) -> None:
        """Count the collector's silence from now."""
        self._put(_LAST_ANSWER, time.monotonic())

    def record_answer(self) -> None:
        """Note that the collector answered: it is not down."""
        self._put(_LAST_ANSWER, time.monotonic())
        if self._map[_GATE]:
            with self._locked():
                self._map[_GATE] = 0
                self._put(_FAILURES, 0.0)

    def seconds_without_answer(self) -> float:
        """Return for how many seconds no stream got an answer."""
        return time.monotonic() - self._get(_LAST_ANSWER)

    @property
    def is_down(self) -> bool:
        """Whether the collector was out of reach at the last try."""
        return self._map[_GATE] != 0

    def record_unreachable(self, wait: float, words: str) -> None:
        """Note that the collector can't be reached; the next probe goes out after ``wait``."""
        with self._locked():
            text = words.encode(errors="replace")[:_WORDS_LENGTH].ljust(_WORDS_LENGTH, b"\0")
            self._map[_WORDS : _WORDS + _WORDS_LENGTH] = text
            if not self._map[_GATE]:
                # The gate last: who sees it shut, without the lock, relies on the times.
                self._put(_DOWN_SINCE, time.monotonic())
                self._put(_NEXT_PROBE, time.monotonic() + wait)
                self._map[_GATE] = 1

    def down_for(self) -> float:
        """Return for how many seconds the collector has been out of reach."""
        return time.monotonic() - self._get(_DOWN_SINCE)

    @property
    def detail(self) -> str:
        """The reason why the last try to reach the collector failed."""
        text = self._map[_WORDS : _WORDS + _WORDS_LENGTH]
        return text.rstrip(b"\0").decode("utf-8", "ignore")

    @property
    def failures(self) -> int:
        """The number of probes in a row that found the collector out of reach."""
        return int(self._get(_FAILURES))

    def until_probe(self) -> float:
        """Return the seconds until the next probe may go out."""
        return self._get(_NEXT_PROBE) - time.monotonic()

    def claim_probe(self, wait: float) -> bool:
        """Take the one probe of this step of the backoff; the next is due after ``wait``."""
        with self._locked():
            if not self._map[_GATE]:
                return True
            now = time.monotonic()
            if now < self._get(_NEXT_PROBE):
                return False
            self._put(_NEXT_PROBE, now + wait)
            self._put(_FAILURES, self._get(_FAILURES) + 1)
            return True

    def reserve_request(self, rate: float) -> float:
        """Take the next free moment at a rate (requests/s); return the seconds until then."""
        with self._locked():
            now = time.monotonic()
            # The first request has missed nothing: its double is still zero.
            moment = max(self._get(_NEXT_REQUEST) or now, now - _CATCH_UP)
            self._put(_NEXT_REQUEST, moment + 1 / rate)
            return moment - now

    def accept_credential(self, credential: int) -> None:
        """Note that the collector took a packet under a credential."""
        self._map[_place(credential, _ACCEPTED)] = 1

    def is_credential_accepted(self, credential: int) -> bool:
        """Whether the collector took a packet under a credential in this run."""
        return self._map[_place(credential, _ACCEPTED)] != 0

    def disable_credential(self, credential: int) -> bool:
        """Note that the collector knows a credential not; True for the first to say so."""
        with self._locked():
            place = _place(credential, _DISABLED)
            first = not self._map[place]
            self._map[place] = 1
            return first

    def is_credential_disabled(self, credential: int) -> bool:
        """Whether a credential's streams are to stop."""
        return self._map[_place(credential, _DISABLED)] != 0

    def _get(self, at: int) -> float:
        return self._doubles[at]

    def _put(self, at: int, value: float) -> None:
        self._doubles[at] = value

    @contextmanager
    def _locked(self) -> Iterator[None]:
        import fcntl

        with self._mutex:
            fcntl.lockf(self._fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._fd, fcntl.LOCK_UN)


def _place(credential: int, mark: int) -> int:
    return _CREDENTIALS + 2 * credential + mark


def _inherited(duplicate: Any) -> SharedState:
    return SharedState(duplicate.detach())
