"""Keeps coverage from hanging CPython 3.11 where threads that have had greenlets end.

What greenlets leave of a thread is cleaned up in a pending call of the main thread. Python code
that is traced there goes round for ever at its first instruction as soon as another pending call
waits: two threads that end at once are enough. Such code is run for coverage's dictionary of
greenlets, when a thread's first greenlet goes, and by greenlet itself, which looks for leaks.
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
    """Let no Python code run where the greenlets of a thread that has ended are cleaned up."""
    if sys.version_info < (3, 12) and "coverage" in sys.modules:
        from greenlet import _greenlet

        _greenlet.enable_optional_cleanup(False)
        weakref.WeakKeyDictionary = _Dictionary  # type: ignore[misc]
