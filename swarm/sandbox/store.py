"""The packets of a rehearsal, in an SQLite file, and the rule of order that needs them.

Every packet is committed before `Store.add` returns, so that one which was answered outlives a
killed process. It is not synced: a power cut may cost a rehearsal, and speed matters more here.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from swarm.errors import StateError
from swarm.sandbox.validate import Breach, Packet, as_text

# How long a store is waited for: the sandbox that held it may still be on its way out.
_PATIENCE: Final = 3.0
_GLANCE: Final = 0.5

# Exclusive: what is known in memory stays true, and no second sandbox can write beside this one.
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


_LAST: Final = "SELECT stream, text, max(arrival) FROM packets GROUP BY stream"


class StoreInUseError(StateError):
    """A sandbox has the store to itself."""


class Stream(NamedTuple):
    """The facts that the store has of a stream; instants in ms since the epoch."""

    id: str
    packets: int
    first: int
    last: int


@dataclass(slots=True)
class _Held:
    """A stream in memory: asking SQLite before every packet would cost as much as storing it."""

    packets: int
    first: int
    last: int
    arrival: int


class Store:
    """The packets of a sandbox, for one thread.

    Without ``accept_late`` a packet has to be newer than the newest of its stream.

    Raises `StateError` where the file can't be used, `StoreInUseError` where another sandbox does.
    """

    def __init__(self, path: Path, *, accept_late: bool = True) -> None:
        self._path = path
        self._accept_late = accept_late
        with suppress(OSError):
            # SQLite would let others read it. What stops this stops SQLite as well, which says so.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with self._explained():
            self._database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            self._held = self._load()
        except BaseException:
            self._database.close()
            raise
        self._packets = sum(held.packets for held in self._held.values())

    def close(self) -> None:
        """Close the file; a closed store is not used again."""
        self._database.close()

    def add(self, packet: Packet) -> Breach | None:
        """Store a packet, or return how it breaks the order of its stream."""
        held = self._held.get(packet.stream)
        replaces = False
        if held is not None and packet.instant <= held.last:
            if not self._accept_late:
                return _out_of_order(packet, held.last)
            replaces = self._holds(packet)
        with self._explained():
            cursor = self._database.execute(
                "INSERT INTO packets (stream, instant, text) VALUES (?, ?, ?)", packet
            )
        self._count(packet, cursor.lastrowid or 0, replaces=replaces)
        return None

    def forget(self, streams: Iterable[str]) -> None:
        """Drop the packets of some streams: of all of them, or of none."""
        gone = [(stream,) for stream in streams]
        with self._explained(), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("DELETE FROM packets WHERE stream = ?", gone)
        for key in gone:
            held = self._held.pop(*key, None)
            self._packets -= held.packets if held else 0

    def last(self, stream: str) -> str | None:
        """Return the packet of a stream that was stored last, verbatim."""
        held = self._held.get(stream)
        if held is None:
            return None
        with self._explained():
            row = self._database.execute(
                "SELECT text FROM packets WHERE arrival = ?", (held.arrival,)
            ).fetchone()
        return str(row[0])

    def last_packets(self) -> dict[str, str]:
        """Return the packet of each stream that was stored last, verbatim."""
        return {stream: self.last(stream) or "" for stream in self._held}

    def count(self) -> int:
        """Return how many packets there are."""
        return self._packets

    def streams(self) -> list[Stream]:
        """Return what there is of each stream, in order of their names."""
        return [
            Stream(stream, held.packets, held.first, held.last)
            for stream, held in sorted(self._held.items())
        ]

    def _load(self) -> dict[str, _Held]:
        with self._explained():
            self._database.executescript(_SET_UP)
            return {stream: _Held(*rest) for stream, *rest in self._database.execute(_STREAMS)}

    def _holds(self, packet: Packet) -> bool:
        with self._explained():
            found = self._database.execute(
                "SELECT 1 FROM packets WHERE stream = ? AND instant = ?", packet[:2]
            )
            return found.fetchone() is not None

    def _count(self, packet: Packet, arrival: int, *, replaces: bool) -> None:
        fresh = _Held(0, packet.instant, packet.instant, arrival)
        held = self._held.setdefault(packet.stream, fresh)
        held.packets += not replaces
        held.first = min(held.first, packet.instant)
        held.last = max(held.last, packet.instant)
        held.arrival = arrival
        self._packets += not replaces

    @contextmanager
    def _explained(self) -> Iterator[None]:
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

    Raises `StoreInUseError` while a sandbox uses the store, `StateError` where it can't be read.
    """
    if not path.exists():
        return {}
    # Where no sandbox is, or was killed, SQLite needs no file beside the store to read it.
    is_closed = not path.with_name(f"{path.name}-wal").exists()
    how = "immutable=1" if is_closed else "mode=ro"
    try:
        uri = f"{path.absolute().as_uri()}?{how}"
        with closing(sqlite3.connect(uri, uri=True, timeout=_GLANCE)) as database:
            return {stream: text for stream, text, _ in database.execute(_LAST)}
    except sqlite3.Error as error:
        if "locked" in str(error):
            message = f"{path}: a sandbox is using this store; ask again later"
            raise StoreInUseError(message) from None
        raise StateError(f"{path}: the sandbox's store can't be read: {error}") from None


def _out_of_order(packet: Packet, newest: int) -> Breach:
    reason = (
        f"the packet's instant {as_text(packet.instant)} is not later than"
        f" the newest one of its stream, {as_text(newest)}"
    )
    return Breach(409, reason, packet.stream)
