"""A workaround: coverage can hang CPython 3.11 when threads that have used greenlets end.

The greenlets of such a thread are cleaned up in a pending call of the main thread. If Python code
that runs there is traced, it loops forever at its first instruction as soon as another pending call
waits: two threads that end at the same time are enough. Such code runs in two cases: coverage's
dictionary of greenlets runs it when a thread's first greenlet is freed, and greenlet runs it when
it looks for leaks.
"""

import sys
import weakref
from typing import Any

from greenlet import greenlet


class _Dictionary(weakref.WeakKeyDictionary[Any, Any]):
    """A dictionary that keeps the first greenlet of each thread alive."""

    _kept: list[greenlet] = []  # noqa: RUF012 - one for all

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, greenlet) and key.parent is None:
            self._kept.append(key)
        super().__setitem__(key, value)


def harden() -> None:
    """Run no Python code when the greenlets of a thread that has ended are cleaned up."""
    if sys.version_info < (3, 12) and "coverage" in sys.modules:
        from greenlet import _greenlet

        _greenlet.enable_optional_cleanup(False)
        weakref.WeakKeyDictionary = _Dictionary  # type: ignore[misc]
