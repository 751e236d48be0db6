"""The packets of a rehearsal in an SQLite file, and the rule on their order.

Each packet is committed before `Store.add` returns, so a packet that was answered survives a
killed process. It is not synced: speed matters more here than packets lost in a power cut.
"""

import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from swarm.errors import StateError
from swarm.sandbox.validate import Breach, Packet, as_text

# The time (s) to wait for a store that is locked: another sandbox may be about to end.
_LOCK_TIMEOUT: Final = 3.0
_READ_TIMEOUT: Final = 0.5

# The lock is exclusive: no second sandbox can write, so the counts in memory stay valid.
_SET_UP: Final = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS packets (
    arrival INTEGER PRIMARY KEY, stream TEXT NOT NULL, instant INTEGER NOT NULL, text TEXT NOT NULL,
    UNIQUE (stream, instant) ON CONFLICT REPLACE
);
COMMIT;
"""
_STREAMS: Final = """
SELECT stream, count(*), min(instant), max(instant), max(arrival) FROM packets GROUP BY stream
"""
# Days are numbered as dates are in Python, from the first day of the year 1: no instant is below 0.
_DAYS: Final = """
SELECT (instant + 62135596800000) / 86400000 + 1 AS day, count(*), max(instant) FROM (
    SELECT instant FROM packets WHERE stream = ? AND instant > ? ORDER BY instant LIMIT ?
) GROUP BY day ORDER BY day
"""
_RECENT: Final = """
SELECT instant, text FROM packets WHERE stream = ? ORDER BY instant DESC LIMIT ?
"""
_LAST: Final = "SELECT stream, text, max(arrival) FROM packets GROUP BY stream"


class StoreInUseError(StateError):
    """Another sandbox has locked the store."""


class Stream(NamedTuple):
    """A summary of a stream in the store; instants are in ms since the epoch.

    ``arrival`` is the number of the packet that arrived last: any new packet changes it.
    """

    id: str
    packets: int
    first: int
    last: int
    arrival: int


class Day(NamedTuple):
    """A day (UTC, as `datetime.date.toordinal`) of a stream: its packets and the latest instant."""

    day: int
    packets: int
    last: int


@dataclass(slots=True)
class _Held:
    """A stream's summary in memory: a query per packet would cost as much as storing the packet."""

    packets: int
    first: int
    last: int
    arrival: int


class Store:
    """The packets of a sandbox, for use by one thread.

    Without ``accept_late`` a packet must be newer than the newest of its stream.

    Raises `StateError` if the file can't be used, `StoreInUseError` if another sandbox uses it.
    """

    def __init__(self, path: Path, *, accept_late: bool = True) -> None:
        self._path = path
        self._accept_late = accept_late
        with suppress(OSError):
            # SQLite would make it readable for others. If this fails, SQLite fails with a message.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with self._sqlite_errors():
            self._database = sqlite3.connect(path, timeout=_LOCK_TIMEOUT, isolation_level=None)
        try:
            with self._sqlite_errors():
                self._database.executescript(_SET_UP)
                summaries = self._database.execute(_STREAMS)
                self._held = {stream: _Held(*summary) for stream, *summary in summaries}
        except BaseException:
            self._database.close()
            raise
        self._packets = sum(held.packets for held in self._held.values())

    def close(self) -> None:
        """Close the file; the store can't be used after that."""
        self._database.close()

    def add(self, packet: Packet) -> Breach | None:
        """Store a packet, or return how it breaks the order of its stream."""
        stream, instant, _ = packet
        held = self._held.get(stream)
        replaces = False
        if held is not None and instant <= held.last:
            if not self._accept_late:
                reason = (
                    f"the packet's instant {as_text(instant)} is not later than"
                    f" the newest one of its stream, {as_text(held.last)}"
                )
                return Breach(409, reason, stream)
            with self._sqlite_errors():
                found = self._database.execute(
                    "SELECT 1 FROM packets WHERE stream = ? AND instant = ?", (stream, instant)
                )
                replaces = found.fetchone() is not None
        with self._sqlite_errors():
            cursor = self._database.execute(
                "INSERT INTO packets (stream, instant, text) VALUES (?, ?, ?)", packet
            )
        arrival = cursor.lastrowid or 0
        if held is None:
            held = self._held[stream] = _Held(0, instant, instant, arrival)
        held.packets += not replaces
        held.first = min(held.first, instant)
        held.last = max(held.last, instant)
        held.arrival = arrival
        self._packets += not replaces
        return None

    def forget(self, streams: Iterable[str]) -> None:
        """Delete the packets of some streams: of all of them or, after an error, of none."""
        keys = [(stream,) for stream in streams]
        with self._sqlite_errors(), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("DELETE FROM packets WHERE stream = ?", keys)
        for key in keys:
            held = self._held.pop(*key, None)
            self._packets -= held.packets if held else 0

    def last(self, stream: str) -> str | None:
        """Return the packet of a stream that was stored last, verbatim."""
        held = self._held.get(stream)
        if held is None:
            return None
        with self._sqlite_errors():
            row = self._database.execute(
                "SELECT text FROM packets WHERE arrival = ?", (held.arrival,)
            ).fetchone()
        return str(row[0])

    def last_packets(self) -> dict[str, str]:
        """Return the packet of each stream that was stored last, verbatim."""
        return {stream: self.last(stream) or "" for stream in self._held}

    def count(self) -> int:
        """Return the number of packets."""
        return self._packets

    def names(self) -> Collection[str]:
        """Return the IDs of the streams."""
        return self._held.keys()

    def stream(self, stream: str) -> Stream | None:
        """Return a summary of a stream.

        Times are those of the first and of the last packet, as they were sent.
        """
        held = self._held.get(stream)
        if held is None:
            return None
        return Stream(stream, held.packets, held.first, held.last, held.arrival)

    def days(self, stream: str, after: int, limit: int) -> list[Day]:
        """Return the numbers of packets of each day, of the next ``limit`` packets of a stream.

        They are those after an instant. So a caller can count a long stream in short steps.
        """
        with self._sqlite_errors():
            rows = self._database.execute(_DAYS, (stream, after, limit))
            return [Day(*row) for row in rows]

    def recent(self, stream: str, limit: int) -> list[tuple[int, str]]:
        """Return the instants and texts of the latest packets of a stream, in order of time."""
        with self._sqlite_errors():
            return self._database.execute(_RECENT, (stream, limit)).fetchall()[::-1]

    @contextmanager
    def _sqlite_errors(self) -> Iterator[None]:
        """Raise SQLite's errors as `StateError` with the path and what to do."""
        try:
            yield
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise StoreInUseError(
                    f"{self._path}: another sandbox is using this store; wait until its run has "
                    "ended, or give this one another 'state' under [swarm] (--store with "
                    "`swarm sandbox`)"
                ) from error
            raise StateError(f"{self._path}: the sandbox's store failed: {error}") from error


def last_packets(path: Path) -> dict[str, str]:
    """Return the packet of each stream that was stored last, verbatim, without a sandbox.

    Raises `StoreInUseError` while a sandbox uses the store, `StateError` if it can't be read.
    """
    if not path.exists():
        return {}
    # Without a write-ahead log nothing has the store open: read it, but create no files beside it.
    is_closed = not path.with_name(f"{path.name}-wal").exists()
    mode = "immutable=1" if is_closed else "mode=ro"
    try:
        uri = f"{path.absolute().as_uri()}?{mode}"
        with closing(sqlite3.connect(uri, uri=True, timeout=_READ_TIMEOUT)) as database:
            return {stream: text for stream, text, _ in database.execute(_LAST)}
    except sqlite3.Error as error:
        if "locked" in str(error):
            message = f"{path}: a sandbox is using this store; try again later"
            raise StoreInUseError(message) from None
        raise StateError(f"{path}: the sandbox's store can't be read: {error}") from None
