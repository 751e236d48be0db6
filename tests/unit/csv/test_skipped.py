"""Notices about lines that ``skip_rows`` skips although they look like data."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.meters import looked_at, written

FORM = "%d/%m/%Y %H:%M"
ROWS = "".join(f"01/06/2023 {n:02}:15;1,5\n" for n in range(9))


def notices(path: Path, head: str, skip_rows: int) -> tuple[str, ...]:
    """Return the notices about a file that begins with ``head``."""
    written(path, head + ROWS)
    rules: dict[str, Any] = {"delimiter": ";", "decimal": ",", "timestamp_format": FORM}
    result = looked_at(path, skip_rows=skip_rows, **rules)
    assert result.is_sound
    return result.notices


@pytest.mark.parametrize(
    ("head", "skip_rows"),
    [
        ("Data;kWh\n", 1),
        ("\ufeffData;kWh\n", 1),
        ("Meter 4711;12\nData;2023\n", 2),
        ("31/05/2023 24:00;0;0\n", 1),
        ('"broken;1\n', 1),
        ("\n\n", 2),
        ("", 0),
    ],
)
def test_headers(tmp_path: Path, head: str, skip_rows: int) -> None:
    """Names of columns, and lines with another number of cells, are no data."""
    assert () == notices(tmp_path / "m.csv", head, skip_rows)


@pytest.mark.parametrize("row", ["31/05/2023 24:00;0", "31/05/2023 23:45;", '"31/05/2023 23:45";1'])
def test_a_row_is_left_out(tmp_path: Path, row: str) -> None:
    """The notice names the first such line, and the setting that includes it."""
    path = tmp_path / "m.csv"
    (notice,) = notices(path, f"Data;kWh\r\n{row}\r\n", 2)
    assert notice == (
        f"{path}:2: a line that skip_rows = 2 leaves out looks like data: '{row}'; "
        "set skip_rows = 1 if it is a row to send"
    )


def test_several_rows_are_left_out(tmp_path: Path) -> None:
    """The notice counts the other lines."""
    (notice,) = notices(tmp_path / "m.csv", "Data;kWh\n", 4)
    assert (
        ":2: a line that skip_rows = 4 leaves out looks like data, like 2 lines after it" in notice
    )
    assert "set skip_rows = 1 " in notice
