"""Rows -> rows in order of time, in constant memory."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from swarm.csv.rows import Row
from swarm.errors import StateError
from swarm.scheduler import THREADS

if TYPE_CHECKING:
    import sqlite3

# SQLite uses this twice, for the table and for its sorter, and many files may be sorted at once.
_CACHE_KIB = 512


def by_instant(
    rows: Iterable[Row], run_in_thread: Callable[..., "sqlite3.Cursor"] = THREADS.run_in_thread
) -> Iterator[Row]:
    """Yield rows in order of their instants, rows of one instant in the order given.

    SQLite sorts them on disk, in the folder for temporary files; ``run_in_thread`` runs the sort
    (see `swarm.scheduler`). Raises `StateError` if SQLite fails.
    """
    import sqlite3

    # An empty name makes a temporary database, deleted when its connection is closed. Another
    # thread than the one that runs this generator may close it.
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
        entries = run_in_thread(database.execute, "SELECT * FROM entry ORDER BY instant, rowid")
        yield from map(Row._make, entries)
    except sqlite3.Error as error:
        raise StateError(
            f"rows out of order can't be sorted in the temporary folder: {error}; free space "
            "there, or set the variable TMPDIR to another folder"
        ) from None
    finally:
        database.close()


class Source(NamedTuple):
    """Rows in order of time, and the instants of the first and last of them."""

    first: int
    last: int
    rows: Callable[[], Iterator[Row]]


def merged(sources: Iterable[Source]) -> Iterator[Row]:
    """Yield the rows of all sources in order of time, rows of one instant in order of file.

    A source is opened when its first instant is reached, so that few of many are open at a time.
    """
    waiting = deque(sorted(sources, key=lambda source: source.first))
    # The next row of each open source, with the rows after it.
    heap: list[tuple[int, int, Row, Iterator[Row]]] = []
    while waiting or heap:
        while waiting and (not heap or waiting[0].first <= heap[0][0]):
            source = waiting.popleft()
            rows = source.rows()
            if not heap and (not waiting or source.last < waiting[0].first):
                yield from rows
            elif row := next(rows, None):
                heapq.heappush(heap, (row.instant, row.file, row, rows))
        if heap:
            _, _, row, rows = heap[0]
            yield row
            if row := next(rows, None):
                heapq.heapreplace(heap, (row.instant, row.file, row, rows))
            else:
                heapq.heappop(heap)
