"""Rows -> rows in order of time, in flat memory."""

import heapq
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from swarm.csv.rows import Row
from swarm.errors import StateError
from swarm.scheduler import THREADS

# For the table, and as much again for its sorter; many files may be sorted at the same time.
_CACHE_KIB = 512

#: The next row of each source that has begun, by instant and file, and the rows behind it.
_Heap = list[tuple[int, int, Row, Iterator[Row]]]


def by_instant(
    rows: Iterable[Row], aside: Callable[..., sqlite3.Cursor] = THREADS.run_in_thread
) -> Iterator[Row]:
    """Yield rows in order of their instants, those of one instant as they came.

    SQLite sorts them on disk, in the folder for temporary files. Raises `StateError`. What takes it
    long is called through ``aside`` (see `swarm.scheduler`).
    """
    # An empty name is a temporary database, which ends with its connection. A generator may be
    # closed by another thread than the one that ran it.
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    try:
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        database.execute("PRAGMA journal_mode = OFF")
        database.execute(
            "CREATE TABLE entry (instant INTEGER, shift INTEGER, cells TEXT, file INTEGER, "
            "line INTEGER, text TEXT)"
        )
        database.execute("BEGIN")
        database.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", rows)
        entries = aside(database.execute, "SELECT * FROM entry ORDER BY instant, rowid")
        yield from map(Row._make, entries)
    except sqlite3.Error as error:
        raise StateError(
            f"rows out of order can't be sorted in the temporary folder: {error}; make room "
            "there, or name another in the variable TMPDIR"
        ) from None
    finally:
        database.close()


class Source(NamedTuple):
    """Rows in order of time, and the instants of the first and last of them."""

    first: int
    last: int
    rows: Callable[[], Iterator[Row]]


def merged(sources: Iterable[Source]) -> Iterator[Row]:
    """Yield the rows of all sources in order of time, those of one instant in order of file.

    A source is begun when its first instant comes, so that few of many are open at a time.
    """
    waiting = deque(sorted(sources, key=lambda source: source.first))
    heap: _Heap = []
    while waiting or heap:
        while waiting and (not heap or waiting[0].first <= heap[0][0]):
            source = waiting.popleft()
            if not heap and (not waiting or source.last < waiting[0].first):
                yield from source.rows()
            else:
                _begin(heap, source.rows())
        if heap:
            yield heap[0][2]
            _advance(heap)


def _begin(heap: _Heap, rows: Iterator[Row]) -> None:
    row = next(rows, None)
    if row is not None:
        heapq.heappush(heap, (row.instant, row.file, row, rows))


def _advance(heap: _Heap) -> None:
    """Put the next row of the foremost source in its place."""
    rows = heap[0][3]
    row = next(rows, None)
    if row is None:
        heapq.heappop(heap)
    else:
        heapq.heapreplace(heap, (row.instant, row.file, row, rows))
