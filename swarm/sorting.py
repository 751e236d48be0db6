"""Readings out of order -> in order of time, in flat memory: SQLite sorts them on disk."""

import sqlite3
from collections.abc import Iterable, Iterator

from swarm.csvrows import Reading

_CACHE_KIB = 16 * 1024


def by_instant(readings: Iterable[Reading]) -> Iterator[Reading]:
    """Yield readings in order of their instants; those of one instant as they came."""
    # An empty name is a temporary database on disk, which ends with its connection.
    database = sqlite3.connect("", isolation_level=None)
    try:
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        database.execute("PRAGMA journal_mode = OFF")
        database.execute(
            "CREATE TABLE reading (instant INTEGER, wall INTEGER, cells TEXT, line INTEGER, "
            "text TEXT)"
        )
        database.execute("BEGIN")
        database.executemany("INSERT INTO reading VALUES (?, ?, ?, ?, ?)", readings)
        rows = database.execute("SELECT * FROM reading ORDER BY instant, rowid")
        yield from map(Reading._make, rows)
    finally:
        database.close()
