"""The fast path against the slow one: the same rows, problems and texts of any block."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.config.settings import DEFAULT_TIMESTAMP, CsvRules
from swarm.csv import rows as rows_module
from swarm.csv import timestamps
from swarm.csv.file import Block
from swarm.csv.folds.occurrences import Recorder, Run
from swarm.csv.plain import PlainBlocks
from swarm.csv.problems import Problem, Problems
from swarm.csv.rows import Batch, Row, RowReader
from swarm.localtime import DAY_MS
from swarm.packet import REGISTERS
from swarm.timestamp_format import UNIX

#: Changes of timestamps: fewer digits, times that do not exist, blanks, other spellings.
_CHANGES = [
    *(("0", ""), ("02:30", "24:00"), ("02:30", "25:00"), ("2:30", "2:60"), ("01", "13")),
    *((" ", "  "), ("Jan", "JAN"), ("AM", "am"), ("Z", ""), ("00:00", "24:00"), ("M", "M ")),
    *(("000000", "000001"), ("000000", "000"), ("0", "0.5"), ("1", "-1")),
]
_UNCHANGED = [("x", "x")]
_CELLS = st.sampled_from(
    [
        *("1", "-0.50", "12.345", "7", "", "null", "N/A", "-", "x", '"3"', "1e3", "1,5", "1'000"),
        *("a\0", " 5", "007", "."),
    ]
)
_NUMBERS = st.sampled_from(["1", "-0.50", "12.345", "", "null"])
_LAYOUTS = [
    (("value",), (1,)),
    (("value",), (1, 2)),
    (("value",), (2,)),
    (("-", "value"), (2,)),
    (("-", "value", "-"), (2, 3)),
    (("value", "-"), (3,)),
    (("aP_1", "aP_2", "pC_1"), (1,)),
    (("aP_2", "aP_1"), (1,)),
    (("aP_1", "-", "aP_2"), (1,)),
    (("-", "aP_1", "aP_2"), (1, 2)),
    (("aP_1", "aP_2"), (2,)),
    (("aP_1", "aP_2"), (3, 4)),
    (("aP_1", "aP_2"), (2, 1)),
    (REGISTERS, (1,)),
    (REGISTERS, (22,)),
    (REGISTERS, (1, 2)),
]


@contextmanager
def slow() -> Iterator[None]:
    """Turn the fast path off, and parse each timestamp as a whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PlainBlocks, "read", lambda *_: None)
        patch.setattr(timestamps, "split_format", lambda _: None)
        yield


class Seen(NamedTuple):
    """The rows of a block, its problems, and the notes of repeated hours."""

    rows: list[Row]
    problems: list[Problem]
    lines: int
    columns: tuple[str, ...] | None
    hours: tuple[list[Run], int | None, int | None]
    batch: tuple[object, ...]


def read(rules: CsvRules, text: str) -> Seen:
    """Return what is read of a block."""
    problems, hours = Problems("m.csv"), Recorder()
    reader = RowReader(rules, problems, hours=hours)
    batch = reader.read(Block(1, text.encode()))
    noted = (hours.runs, hours.first, hours.last)
    return Seen(batch.rows(), problems.found, reader.rows, reader.columns, noted, parts_of(batch))


def parts_of(batch: Batch) -> tuple[object, ...]:
    """Return what a batch tells without its rows; the offset only of rows of one day."""
    is_day = batch.size and max(batch.instants) - min(batch.instants) < DAY_MS
    each = [(batch.moment(index), batch.cells_of(index)) for index in range(batch.size)]
    whole = (batch.instants, batch.columns, batch.walls(), batch.cells(), batch.all_cells())
    return (*whole, each, batch.offset if is_day else None)


#: Delimiters and decimal signs; some of the delimiters are in formats, too.
_MARKS = [(",", "."), (",", "."), (";", ","), ("\t", "."), (" ", "."), ("/", ",")]
#: Formats, with the zone of their times.
_FORMS = [
    (DEFAULT_TIMESTAMP, "UTC"),
    (DEFAULT_TIMESTAMP, "Europe/Berlin"),
    ("%d.%m.%Y %H:%M", "Europe/Berlin"),
    ("%m/%d/%Y %I:%M:%S %p", "America/New_York"),
    ("%d/%m/%y %H:%M", "Australia/Lord_Howe"),
    ("unix", "Europe/Berlin"),
    ("unix_us", "Australia/Lord_Howe"),
    ("%Y%m%d%H%M%S", "UTC"),
    ("%d-%b-%Y %H:%M:%S", "Africa/Cairo"),
    ("%b %d %Y %H:%M", "Asia/Beirut"),
    ("%Y-%m-%dT%H:%M:%S%z", None),
    ("%Y-%m-%dT%H:%M:%S.%f%z", None),
    ("%Y-%m-%d %H:%M:%S.%f", "Europe/Berlin"),
    ("%Y-%m-%d %H:%M GMT", "UTC"),
    ("%Y-%j %H:%M", "Europe/Berlin"),
    ("%d.%m.%Y", "Europe/Berlin"),
    ("%H:%M %d.%m.%Y", "Europe/Berlin"),
    ("%d.%m.%Y %H:%M - *", "Europe/Berlin"),
]
_DAYS = [
    datetime(2023, 1, 9),
    datetime(2023, 1, 10),
    datetime(2023, 3, 26),
    datetime(2023, 10, 29),
    datetime(9999, 12, 31),
    datetime(1, 1, 1),
]
_CLOCK_TIMES = [timedelta(0), timedelta(hours=2, minutes=30), timedelta(hours=13, minutes=5)]


def spelled(time: datetime, form: str, tail: str) -> str:
    """Return a time in a format; ``tail`` has the fraction and the offset for it."""
    if form in UNIX:
        return str((time - datetime(1970, 1, 1)) // timedelta(seconds=1) * 10 ** UNIX[form])
    fraction, _, offset = tail.partition(" ")
    form = form.replace("%f", fraction).replace("%z", offset).replace("*", "x")
    return time.strftime(form.replace("%Y", f"{time.year:04}"))


@st.composite
def blocks(draw: st.DrawFn) -> tuple[CsvRules, str]:
    """Return rules, and a block that mostly fits them."""
    # Half of the blocks are in layouts and formats that are often plain.
    columns, stamps = draw(st.sampled_from(_LAYOUTS[:1]) | st.sampled_from(_LAYOUTS))
    form, zone = draw(st.sampled_from(_FORMS[:12]) | st.sampled_from(_FORMS))
    delimiter, decimal = draw(st.sampled_from(_MARKS))
    rules = CsvRules(
        zone,
        columns=columns if draw(st.booleans()) or len(columns) not in {1, 21} else None,
        timestamp_columns=stamps,
        timestamp_format=form,
        delimiter=delimiter,
        decimal=decimal,
        missing=draw(st.sampled_from([None, frozenset({"null", "n/a", "-"})])),
        minimum=draw(st.sampled_from([None, ("0",)])),
        maximum=draw(st.sampled_from([None, ("7",)])),
        hour_24=draw(st.sampled_from(["error", "next_day"])),
        shift=draw(st.sampled_from([0.0, 900.0, 3 * 86400.0])),
        skip_prefixes=draw(st.sampled_from([None, ("J", "n", "#")])),
        scale=draw(st.sampled_from([(), (), (("value", 3), ("aP_1", -3))])),
        thousands=draw(st.sampled_from([None, "'"])),
    )
    cells = draw(st.sampled_from([_CELLS, _NUMBERS, st.just("5"), st.just("-0.50")]))
    tails = draw(st.sampled_from([["000 Z"], ["5 +01:00", "25 +0100"], ["000 +01:00", "0001 Z"]]))
    changes = draw(st.sampled_from([_UNCHANGED, _UNCHANGED, [*_UNCHANGED, *_CHANGES]]))
    lines = []
    for _ in range(draw(st.integers(1, 6))):
        time = draw(st.sampled_from(_DAYS)) + draw(st.sampled_from(_CLOCK_TIMES))
        stamp = spelled(time, form, draw(st.sampled_from(tails)))
        stamp = stamp.replace(*draw(st.sampled_from(changes)))
        parts = [*re.split("[ T]", stamp, maxsplit=1), ""] if len(stamps) > 1 else [stamp]
        others = iter([draw(cells).replace(".", decimal) for _ in columns])
        lines.append(
            delimiter.join(
                parts[stamps.index(number)] if number in stamps else next(others)
                for number in range(1, len(columns) + len(stamps) + 1)
            )
        )
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return rules, end.join(lines) + draw(st.sampled_from(["", end]))


@given(blocks())
def test_a_block_is_read_as_line_by_line(made: tuple[CsvRules, str]) -> None:
    """Rows with their texts, problems, and what is counted are the same."""
    rules, text = made
    with slow():
        expected = read(rules, text)
    assert expected == read(rules, text)


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        ("2023-01-01 00:00:00,1", {}),
        ("2023-01-01,00:00:00,1", {"timestamp_columns": (1, 2)}),
        (
            "meter 7,2023-01-01 00:00:00,1,kWh",
            {"columns": ("-", "value", "-"), "timestamp_columns": (2,)},
        ),
        ("1,2023-01-01,00:00:00,ok", {"columns": ("value", "-"), "timestamp_columns": (2, 3)}),
        ("2023-01-01 00:00:00,,1", {"columns": ("aP_1", "pC_1")}),
        (f"1{',' * 21}2023-01-01 00:00:00", {"timestamp_columns": (22,)}),
        (
            "31.01.2023 00:00;1,5;",
            {
                "columns": ("value", "-"),
                "timestamp_format": "%d.%m.%Y %H:%M",
                "delimiter": ";",
                "decimal": ",",
                "thousands": ".",
                "skip_prefixes": ("Sum",),
            },
        ),
        ("1/31/2023 9:05 PM,1", {"timestamp_format": "%m/%d/%Y %I:%M %p"}),
        ("31-Jan-2023 24:00,1", {"timestamp_format": "%d-%b-%Y %H:%M", "hour_24": "next_day"}),
        ("202301310905\t1", {"timestamp_format": "%Y%m%d%H%M", "delimiter": "\t"}),
        ("2023-01-31T09:05:00.250Z,1", {"timestamp_format": "%Y-%m-%dT%H:%M:%S.%f%z"}),
        ("2023-01-31 09:05 GMT,1", {"timestamp_format": "%Y-%m-%d %H:%M GMT"}),
        ("31.01.2023,1", {"timestamp_format": "%d.%m.%Y"}),
        ("1675152000,1", {"timestamp_format": "unix"}),
        ("1675152000123000000,1", {"timestamp_format": "unix_ns"}),
    ],
)
def test_usual_forms_take_the_fast_path(
    line: str, rules: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of their lines is read by itself."""
    settings = CsvRules("UTC", missing=frozenset({"null"}), **rules)
    with slow():
        expected = read(settings, f"{line}\n" * 3)
    monkeypatch.setattr(rows_module.RowReader, "_line", None)
    seen = read(settings, f"{line}\n" * 3)
    assert (3, [], 3, line) == (len(seen.rows), seen.problems, seen.lines, seen.rows[0].text)
    assert expected == seen


@pytest.mark.parametrize("cell", ["\0", '"'])
def test_what_no_cell_may_have(cell: str) -> None:
    """NUL bytes and open quotes are problems in a column that is not sent, too."""
    rules = CsvRules("UTC", columns=("value", "-"))
    (problem,) = read(rules, f"2023-01-01 00:00:00,1,{cell}\n").problems
    assert problem.column == 3


def test_counts_when_the_clocks_change() -> None:
    """The rows of a day have two offsets, and no count is in a repeated hour."""
    rules = CsvRules("Europe/Berlin", timestamp_format="unix")
    text = "".join(f"{1698537600 + n * 1800},1\n" for n in range(-2, 6))
    with slow():
        expected = read(rules, text)
    seen = read(rules, text)
    assert expected == seen
    assert [7_200_000] * 4 + [3_600_000] * 4 == [row.offset for row in seen.rows]
    assert seen.batch[-1] is None


def test_offsets_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block with one offset is fast, whatever the one before it had."""
    rules = CsvRules(None, timestamp_format="%Y-%m-%dT%H:%M%z")
    monkeypatch.setattr(rows_module.RowReader, "_line", None)
    reader = RowReader(rules, Problems("m.csv"))
    for hours in range(-12, 13):
        stamp = f"2023-01-31T09:05{hours:+03}:00"
        (row,) = reader.read(Block(1, f"{stamp},1\n".encode())).rows()
        assert hours * 3_600_000 == row.offset
        assert datetime.fromisoformat(stamp).timestamp() * 1000 == row.instant
