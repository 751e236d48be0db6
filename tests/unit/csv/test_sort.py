"""Rows in order of time, in flat memory."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.csv.rows import Row
from swarm.csv.sort import Source, by_instant, merged
from swarm.errors import FileChangedError, StateError


def row(instant: int, file: int = 0, line: int = 1) -> Row:
    """Return a row with what sorting looks at."""
    return Row(instant, -3_600_000, "1.50,,2", file, line, "the line, with ünïcode")


def test_rows_come_back_whole_and_in_order() -> None:
    """Instants may be negative or far away."""
    rows = [row(instant) for instant in (5, -62_135_596_800_000, 253_402_300_799_999, 0)]
    assert list(by_instant(iter(rows))) == sorted(rows)


def test_rows_of_one_instant_stay_as_they_came() -> None:
    """``duplicates = first`` means the file's first."""
    rows = [row(n % 3, line=9 - n) for n in range(9)]
    found = list(by_instant(rows))
    assert [(r.instant, r.line) for r in found] == [
        (instant, 9 - n) for instant in range(3) for n in range(9) if n % 3 == instant
    ]


def test_what_goes_wrong_ahead_of_sorting_stays_what_it_is() -> None:
    """A file that changed is not a full disk."""

    def rows() -> Iterator[Row]:
        yield row(1)
        raise FileChangedError("m.csv changed")

    with pytest.raises(FileChangedError, match=r"m\.csv changed"):
        list(by_instant(rows()))


def test_what_can_not_be_kept_is_told_in_words() -> None:
    """An instant that SQLite can't hold stands for a full disk: both are its errors."""
    broken = row(1)._replace(cells=object())  # type: ignore[arg-type]
    with pytest.raises(StateError, match="TMPDIR"):
        list(by_instant([broken]))


def test_a_pass_that_is_given_up_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delivery can stop at any row."""
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    rows = by_instant(row(-n) for n in range(50_000))
    assert next(rows).instant == -49_999
    del rows
    assert list(tmp_path.iterdir()) == []


def source(file: int, *instants: int, begun: list[int] | None = None) -> Source:
    """Return a source of rows; ``begun`` gets its file's number when it is begun."""

    def rows() -> Iterator[Row]:
        if begun is not None:
            begun.append(file)
        for instant in instants:
            yield row(instant, file)

    return Source(min(instants), max(instants), rows)


def instants(rows: Iterator[Row]) -> list[tuple[int, int]]:
    """Return the instants and files of rows."""
    return [(r.instant, r.file) for r in rows]


def test_sources_that_follow_one_another_are_chained() -> None:
    """Whatever order they are named in."""
    found = merged([source(0, 5, 6), source(1, 1, 2), source(2, 3)])
    assert instants(found) == [(1, 1), (2, 1), (3, 2), (5, 0), (6, 0)]


def test_sources_that_overlap_are_merged() -> None:
    """In order of time, and of file where the time is the same."""
    found = merged([source(0, 1, 4, 9), source(1, 1, 2, 4), source(2, 4, 5)])
    assert instants(found) == [(1, 0), (1, 1), (2, 1), (4, 0), (4, 1), (4, 2), (5, 2), (9, 0)]


def test_nothing_to_merge() -> None:
    """No source, or one without a row."""
    assert list(merged([])) == []
    empty = Source(0, 9, lambda: iter(()))
    assert instants(merged([empty, source(1, 5)])) == [(5, 1)]


def test_a_source_is_begun_when_its_time_comes() -> None:
    """A year of daily files with a common row each does not stand open all at once."""
    begun: list[int] = []
    rows = merged(source(day, day * 10, day * 10 + 10, begun=begun) for day in range(365))
    seen = [(next(rows).instant, len(begun)) for _ in range(100)]
    assert all(count <= instant // 10 + 1 for instant, count in seen)


def test_any_rows_over_any_sources_are_in_order() -> None:
    """Random files, long and short, that overlap or not."""
    chance = random.Random(7)
    for _ in range(100):
        files = [
            sorted(chance.choices(range(30), k=chance.randint(1, 6)))
            for _ in range(chance.randint(1, 6))
        ]
        expected = sorted((instant, file) for file, times in enumerate(files) for instant in times)
        assert instants(merged(source(n, *times) for n, times in enumerate(files))) == expected
