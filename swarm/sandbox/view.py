"""The view of an open page of the sandbox: its contents, and the changes since the last look."""

import time
from collections import deque
from collections.abc import Iterator
from itertools import product
from typing import Any, Final

from swarm.sandbox.pictures import (
    LAST_VALUES,
    Days,
    Picture,
    days_picture,
    time_text,
    values_picture,
)
from swarm.sandbox.refusals import Refusals
from swarm.sandbox.store import Store, Stream
from swarm.sandbox.validate import as_text

#: Streams that are drawn, and streams that are listed: with more, a browser would stutter.
DRAWN: Final = 100
LISTED: Final = 1000

# The time (s) that one look may spend on pictures: packets wait meanwhile.
_BUDGET: Final = 0.025
_END: Final = object()
# The looks over which the packets a second are counted.
_LOOKS: Final = 5


class View:
    """The streams whose ID contains a text, for one page."""

    def __init__(self, store: Store, refusals: Refusals, contains: str = "") -> None:
        self._store = store
        self._refusals = refusals
        self._contains = contains.casefold()
        self._names: list[str] = []
        self._matching = 0
        self._known = -1
        self._rows: dict[str, Stream] = {}
        self._days: dict[str, Days] = {}
        self._drawn: dict[str, Stream] = {}
        self._pictures: dict[str, Picture] = {}
        self._round = self._draw_all()
        self._refused = -1
        self._looks: deque[tuple[float, int]] = deque(maxlen=_LOOKS)

    @property
    def is_behind(self) -> bool:
        """True if there are streams that wait for their first picture."""
        return any(name not in self._drawn for name in self._names[:DRAWN])

    def news(self) -> dict[str, Any]:
        """Return what has changed since the last call, as plain data for the page."""
        found: dict[str, Any] = {"packets": f"{self._store.count():,}", "rate": self._rate()}
        if self._refused != self._refusals.noted:
            self._refused = self._refusals.noted
            found["refused"] = f"{self._refused:,}"
            found["refusals"] = [
                (as_text(int(at * 1000))[:19].replace("T", " "), stream, str(status), reason)
                for at, (status, reason, stream) in self._refusals.last()
            ]
        if self._renew_names():
            found["order"] = self._names
            found["streams"] = f"{len(self._store.names()):,}"
            found["matching"] = self._matching
        found["rows"] = self._changed_rows()
        found["pictures"], self._pictures = self._pictures, {}
        return found

    def draw(self) -> Iterator[None]:
        """Draw what has changed, in short steps, as long as the time for it lasts."""
        spent = 0.0
        while spent < _BUDGET:
            started = time.perf_counter()
            if next(self._round, _END) is _END:
                self._round = self._draw_all()
                return
            spent += time.perf_counter() - started
            yield

    def _draw_all(self) -> Iterator[None]:
        """Draw each stream that has changed, those without a picture first."""
        for name in sorted(self._names[:DRAWN], key=self._drawn.__contains__):
            yield from self._draw_stream(name)

    def _draw_stream(self, name: str) -> Iterator[None]:
        stream = self._store.stream(name)
        if stream is None or self._drawn.get(name) == stream:
            return
        days = self._days.setdefault(name, Days())
        yield from days.count(self._store, name)
        recent = self._store.recent(name, LAST_VALUES)
        if recent and days.counts:
            calendar = days_picture(days.counts)
            yield
            self._pictures[name] = {"days": calendar, "values": values_picture(recent)}
            yield
        self._drawn[name] = stream

    def _renew_names(self) -> bool:
        """Look again which streams there are, if their number has changed; True if it has."""
        known = len(self._store.names())
        is_gone = any(self._store.stream(name) is None for name in self._names)
        if known == self._known and not is_gone:
            return False
        self._known = known
        names = sorted(name for name in self._store.names() if self._contains in name.casefold())
        self._matching = len(names)
        self._names = names[:LISTED]
        listed = set(self._names)
        kept: tuple[dict[str, Any], ...] = (self._rows, self._days, self._drawn)
        for name, each in product(self._rows.keys() - listed, kept):
            each.pop(name, None)
        return True

    def _changed_rows(self) -> list[tuple[str, int, str, str]]:
        rows = []
        for name in self._names:
            stream = self._store.stream(name)
            if stream is not None and self._rows.get(name) != stream:
                self._rows[name] = stream
                first, last = time_text(stream.first), time_text(stream.last)
                rows.append((name, stream.packets, first, last))
        return rows

    def _rate(self) -> str:
        """Return the packets a second over the last looks."""
        now, packets = time.monotonic(), self._store.count()
        self._looks.append((now, packets))
        before, count = self._looks[0]
        return f"{max(0, packets - count) / (now - before):,.0f}" if now > before else "0"
