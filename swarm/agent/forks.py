"""Locks in a process that may be forked: the child does not have the thread that holds them."""

import os
import threading
from functools import partial

#: How long (s) a fork waits for another thread to release the lock.
_LONGEST_WAIT = 5.0


class ForkLock:
    """A lock for work that a forked process must not find half done, such as an import.

    A fork waits for a limited time until no other thread holds the lock; in the child it is free.
    The ``lock`` itself is used, also by the fork: with a Python function around it, an error of a
    signal handler could leave it locked.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        os.register_at_fork(
            before=partial(self.lock.acquire, timeout=_LONGEST_WAIT),
            after_in_parent=self.lock.release,
            after_in_child=self._free,
        )

    def _free(self) -> None:
        try:
            self.lock.release()
        except RuntimeError:  # the fork did not get the lock in time
            self.lock = threading.RLock()
