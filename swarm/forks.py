"""Locks in a process that may be forked: a child has not the thread that holds them."""

import os
import threading
from types import TracebackType

#: How long (s) a fork waits for another thread to let go.
_LONGEST_WAIT = 5.0


class ForkLock:
    """An RLock for what no forked process is to find half done, such as the import of a module.

    A fork waits until no other thread holds it, for a while; the child has it free.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._here = threading.local()
        os.register_at_fork(
            before=self._before,
            after_in_parent=self._after_in_parent,
            after_in_child=self._after_in_child,
        )

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._lock.release()

    def _before(self) -> None:
        self._here.is_held = False
        self._here.is_held = self._lock.acquire(timeout=_LONGEST_WAIT)

    def _after_in_parent(self) -> None:
        if self._here.is_held:
            self._lock.release()

    def _after_in_child(self) -> None:
        if self._here.is_held:
            self._lock.release()
        else:
            self._lock = threading.RLock()
