"""Rows in order of time, in constant memory."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.csv.rows import Row
from swarm.csv.sort import Source, by_instant, merged
from swarm.errors import FileChangedError, StateError


def row(instant: int, file: int = 0, line: int = 1) -> Row:
    """Return a row; sorting uses its instant, and its file in a merge."""
    return Row(instant, -3_600_000, "1.50,,2", file, line, "the line, with ünïcode")


def test_rows_come_back_whole_and_in_order() -> None:
    """Instants may be negative or in the far past and future."""
    rows = [row(instant) for instant in (5, -62_135_596_800_000, 253_402_300_799_999, 0)]
    assert list(by_instant(iter(rows))) == sorted(rows)


def test_rows_of_one_instant_stay_as_they_came() -> None:
    """``duplicates = first`` means the first row of the file."""
    rows = [row(n % 3, line=9 - n) for n in range(9)]
    found = list(by_instant(rows))
    assert [(r.instant, r.line) for r in found] == [
        (instant, 9 - n) for instant in range(3) for n in range(9) if n % 3 == instant
    ]


def test_an_error_of_the_rows_is_not_an_error_of_sorting() -> None:
    """A file that changed is not reported as a full disk."""

    def rows() -> Iterator[Row]:
        yield row(1)
        raise FileChangedError("m.csv changed")

    with pytest.raises(FileChangedError, match=r"m\.csv changed"):
        list(by_instant(rows()))


def test_an_error_of_sqlite_names_the_temporary_folder() -> None:
    """A value that SQLite can't store takes the place of a full disk: both are SQLite errors."""
    broken = row(1)._replace(cells=object())  # type: ignore[arg-type]
    with pytest.raises(StateError, match="TMPDIR"):
        list(by_instant([broken]))


def test_rows_that_are_not_read_to_the_end_leave_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream can stop at any row."""
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    rows = by_instant(row(-n) for n in range(50_000))
    assert next(rows).instant == -49_999
    del rows
    assert list(tmp_path.iterdir()) == []


def source(file: int, *instants: int, opened: list[int] | None = None) -> Source:
    """Return a source of rows; its file's index is appended to ``opened`` when it is opened."""

    def rows() -> Iterator[Row]:
        if opened is not None:
            opened.append(file)
        for instant in instants:
            yield row(instant, file)

    return Source(min(instants), max(instants), rows)


def instants(rows: Iterator[Row]) -> list[tuple[int, int]]:
    """Return the instants and files of rows."""
    return [(r.instant, r.file) for r in rows]


def test_sources_that_follow_one_another_are_chained() -> None:
    """The order in which they are named does not matter."""
    found = merged([source(0, 5, 6), source(1, 1, 2), source(2, 3)])
    assert instants(found) == [(1, 1), (2, 1), (3, 2), (5, 0), (6, 0)]


def test_sources_that_overlap_are_merged() -> None:
    """In order of time; rows of one time in order of file."""
    found = merged([source(0, 1, 4, 9), source(1, 1, 2, 4), source(2, 4, 5)])
    assert instants(found) == [(1, 0), (1, 1), (2, 1), (4, 0), (4, 1), (4, 2), (5, 2), (9, 0)]


def test_nothing_to_merge() -> None:
    """No source, or one without a row."""
    assert list(merged([])) == []
    empty = Source(0, 9, lambda: iter(()))
    assert instants(merged([empty, source(1, 5)])) == [(5, 1)]


def test_a_source_is_opened_when_its_time_comes() -> None:
    """A year of daily files, each with a row of the next, is not open all at once."""
    opened: list[int] = []
    rows = merged(source(day, day * 10, day * 10 + 10, opened=opened) for day in range(365))
    seen = [(next(rows).instant, len(opened)) for _ in range(100)]
    assert all(count <= instant // 10 + 1 for instant, count in seen)


def test_any_rows_over_any_sources_are_in_order() -> None:
    """Random files, long and short, some of which overlap."""
    generator = random.Random(7)
    for _ in range(100):
        files = [
            sorted(generator.choices(range(30), k=generator.randint(1, 6)))
            for _ in range(generator.randint(1, 6))
        ]
        expected = sorted((instant, file) for file, times in enumerate(files) for instant in times)
        assert instants(merged(source(n, *times) for n, times in enumerate(files))) == expected
