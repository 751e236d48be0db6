"""Lines that ``skip_rows`` leaves out and that look like data."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.meters import looked_at, written

FORM = "%d/%m/%Y %H:%M"
ROWS = "".join(f"01/06/2023 {n:02}:15;1,5\n" for n in range(9))


def notices(path: Path, head: str, skip_rows: int) -> tuple[str, ...]:
    """Return the notices on a file with such lines ahead."""
    written(path, head + ROWS)
    rules: dict[str, Any] = {"delimiter": ";", "decimal": ",", "timestamp_format": FORM}
    found = looked_at(path, skip_rows=skip_rows, **rules)
    assert found.is_sound
    return found.notices


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
    """Names of columns, and lines of another width, are what skip_rows is for."""
    assert () == notices(tmp_path / "m.csv", head, skip_rows)


@pytest.mark.parametrize("row", ["31/05/2023 24:00;0", "31/05/2023 23:45;", '"31/05/2023 23:45";1'])
def test_a_row_is_left_out(tmp_path: Path, row: str) -> None:
    """The first such line is named, with what to set."""
    path = tmp_path / "m.csv"
    (told,) = notices(path, f"Data;kWh\r\n{row}\r\n", 2)
    assert told == (
        f"{path}:2: a line that skip_rows = 2 leaves out looks like data: '{row}'; "
        "set skip_rows = 1 if it is a row to send"
    )


def test_several_rows_are_left_out(tmp_path: Path) -> None:
    """The others are counted."""
    (told,) = notices(tmp_path / "m.csv", "Data;kWh\n", 4)
    assert ":2: a line that skip_rows = 4 leaves out looks like data, as 2 lines after it" in told
    assert "set skip_rows = 1 " in told
