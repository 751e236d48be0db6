"""Tests of files with several meters, of footers, and of other notes of `swarm.init.guess`."""

from pathlib import Path

import pytest

from swarm.errors import GuessError
from swarm.init.dialect import SAMPLE_BYTES
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


@pytest.mark.parametrize(
    ("end", "start"),
    [
        ("Total,6\n", "line 5: not a row of data but a footer: 'Total,6'"),
        ("Total,6", "line 5: not a row"),
        ("\nSum;6\n\nEnd of report\n", "line 6 and 1 line after it: not a row"),
        ("", ""),
        ("\n\n", ""),
        ("2023-02-01 24:00:00,1\n", ""),
        ("2023-02-01 00:00:00,x\n", ""),
        ("x\n" * 40, ""),
    ],
)
def test_lines_after_the_data(tmp_path: Path, end: str, start: str) -> None:
    """A note has the line and the text of the first of them."""
    notes = guess(written(tmp_path / "m.csv", made("1") + end)).notes
    found = [note for note in notes if "footer" in note]
    assert [start] * bool(start) == [note[: len(start)] for note in found]


def test_a_footer_far_into_a_file(tmp_path: Path) -> None:
    """The end of a long file is read too."""
    count = SAMPLE_BYTES // 20
    text = made("1.5", count=1) * count + "Total,6\n"
    (note,) = guess(written(tmp_path / "m.csv", text)).notes
    assert note.startswith(f"line {count + 1}: not a row of data but a footer")


def test_sentinels_and_thousands(tmp_path: Path) -> None:
    """Numbers that may stand for a missing value, and those that the check rejects, are noted."""
    text = made("1", count=9) + '2023-02-01 00:00:00,-999\n2023-02-01 01:00:00,"1,000.5"\n'
    notes = guess(written(tmp_path / "m.csv", text)).notes
    assert ["'1,000.5'", "'-999'"] == [note.split()[0] for note in notes]


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
