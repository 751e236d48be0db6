"""Locks in a process that may be forked: a child has not the thread that holds them."""

import os
import threading
from functools import partial

#: How long (s) a fork waits for another thread to let go.
_LONGEST_WAIT = 5.0


class ForkLock:
    """A lock for what no forked process is to find half done, such as the import of a module.

    A fork waits until no other thread holds it, for a while; the child has it free. The ``lock`` is
    used as it is, and by the fork as well: around functions of Python, an error that a signal's
    handler raises could leave it held.
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
        except RuntimeError:  # it was waited for in vain
            self.lock = threading.RLock()
