"""Meters over CSV files in the folder of a test."""

import os
import time
from pathlib import Path
from typing import Any

from swarm.config.settings import CsvRules, Meter
from swarm.csv import CheckResult, MeterReader, Row, Window, check_files
from swarm.packet import timestamp

#: Age of a file (seconds) for tests in which it does not matter.
OLD = 60.0


def written(path: Path, content: str | bytes, age: float = OLD) -> Path:
    """Write a file that was last changed ``age`` seconds ago."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    aged(path, age)
    return path


def aged(path: Path, age: float) -> None:
    """Set a file's modification time to ``age`` seconds ago."""
    moment = time.time() - age
    os.utime(path, (moment, moment))


def meter_of(*files: Path, **rules: Any) -> Meter:
    """Return a meter in UTC, or as the rules say."""
    return Meter("m", files, CsvRules(**{"timezone": "UTC", **rules}))


def looked_at(*files: Path, window: Window | None = None, **rules: Any) -> CheckResult:
    """Return the result of checking a meter."""
    return check_files(meter_of(*files, **rules), window or Window())


def sent(*files: Path, window: Window | None = None, **rules: Any) -> list[Row]:
    """Return the rows that a meter sends, after a check that finds no problem."""
    meter = meter_of(*files, **rules)
    found = check_files(meter, window or Window())
    assert [str(problem) for problem in found.problems] == []
    rows = list(MeterReader(meter, found.checked_files, window or Window()).rows())
    batches = list(MeterReader(meter, found.checked_files, window or Window()).batches())
    assert [row for batch in batches for row in batch.rows()] == rows
    for batch in batches:
        assert batch.instants == [row.instant for row in batch.rows()]
        assert batch.cells() == [row.cells for row in batch.rows()]
        assert [batch.row(index) for index in range(len(batch.instants))] == batch.rows()
    assert found.ends == ((rows[0], rows[-1]) if rows else ())
    assert found.rows - found.filtered == len(rows)
    return rows


def told(rows: list[Row]) -> list[tuple[str, str]]:
    """Return the timestamp and the values of each row as packets contain them."""
    return [(timestamp(row.instant, row.offset), row.cells) for row in rows]


def kinds(found: CheckResult) -> list[tuple[int, int, str]]:
    """Return the line, column and kind of each problem of a check."""
    return [(problem.line, problem.column, problem.kind) for problem in found.problems]
