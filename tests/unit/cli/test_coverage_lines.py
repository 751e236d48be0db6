"""The lines of blocks of ``swarm check``."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from swarm.cli.coverage_lines import blocks, can_be_shown, coverage_lines
from swarm.cli.table import width
from swarm.csv import CheckResult, Window, check_files
from swarm.report.days import Days
from tests.support.meters import meter_of, written


def days(rows: Sequence[int], expected: int = 96) -> Days:
    """Return days with rows."""
    return Days(0, list(rows), [expected] * len(rows), [])


@pytest.mark.parametrize(
    ("rows", "most", "shown"),
    [
        ([96, 96], 10, "██"),
        ([96, 0, 95, 48, 1], 10, "█·▇▄▁"),
        ([96] * 100, 10, "█" * 10),
        ([*([96] * 50), *([0] * 50)], 4, "██··"),
        ([96, 95], 1, "▇"),
        ([0, 1], 1, "▁"),
    ],
)
def test_blocks(rows: Sequence[int], most: int, shown: str) -> None:
    """A part is full only if no row is missing, and a dot only if all are."""
    assert shown == blocks(days(rows), most)


def test_rows_without_an_expectation_are_full() -> None:
    """Weekly rows: the days between them lack nothing."""
    assert "█·█" == blocks(days([1, 0, 1], 0), 5)


def test_the_lines_fit_the_terminal(tmp_path: Path) -> None:
    """Long names are cut; a meter without rows has no line."""
    start = datetime(2023, 1, 1)
    text = "".join(f"{start + timedelta(hours=at)},1\n" for at in range(24 * 300) if at != 77)
    meter = meter_of(written(tmp_path / "m.csv", text))
    result = check_files(meter, Window(), with_quality=True)
    for columns in (40, 80, 200):
        lines = list(coverage_lines([meter, meter], [result, CheckResult("m")], columns))
        assert ["", "m"] == [lines[0], lines[1].split()[0]]
        assert lines[1].endswith("  99.9 %")
        assert 2 == len(lines)
        assert width(lines[1]) <= columns
    assert [] == list(coverage_lines([meter], [result], 10))


def test_terminals_without_blocks() -> None:
    """Latin letters are no blocks."""
    assert can_be_shown("utf-8")
    assert not can_be_shown("latin-1")
    assert not can_be_shown("no such encoding")
