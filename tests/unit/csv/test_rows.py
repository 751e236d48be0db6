"""The rules of a CSV for single rows."""

import gzip
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from swarm.cli.progress import format_problems
from swarm.config.settings import CsvRules
from swarm.csv.file import BLOCK_BYTES, LONGEST_LINE, Block
from swarm.csv.problems import MOST_PROBLEMS, Problems
from swarm.csv.rows import RowReader
from swarm.packet import REGISTERS
from tests.support.meters import kinds, looked_at, sent, told, written

T0, T1 = "2023-01-01 00:00:00", "2023-01-01 00:15:00"
AT_0, AT_1 = "2023-01-01T00:00:00.000+00:00", "2023-01-01T00:15:00.000+00:00"
GOOD = f"{T0},1\n"
SOME = "," * 19


class Case(NamedTuple):
    """A file with problems: its name and content, the position and kind of each problem."""

    name: str
    content: str | bytes
    found: list[tuple[int, int, str]]
    rules: dict[str, Any] = {}  # noqa: RUF012 - never changed


DUBLIN = {"timezone": "Europe/Dublin"}
NUMBERS = (
    "nan",
    "inf",
    "-inf",
    "1_000",
    "0x1F",
    "٣",
    "\uff11",
    "1e400",
    "1.2.3",
    "-",
    ".",
    "1 0",
    "1e",
)

CASES = [
    Case("too many cells", GOOD + f"{T1},1,2\n", [(2, 3, "cells")]),
    Case("a decimal comma", GOOD + f"{T1},1,5\n", [(2, 3, "cells")]),
    Case("too few cells", GOOD + f"{T1}\n", [(2, 2, "cells")]),
    Case("neither 1 nor 21 columns", f"{T0},1,2,3\n", [(1, 3, "cells")]),
    Case("20 columns", f"{T0},1{SOME}\n", [(1, 22, "cells")]),
    Case("22 columns", f"{T0},1{SOME},,\n", [(1, 23, "cells")]),
    Case("21 columns, then 1", f"{T0},1{SOME},\n{T1},1\n", [(2, 3, "cells")]),
    Case("other columns", f"{T0},1,2\n", [(1, 3, "cells")], {"columns": ("aP_1",)}),
    Case(
        "energy of 21 columns", f"{T0},1{SOME},\n", [(1, 3, "cells")], {"power_from_energy": 15.0}
    ),
    Case("no such day", "2023-02-29 00:00:00,1\n", [(1, 1, "timestamp")]),
    Case("no such time", f"2023-01-01 24:00:00,1\n{GOOD}", [(1, 1, "timestamp")]),
    Case("a second too many", f"2023-01-01 00:00:60,1\n{GOOD}", [(1, 1, "timestamp")]),
    Case("ISO 8601", GOOD + "2023-01-01T00:00:00,1\n", [(2, 1, "timestamp")]),
    Case("an empty timestamp", GOOD + ",1\n", [(2, 1, "timestamp")]),
    Case("decimals of a second", GOOD + f"{T1}.5,1\n", [(2, 1, "timestamp")]),
    Case("a bad time, a good number", "noon,1\n", [(1, 1, "timestamp")]),
    *(Case(f"the number {cell}", GOOD + f"{T1},{cell}\n", [(2, 2, "number")]) for cell in NUMBERS),
    Case("a quoted decimal comma", GOOD + f'{T1},"1,5"\n', [(2, 2, "number")]),
    Case("the last of 21", f"{T0}{SOME},,x\n", [(1, 22, "number")]),
    Case(
        "several in one line",
        f"2023-01-32 00:00:00,a{SOME},b\n",
        [(1, 1, "timestamp"), (1, 2, "number"), (1, 22, "number")],
    ),
    Case("no value", GOOD + f"{T1},\n", [(2, 2, "no value")]),
    Case("no value in 21", f"{T0},1{SOME},\n{T1}{SOME},,\n", [(2, 2, "no value")]),
    Case(
        "no value but in a column that is skipped",
        f"{T0},1,\n",
        [(1, 2, "no value")],
        {"columns": ("-", "aP_1")},
    ),
    Case("one instant, other values", GOOD + f"{T0},2\n", [(2, 1, "conflict")]),
    Case("a time that is skipped", "2023-03-26 01:30:00,1\n", [(1, 1, "nonexistent time")], DUBLIN),
    Case(
        "a time that is skipped, in another format",
        "2023-03-26T01:30,1\n",
        [(1, 1, "nonexistent time")],
        {**DUBLIN, "timestamp_format": "%Y-%m-%dT%H:%M"},
    ),
    Case("not UTF-8", GOOD.encode() + f"{T1},\xe9\n".encode("latin-1"), [(2, 2, "encoding")]),
    Case("not UTF-8 in the time", GOOD.encode() + b"\xff,1\n", [(2, 1, "encoding")]),
    Case("a NUL byte", GOOD + f"{T1},1\0\n", [(2, 2, "nul")]),
    Case("NUL bytes after a power cut", GOOD + "\0" * 5000, [(2, 1, "nul")]),
    Case("UTF-16 without a mark", GOOD.encode("utf-16-le"), [(1, 1, "nul"), (2, 1, "nul")]),
    Case("an unterminated quote", GOOD + f'{T1},"1\n', [(2, 2, "quote")]),
    Case("a quote over two lines", GOOD + f'"{T1},1\n",1\n', [(2, 1, "quote"), (3, 1, "quote")]),
    Case("text after a quote", GOOD + f'"{T1}"x,1\n', [(2, 1, "quote")]),
    Case("a header", f"timestamp,value\n{GOOD}", [(1, 1, "header")]),
    Case("a header of other columns", f"Time (UTC+1),kWh,note\n{GOOD}", [(1, 1, "header")]),
    Case("a header without a first name", f",value\n{GOOD}", [(1, 1, "header")]),
    Case("two header lines", f"Meter 7\ntime,value\n{GOOD}", [(1, 1, "header"), (2, 1, "header")]),
    Case("a second header", f"a,b\nc,d\n{GOOD}", [(2, 1, "header")], {"skip_rows": 1}),
    Case("a header inside", f"{GOOD}time,value\n", [(2, 1, "timestamp"), (2, 2, "number")]),
    Case(
        "no header: a time with a bad number",
        f"2023-01-01T00:00:00,none\n{GOOD}",
        [(1, 1, "timestamp"), (1, 2, "number")],
    ),
    Case(
        "no header: a bad time with a number of its own format",
        "noon;1,5\n",
        [(1, 1, "timestamp")],
        {"delimiter": ";", "decimal": ","},
    ),
    Case("an empty file", "", [(1, 1, "file")]),
    Case("a mark alone", b"\xef\xbb\xbf", [(1, 1, "file")]),
    Case("nothing but empty lines", "\n \r\n\t\n", [(1, 1, "file")]),
    Case("nothing left to read", GOOD, [(1, 1, "file")], {"skip_rows": 1}),
    Case(
        "a huge line",
        GOOD + "1" * (2 * LONGEST_LINE) + f"\n{T1},x\n",
        [(2, 1, "line"), (3, 2, "number")],
    ),
    Case(
        "a repeated time, not to be read",
        "2023-10-29 01:30:00,1\n",
        [(1, 1, "ambiguous time")],
        {**DUBLIN, "ambiguous_time": "error"},
    ),
    Case(
        "a third pass",
        "2023-10-29 01:30:00,1\n" * 3,
        [(3, 1, "ambiguous time")],
        DUBLIN,
    ),
    Case(
        "microseconds",
        f"{T0}.000001,1\n{T1}.001000,2\n",
        [(1, 1, "timestamp")],
        {"timestamp_format": "%Y-%m-%d %H:%M:%S.%f"},
    ),
    Case(
        "no offset and no zone",
        f"{T0}%z,1\n",
        [(1, 1, "timestamp")],
        {"timezone": None, "timestamp_format": "%Y-%m-%d %H:%M:%S%%z"},
    ),
    Case(
        "a point for a decimal comma",
        f"{T0};1.5\n",
        [(1, 2, "number")],
        {"delimiter": ";", "decimal": ","},
    ),
    Case(
        "too large in the collector's unit",
        f"{T0},1e307\n",
        [(1, 2, "number")],
        {"columns": ("aP_1",), "scale": (("aP_1", 3),)},
    ),
    Case("too large a power", f"{T0},1e308\n", [(1, 2, "number")], {"power_from_energy": 15.0}),
    Case(
        "before the calendar",
        "0001-01-01 00:00:00,1\n",
        [(1, 1, "timestamp")],
        {"timezone": "Asia/Tokyo"},
    ),
    Case("after the calendar", "9999-12-31 23:30:00,1\n", [(1, 1, "timestamp")], {"shift": 3600.0}),
    Case("far after the calendar", GOOD, [(1, 1, "timestamp")], {"shift": 1e12}),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_each_problem_is_reported_with_its_position_and_kind(case: Case, tmp_path: Path) -> None:
    """All problems, as FILE:LINE:COLUMN, with the text expected or how to correct it."""
    path = written(tmp_path / "m.csv", case.content)
    found = looked_at(path, **case.rules)
    assert kinds(found) == case.found
    assert found.problem_count == len(case.found)
    for problem, (line, column, kind) in zip(found.problems, case.found, strict=True):
        assert str(problem).startswith(f"{path}:{line}:{column}: {problem.message}")
        assert ("correct it" if kind == "nonexistent time" else "expected") in problem.message
        assert problem.message.isprintable()


def test_every_case_has_a_name_of_its_own() -> None:
    """A test that fails can be found by its name."""
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("name", "error"),
    [("no.csv", "no such file"), ("folder", "is a folder"), ("pipe", "not a regular file")],
)
def test_a_file_that_cannot_be_read_is_a_problem(name: str, error: str, tmp_path: Path) -> None:
    """The check does not wait for data, as from a pipe."""
    import os

    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    found = looked_at(tmp_path / name)
    assert kinds(found) == [(1, 1, "file")]
    assert error in str(found.problems[0])


def test_a_damaged_gzip_is_reported_before_the_problems_that_it_causes(tmp_path: Path) -> None:
    """The damage is among the problems reported, even if it causes many others."""
    compressed = bytearray(
        gzip.compress("".join(f"nonsense {n}\n" for n in range(20_000)).encode())
    )
    for name, damage in (("cut", compressed[:-20]), ("broken", compressed[:-8] + b"\0" * 8)):
        found = looked_at(written(tmp_path / f"{name}.csv.gz", bytes(damage)))
        assert kinds(found)[0] == (1, 1, "file")
        assert "gzip" in str(found.problems[0])
        assert len(found.problems) == MOST_PROBLEMS
    deep = gzip.compress(GOOD.encode() * 100_000)
    half = len(deep) // 2
    found = looked_at(written(tmp_path / "x.gz", deep[:half] + b"\xff\xff\xff" + deep[half + 3 :]))
    assert kinds(found)[0] == (1, 1, "file")


def test_of_many_problems_twenty_are_reported_and_the_rest_counted(tmp_path: Path) -> None:
    """A file that is no such CSV does not fill the screen."""
    path = written(tmp_path / "m.csv", GOOD + "x\n" * 100)
    found = looked_at(path)
    assert [problem.line for problem in found.problems] == list(range(2, 22))
    assert (found.problem_count, found.rows, found.filtered) == (100, 101, 0)
    assert format_problems(found.problems, found.problem_count)[20:] == ["... and 80 more problems"]


def test_each_of_several_files_has_its_own_twenty(tmp_path: Path) -> None:
    """The problems of the first file do not hide those of the second."""
    files = [written(tmp_path / name, GOOD + "x\n" * 30) for name in ("a.csv", "b.csv")]
    found = looked_at(*files)
    assert [problem.file for problem in found.problems] == [str(files[0])] * 20 + [
        str(files[1])
    ] * 20


ACCEPTED = {
    "LF": f"{T0},1\n{T1},2\n",
    "CRLF": f"{T0},1\r\n{T1},2\r\n",
    "mixed line ends": f"{T0},1\r\n{T1},2\n",
    "a byte order mark": f"\ufeff{T0},1\n{T1},2\n",
    "a byte order mark and CRLF": f"\ufeff{T0},1\r\n{T1},2\r\n",
    "blanks around cells": f"  {T0} ,\t1 \n{T1}\t,  2\t\n",
    "blanks at line ends": f"{T0},1 \r\n{T1},2 \r\n",
    "quoted cells": f'"{T0}","1"\n"{T1}",2\n',
    "blanks around and in quotes": f' "{T0}" ,\t" 1" \n{T1}, "2"\t\n',
    "empty lines": f"\n{T0},1\n\r\n  \n\n{T1},2\n\n",
    "no newline at the end": f"{T0},1\n{T1},2",
    "no newline at the end, CRLF": f"{T0},1\r\n{T1},2\r",
    "short dates": "2023-1-1 0:0:0,1\n2023-1-1 0:15:0,2\n",
    "many blanks in a time": "2023-01-01   00:00:00,1\n2023-01-01 00:15:00,2\n",
}


@pytest.mark.parametrize("content", ACCEPTED.values(), ids=ACCEPTED)
def test_variants_are_accepted(content: str, tmp_path: Path) -> None:
    """All variants are read as the same two rows."""
    rows = sent(written(tmp_path / "m.csv", content))
    assert told(rows) == [(AT_0, "1"), (AT_1, "2")]


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        *(("+5", "5"), (".5", "0.5"), ("5.", "5"), ("007", "7"), ("-.5", "-0.5"), ("1e3", "1e3")),
        *(("1E-3", "1E-3"), ("-0", "-0"), ("1.500", "1.500"), ('"7"', "7"), ("9" * 150, "9" * 150)),
    ],
)
def test_numbers_reach_the_row_exactly(cell: str, number: str, tmp_path: Path) -> None:
    """Legal JSON is sent verbatim, another notation as the same value."""
    assert told(sent(written(tmp_path / "m.csv", f"{T0},{cell}\n"))) == [(AT_0, number)]


def test_21_columns_are_all_registers_and_may_be_empty(tmp_path: Path) -> None:
    """Empty cells keep their place in the row; the packet leaves them out."""
    cells = "1,,3" + SOME[1:]
    path = written(tmp_path / "m.csv", f"{T0},{cells}\n{T1},{',' * 20}-4.25\n")
    assert told(sent(path)) == [(AT_0, cells), (AT_1, "," * 20 + "-4.25")]
    assert looked_at(path).registers == REGISTERS


def test_columns_name_the_cells_in_any_order(tmp_path: Path) -> None:
    """'-' skips a column; the values are sent in the order of the registers."""
    path = written(tmp_path / "m.csv", f"{T0},7,some text,5\n")
    rules: dict[str, Any] = {"columns": ("pC_1", "-", "aP_1")}
    assert told(sent(path, **rules)) == [(AT_0, "5,7")]
    assert looked_at(path, **rules).registers == ("aP_1", "pC_1")


def test_units_are_converted_exactly(tmp_path: Path) -> None:
    """From kW to W, the decimal point moves and all digits stay."""
    path = written(tmp_path / "m.csv", f"{T0},1.23456789012345678901,5e-3\n{T1},+.5,\n")
    rules: dict[str, Any] = {"columns": ("aP_1", "pC_1"), "scale": (("aP_1", 3), ("pC_1", -3))}
    assert told(sent(path, **rules)) == [(AT_0, "1234.56789012345678901,5e-6"), (AT_1, "500,")]


def test_a_semicolon_and_a_decimal_comma(tmp_path: Path) -> None:
    """Many European exports are written so."""
    path = written(tmp_path / "m.csv", "01/01/2023 00:00;1,50\n01/01/2023 00:15; -,5\n")
    rules: dict[str, Any] = {"delimiter": ";", "decimal": ",", "timestamp_format": "%d/%m/%Y %H:%M"}
    assert told(sent(path, **rules)) == [(AT_0, "1.50"), (AT_1, "-0.5")]


@pytest.mark.parametrize("delimiter", ["\t", " ", "|", "^", "]", "\\", "§"])
def test_any_character_can_be_the_delimiter(delimiter: str, tmp_path: Path) -> None:
    """Also a special character of regular expressions, or a blank."""
    lines = ["2023-01-01T00:00:00", "1"], ['"2023-01-01T00:15:00"', '"2"']
    content = "\n".join(delimiter.join(cells) for cells in lines)
    rules: dict[str, Any] = {"delimiter": delimiter, "timestamp_format": "%Y-%m-%dT%H:%M:%S"}
    assert told(sent(written(tmp_path / "m.csv", content), **rules)) == [(AT_0, "1"), (AT_1, "2")]


def test_header_lines_can_be_skipped(tmp_path: Path) -> None:
    """``skip_rows`` counts all lines, also empty ones; line numbers are those of the file."""
    path = written(tmp_path / "m.csv", f"Meter 7\n\ntime,value\n{T0},1\n")
    assert [row.line for row in sent(path, skip_rows=3)] == [4]


def test_rows_without_a_value_can_be_skipped(tmp_path: Path) -> None:
    """They count as filtered; there is a notice."""
    path = written(tmp_path / "m.csv", f"{T0},\n{T1},2\n")
    assert told(sent(path, empty_rows="skip")) == [(AT_1, "2")]
    found = looked_at(path, empty_rows="skip")
    assert (found.rows, found.filtered) == (2, 1)
    assert found.notices == (f"{path}: 1 row without any value: left out",)
    nothing = looked_at(written(tmp_path / "n.csv", f"{T0},\n"), empty_rows="skip")
    assert (nothing.is_sound, nothing.rows, nothing.ends) == (True, 1, ())


def test_offsets_of_the_csv_are_kept(tmp_path: Path) -> None:
    """With %z, no zone is needed and each row keeps its offset."""
    times = ("2023-01-01T02:00:00+0200", "2023-01-01T00:15:00Z", "2022-12-31T19:00:00-05:30")
    rules: dict[str, Any] = {"timezone": None, "timestamp_format": "%Y-%m-%dT%H:%M:%S%z"}
    path = written(tmp_path / "m.csv", "".join(f"{time},1\n" for time in times))
    assert told(sent(path, **rules)) == [
        ("2023-01-01T02:00:00.000+02:00", "1"),
        ("2023-01-01T00:15:00.000+00:00", "1"),
        ("2022-12-31T19:00:00.000-05:30", "1"),
    ]


def test_milliseconds_are_kept(tmp_path: Path) -> None:
    """%f may have up to six digits if the last three are zero."""
    path = written(tmp_path / "m.csv", f"{T0}.070000,1\n{T0}.5,2\n")
    rows = sent(path, timestamp_format="%Y-%m-%d %H:%M:%S.%f")
    assert [time[17:23] for time, _ in told(rows)] == ["00.070", "00.500"]


def test_the_text_of_a_row_is_the_line_of_the_file(tmp_path: Path) -> None:
    """The text of a rejected row, which is recorded, can be read again as a CSV."""
    for line in (f"{T0},1.50", f' "{T0}", +1 '):
        assert [row.text for row in sent(written(tmp_path / "m.csv", line + "\r\n"))] == [line]


@pytest.mark.parametrize("columns", [1, 21])
def test_a_plain_file_never_goes_line_by_line(
    columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fast path reads all of it, also the day of the clock change."""
    monkeypatch.delattr(RowReader, "_line")
    cells = ",1.5" * columns
    content = "".join(
        f"2023-03-{day:02} {hour:02}:00:00{cells}\n"
        for day in range(1, 32)
        for hour in range(2, 24)
    )
    assert len(sent(written(tmp_path / "m.csv", content), timezone="Europe/Dublin")) == 31 * 22


def test_a_plain_block_may_end_without_a_newline() -> None:
    """The fast path reads the last block also if its last line has no newline."""
    reader = RowReader(CsvRules("UTC"), Problems("m.csv"))
    batch = reader.read(Block(5, f"{T0},1\n{T1},2".encode()))
    assert [(row.line, row.text) for row in batch.rows()] == [(5, f"{T0},1"), (6, f"{T1},2")]


def test_lines_are_numbered_across_blocks(tmp_path: Path) -> None:
    """The line number of a problem far down is the one that an editor shows."""
    many = BLOCK_BYTES // len(GOOD) * 3
    content = "".join(
        f"{1000 + n // 365:04}-01-01 {n % 24:02}:{n % 60:02}:{n // 120 % 60:02},{n}\n"
        for n in range(many)
    )
    found = looked_at(written(tmp_path / "m.csv", content.replace("\n", "\r\n") + "x\n"))
    assert (found.problems[-1].line, found.problems[-1].kind) == (many + 1, "cells")
