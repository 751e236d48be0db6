"""Tests of files with several meters, and of other notes of `swarm.init.guess`."""

from pathlib import Path

import pytest

from swarm.errors import GuessError
from swarm.init.guess import guess
from tests.support.meters import written
from tests.unit.init.test_guess import made


@pytest.mark.parametrize(
    ("header", "is_wide"),
    [
        ("Time,North,South", True),
        ("Time,Meter 1,Meter 2", True),
        ("Time,Hall A kWh,Hall B kWh", True),
        ("Time,kW,kWh", False),
        ("Time,Voltage L1,Voltage L2", False),
        ("Time,Consumption (kWh),Cost", False),
        ("Time,aP_1,aP_2", False),
        ("", False),
    ],
)
def test_a_column_for_each_meter(tmp_path: Path, header: str, is_wide: bool) -> None:
    """Names that are more than quantities are of meters."""
    path = written(tmp_path / "my file.csv", f"{header}\n{made('1,2')}")
    notes = guess(path).notes
    hint = f"make a file of each: swarm split '{path}' --into FOLDER"
    assert is_wide == any(note.endswith(hint) for note in notes)


def lines(*rows: str) -> str:
    """Return a CSV with a header, and each row for four hours."""
    return "meter,time,kWh\n" + "".join(
        f"{row.format(f'2023-01-31 {hour:02}:00:00')}{hour}\n" for hour in range(4) for row in rows
    )


def test_a_row_for_each_meter_and_time(tmp_path: Path) -> None:
    """The message has the column, two of its texts and the line that splits the file."""
    path = written(tmp_path / "m.csv", lines("a b,{},", "c,{},1"))
    with pytest.raises(GuessError, match=f"has 'a b', 'c' at the .* {path} --by meter --into FOL"):
        guess(path)
    path = written(tmp_path / "m.csv", lines("a,{},", "c,{},1").partition("\n")[2])
    with pytest.raises(GuessError, match=r"the column '1' has 'a', 'c' .* --by 1 --into"):
        guess(path)


def test_one_meter_after_the_other(tmp_path: Path) -> None:
    """The rows of each meter may be in a block; the flag of summer time has such blocks too."""
    text = made("1,north", count=20) + made("2,south", count=3)
    with pytest.raises(GuessError, match=r"the column '3' has 'north', 'south' .* --by 3 --into"):
        guess(written(tmp_path / "m.csv", text))
    summer = "".join(f"2023-10-29 {hour:02}:00:00,1,S\n" for hour in range(3))
    winter = "".join(f"2023-10-29 {hour:02}:00:00,1,W\n" for hour in range(2, 9))
    assert () == guess(written(tmp_path / "m.csv", summer + winter)).notes


@pytest.mark.parametrize("text", [lines("a,{},"), made("1") * 2, made("1") + made("2")])
def test_one_meter(tmp_path: Path, text: str) -> None:
    """One text in the column, repeated rows and corrected rows are no meters."""
    assert () == guess(written(tmp_path / "m.csv", text)).notes


def test_sentinels(tmp_path: Path) -> None:
    """Numbers that may stand for a missing value are noted."""
    text = made("1", count=9) + "2023-02-01 00:00:00,-999\n"
    (note,) = guess(written(tmp_path / "m.csv", text)).notes
    assert note.startswith("'-999' occurs 1 time")


@pytest.mark.parametrize("encoding", ["utf-16-le", "cp1252"])
def test_the_zone_of_other_encodings(tmp_path: Path, encoding: str) -> None:
    """The times are followed in any encoding, and in any column."""
    text = "Zähler;Datum;Zeit;kWh\n" + "".join(
        f"7;29.10.2023;{hour:02}:{minute:02};1\n"
        for hour in (0, 1, 2, 2, 3, 4)
        for minute in range(0, 60, 5)
    )
    found = guess(written(tmp_path / "m.csv", text.encode(encoding)))
    assert found.trace is not None
    assert "Europe/Paris" in {each.zone for each in found.trace.likely()}
