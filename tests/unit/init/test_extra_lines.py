"""Tests of `swarm.init.extra_lines`: repeated headers and footers."""

from pathlib import Path

import pytest

from swarm.init.dialect import SAMPLE_BYTES
from swarm.init.guess import guess
from tests.support.meters import written
from tests.unit.init.test_guess import made

LEFT_OUT = "no row of data, and left out"
REJECTED = "no row of data; 'swarm check' rejects it: remove it from the file"


def found(path: Path) -> tuple[list[str], list[str]]:
    """Return what a file's lines need: ``skip_prefixes`` with its doubt, and the notes."""
    seen = guess(path)
    settings = [s for s in seen.settings if s.option == "skip_prefixes"]
    return [part for s in settings for part in (s.text, s.doubt)], list(seen.notes)


@pytest.mark.parametrize(
    ("end", "prefixes", "lines"),
    [
        ("Total,6\n", "Total", "line 5 ('Total,6')"),
        ("Total,6", "Total", "line 5 ('Total,6')"),
        ('"Total 2023","6"', "Total", 'line 5 (\'"Total 2023","6"\')'),
        (
            "\nSum;6\n\nEnd of report\n",
            "Sum;, End of report",
            "line 6 and 1 other line ('Sum;6')",
        ),
        ("---- 4 rows ----\n", "----", "line 5 ('---- 4 rows ----')"),
    ],
)
def test_lines_that_are_left_out(tmp_path: Path, end: str, prefixes: str, lines: str) -> None:
    """The beginning of a footer, up to its first digit, leaves it out."""
    path = written(tmp_path / "m.csv", made("1") + end)
    assert ([prefixes, f"{lines}: {LEFT_OUT}"], []) == found(path)


@pytest.mark.parametrize(
    ("end", "line"),
    [
        ("4 rows\n", "line 5 ('4 rows')"),
        ("O1/02/2023,5\n", "line 5 ('O1/02/2023,5')"),
        (",,,\n", "line 5 (',,,')"),
        ("-,3\n", "line 5 ('-,3')"),
    ],
)
def test_lines_that_are_told(tmp_path: Path, end: str, line: str) -> None:
    """Lines that begin as rows do can't be left out."""
    path = written(tmp_path / "m.csv", made("1") + end)
    assert ([], [f"{line}: {REJECTED}"]) == found(path)


@pytest.mark.parametrize(
    "end", ["", "\n\n", "2023-02-01 24:00:00,1\n", "2023-02-01 00:00:00,x\n", "x\n" * 40]
)
def test_no_footer(tmp_path: Path, end: str) -> None:
    """Rows are none, nor are many lines that can't be read."""
    assert ([], []) == found(written(tmp_path / "m.csv", made("1") + end))


def test_a_prefix_that_rows_have(tmp_path: Path) -> None:
    """It would leave rows out."""
    text = made("1").replace("2023", "meter,2023")
    note = f"line 5 ('meter 7, sum'): {REJECTED}"
    assert ([], [note]) == found(written(tmp_path / "m.csv", f"{text}meter 7, sum\n"))
    _, doubt = found(written(tmp_path / "m.csv", f"{text}Sum of 2023\n"))[0]
    assert doubt.startswith("line 5 ('Sum of 2023')")


def test_repeated_headers(tmp_path: Path) -> None:
    """Exports that were put together have their header several times."""
    text = "Time,kWh\n" + made("1")
    count = len(text.splitlines())
    note = f"line {count + 1} and 1 other line ('Time,kWh'): {LEFT_OUT}"
    assert (["Time", note], []) == found(written(tmp_path / "m.csv", text * 3))
    text = text.replace("Time", "2. Time")
    note = f"line {count + 1} ('2. Time,kWh'): {REJECTED}"
    assert ([], [note]) == found(written(tmp_path / "m.csv", text * 2))


def test_a_footer_far_into_a_file(tmp_path: Path) -> None:
    """The end of a long file is read too."""
    count = SAMPLE_BYTES // 20
    path = written(tmp_path / "m.csv", made("1.5", count=1) * count + "Total,6\n")
    assert (["Total", f"line {count + 1} ('Total,6'): {LEFT_OUT}"], []) == found(path)
