"""Tests of `swarm.init.guess`: the guessed settings make all kinds of CSVs valid."""

import gzip
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.config.csv_parsers import PARSERS
from swarm.errors import GuessError
from swarm.init.dialect import SAMPLE_BYTES
from swarm.init.guess import guess
from swarm.localtime import wall_of
from tests.support.meters import looked_at, written
from tests.support.workspace import rows


def guessed(path: Path) -> dict[str, str]:
    """Return the guessed options of a file."""
    return {setting.option: setting.text for setting in guess(path).settings}


def made(cells: str, delimiter: str = ",", count: int = 4) -> str:
    """Return a CSV of hourly rows with the same cells."""
    return "".join(f"2023-01-31 {n:02}:00:00{delimiter}{cells}\n" for n in range(count))


HOURLY = {"interval": "1h"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (made("1.5"), HOURLY),
        (made("1.5").replace("\n", "\r\n"), HOURLY),
        ("\ufeff" + made("1.5"), HOURLY),
        ("\n\n" + made("1.5"), HOURLY),
        (made('"1.5"'), HOURLY),
        (made(" 1.5 "), HOURLY),
        (made("15"), HOURLY),
        (made(",".join(["1"] * 21)), HOURLY),
        (made("1.5", ";"), {"delimiter": ";", **HOURLY}),
        (made("1,5", ";"), {"delimiter": ";", "decimal": ",", **HOURLY}),
        (made("1,5", "\t"), {"delimiter": "tab", "decimal": ",", **HOURLY}),
        (made("1.5", "|"), {"delimiter": "|", **HOURLY}),
        (
            made("000;1,5", ","),
            {
                "timestamp_format": "%Y-%m-%d %H:%M:%S,%f",
                "delimiter": ";",
                "decimal": ",",
                **HOURLY,
            },
        ),
        ("Time,kWh\n" + made("1.5"), {"skip_rows": "1", **HOURLY}),
        ("sep=;\n\nTime;kWh\n" + made("1", ";"), {"delimiter": ";", "skip_rows": "3", **HOURLY}),
        ("Time,aP_2\n" + made("1"), {"columns": "aP_2", "skip_rows": "1", **HOURLY}),
        ("Time,aP_2\n" + made("1,ok"), {"columns": "value, -", "skip_rows": "1", **HOURLY}),
        (made("1.5,"), {"columns": "value, -", **HOURLY}),
        (made("1.5") + "Total,6\n", {"skip_prefixes": "Total", **HOURLY}),
        (
            made("1.5") + "2023-01-31 04:00:00,n/a\n",
            {"missing": "n/a", "empty_rows": "skip", **HOURLY},
        ),
        ("2023-01-31 10:15:00,1\n", {}),
        (made("1").replace(":00,", ","), {"timestamp_format": "%Y-%m-%d %H:%M", **HOURLY}),
    ],
)
def test_layouts(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    """Delimiter, decimal sign, header, columns, format and interval; defaults are not written."""
    assert expected == guessed(written(tmp_path / "m.csv", text))


def test_offsets(tmp_path: Path) -> None:
    """There is no trace of a zone if the timestamps carry their offsets."""
    found = guess(written(tmp_path / "m.csv", "2023-01-31T10:15:00Z,1\n2023-01-31T10:30:00Z,1\n"))
    assert found.trace is None
    assert guess(written(tmp_path / "m.csv", made("1"))).trace is not None


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(1, "1m"), (15, "15m"), (60, "1h"), (90, "1h30m"), (1440, "1d"), (40_320, None)],
)
def test_spacing(tmp_path: Path, minutes: int, expected: str | None) -> None:
    """The interval is the commonest step; steps of a month or more are no interval."""
    assert expected == guessed(
        written(tmp_path / "m.csv", "\n".join(rows(9, minutes=minutes)))
    ).get("interval")


def test_steps_of_all_kinds_are_no_spacing(tmp_path: Path) -> None:
    """Readings at irregular times have no interval."""
    text = "".join(f"2023-01-31 00:00:{n * n:02},1\n" for n in range(7))
    assert {} == guessed(written(tmp_path / "m.csv", text))


def test_day_and_month(tmp_path: Path) -> None:
    """If day and month can't be distinguished, the doubt names the other format."""
    path = written(tmp_path / "m.csv", "01/02/2023 10:00,1\n01/02/2023 11:00,1\n")
    setting = guess(path).settings[0]
    assert ("timestamp_format", "%d/%m/%Y %H:%M") == (setting.option, setting.text)
    assert "it may be %m/%d/%Y %H:%M" in setting.doubt


def test_gzip(tmp_path: Path) -> None:
    """A compressed file is decompressed."""
    path = tmp_path / "m.csv.gz"
    path.write_bytes(gzip.compress(made("1,5", ";").encode()))
    assert {"delimiter": ";", "decimal": ",", **HOURLY} == guessed(path)


def test_settings_come_from_the_first_part(tmp_path: Path) -> None:
    """Data after the sample do not matter, nor does the line that the sample cuts."""
    text = made("1.5", count=1) * (SAMPLE_BYTES // 24) + "1" * SAMPLE_BYTES
    assert {} == guessed(written(tmp_path / "m.csv", text))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"a,b\nc,d\n", "no line that begins with a timestamp"),
        (b"2023-01-31 10:15:00\n", "no line that begins with a timestamp"),
        (b"2023-01-31 10:15:00,x\n", "no column of numbers"),
        (b"2023-01-31,10:15:00\n", "no column of numbers after the timestamp"),
        (b"2023-01-31 10:15:00,\0\n", "NUL"),
        (b"1" * SAMPLE_BYTES, "a line of more than 262,144 bytes"),
        (b'2023-01-31 10:15:00,"1,5"\n', "no column of numbers"),
    ],
)
def test_what_is_no_meters_file(tmp_path: Path, content: bytes, reason: str) -> None:
    """A file that can't be guessed is an error with the reason."""
    with pytest.raises(GuessError, match=reason) as caught:
        guess(written(tmp_path / "m.csv", content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "reason"), [("none", "no such file"), ("", "is a folder")])
def test_what_cannot_be_read(tmp_path: Path, name: str, reason: str) -> None:
    """A missing file, and a folder."""
    with pytest.raises(GuessError, match=reason):
        guess(tmp_path / name)


def test_a_damaged_gzip(tmp_path: Path) -> None:
    """A gzip file that is cut off."""
    path = written(tmp_path / "m.csv.gz", gzip.compress(made("1").encode())[:-9])
    with pytest.raises(GuessError, match="an incomplete or damaged gzip file"):
        guess(path)


@pytest.mark.parametrize(
    ("cells", "decimal", "is_doubtful"),
    [
        ("1,234 12,345 987", ",", True),
        ("1.234 12.345 987", ".", True),
        ("+1,234 -999,999", ",", True),
        ("1,234 0,987", ",", False),
        ("1,234 1234,567", ",", False),
        ("1,234 12,5", ",", False),
        ("1.234 1.2345", ".", False),
        ("1234 987", ".", False),
    ],
)
def test_thousands_or_decimals(tmp_path: Path, cells: str, decimal: str, is_doubtful: bool) -> None:
    """Three digits after the sign in every number: it may be a thousands separator."""
    lines = [f"2023-01-31 {hour:02}:00:00;{c}\n" for hour, c in enumerate(cells.split())]
    found = guess(written(tmp_path / "m.csv", "".join(lines))).settings
    doubts = {s.text: s.doubt for s in found if s.option == "decimal"}
    assert ([decimal] if is_doubtful or decimal == "," else []) == list(doubts)
    first = cells.partition(" ")[0]
    start = f"'{first}' may also be {first.replace(decimal, '')}:"
    assert is_doubtful == any(doubt.startswith(start) for doubt in doubts.values())


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("1,234 1,234,567", {"thousands": ","}),
        ("1.802,26 12", {"decimal": ",", "thousands": "."}),
        ("1'802.26 12", {"thousands": "'"}),
        ("1\N{NARROW NO-BREAK SPACE}802,26 -7", {"decimal": ",", "thousands": "space"}),
        ("1,5 2,25", {"decimal": ","}),
    ],
)
def test_thousands_for_certain(tmp_path: Path, cells: str, expected: dict[str, str]) -> None:
    """The separator is a setting if numbers can't be read without it."""
    lines = [f"2023-01-31 {n:02}:00:00;{c}\n" for n, c in enumerate(cells.split(" "))]
    path = written(tmp_path / "m.csv", "".join(lines))
    assert {"delimiter": ";", **expected, "interval": "1h"} == guessed(path)
    assert not any(setting.doubt for setting in guess(path).settings)


def test_what_a_doubtful_separator_needs(tmp_path: Path) -> None:
    """The doubt has the settings that read it as a thousands separator, if they are possible."""
    rows = "2023-01-31 00:00:00;1.234\n2023-01-31 01:00:00;2.345\n"
    (doubt,) = filter(None, (s.doubt for s in guess(written(tmp_path / "m.csv", rows)).settings))
    assert "separator, set decimal = , and thousands = .; as" in doubt
    path = written(tmp_path / "m.csv", rows.replace(";", ","))
    (doubt,) = filter(None, (setting.doubt for setting in guess(path).settings))
    assert "separator, export the numbers without it; as" in doubt


def test_several_separators(tmp_path: Path) -> None:
    """Numbers with another separator than the most are told."""
    rows = "".join(f"2023-01-31 {n:02}:00:00;1'234.5\n" for n in range(3))
    (note,) = guess(written(tmp_path / "m.csv", f"{rows}2023-01-31 03:00:00;1,234.5\n")).notes
    assert note.startswith("'1,234.5' has thousands separators: export the numbers without them")


@pytest.mark.parametrize("step", [1, -1])
def test_the_spacing_of_rows_in_either_order(tmp_path: Path, step: int) -> None:
    """Rows may be oldest first or newest first."""
    lines = [f"2023-01-31 {hour:02}:00:00,{hour}.5\n" for hour in range(20)][::step]
    found = guess(written(tmp_path / "m.csv", "".join(lines))).settings
    assert ["1h"] == [each.text for each in found if each.option == "interval"]


@pytest.mark.parametrize(
    ("ahead", "skipped", "doubt"),
    [
        ("Data;kWh\n31/05/2023 25:00;0\n", "2", "line 2 looks like a row of data"),
        ("Data;kWh\n31/05/2023 25:00;\n", "2", "line 2 looks like a row of data"),
        ("31/O5/2023 23:45;0\n", "1", "line 1 looks like a row of data"),
        ("Data;kWh\n", "1", ""),
        ("Data;2023\n", "1", ""),
        ("Meter 4711;12\n", "1", ""),
        ("15 min;kWh\n", "1", ""),
        ("31/05/2023 25:00;0;0\nData;kWh\n", "2", ""),
    ],
)
def test_a_damaged_first_row(tmp_path: Path, ahead: str, skipped: str, doubt: str) -> None:
    """A line before the data that looks like a row is skipped with a doubt."""
    rows = "".join(f"01/06/2023 {n:02}:15;1\n" for n in range(20))
    found = guess(written(tmp_path / "m.csv", ahead + rows)).settings
    ((text, found_doubt),) = [(s.text, s.doubt) for s in found if s.option == "skip_rows"]
    assert (skipped, doubt) == (text, found_doubt[: len(doubt)])
    assert bool(doubt) == bool(found_doubt)


def test_names_stand_above_a_damaged_row(tmp_path: Path) -> None:
    """The header is the line above the damaged row, and names the columns."""
    text = "Time,aP_2,aP_1\n2023-01-31 25:00:00,7,7\n" + made("1,2")
    assert "aP_2, aP_1" == guessed(written(tmp_path / "m.csv", text))["columns"]


def test_24_hours(tmp_path: Path) -> None:
    """24:00 is a setting, without which the check names it."""
    text = "".join(f"01/06/2023 {n:02}:00,1\n" for n in range(1, 25))
    path = written(tmp_path / "m.csv", text)
    (problem,) = looked_at(path, timestamp_format="%d/%m/%Y %H:%M").problems
    assert problem.message.endswith("24:00 is 00:00 of the next day, set hour_24 = next_day")
    assert "next_day" == guessed(path)["hour_24"]
    assert () == looked_at(path, timestamp_format="%d/%m/%Y %H:%M", hour_24="next_day").problems
    assert guess(path).notes == guess(written(tmp_path / "m.csv", made("1"))).notes == ()


@pytest.mark.parametrize(
    ("digits", "form"),
    [("", "unix"), ("000", "unix_ms"), ("0" * 6, "unix_us"), ("0" * 9, "unix_ns")],
)
def test_counts_of_seconds(tmp_path: Path, digits: str, form: str) -> None:
    """A count has an interval, a zone to choose, and a note about that."""
    path = written(
        tmp_path / "m.csv", "".join(f"{16 * 10**8 + n * 60}{digits},1\n" for n in range(9))
    )
    found = guess(path, ["Europe/Dublin"])
    assert {"timestamp_format": form, "interval": "1m"} == guessed(path)
    assert found.trace is not None
    assert () == found.trace.likely()
    assert "timezone is the zone in which the packets" in found.notes[0]


TEXTS = st.text(
    st.sampled_from('0123456789-/.:,;\t|"+ TZaPkW_\r\n\N{LATIN SMALL LETTER E WITH ACUTE}'),
    max_size=300,
)
LIKELY = st.lists(
    st.tuples(
        st.sampled_from(["2023-01-31 10:15:00", "1/2/2023 9:00", "x", '"', "9999-12-31"]),
        st.sampled_from([",", ";", "\t", "|", ""]),
        st.sampled_from(["1.5", "1,5", "", '"', "x", "1;2|3", "1e9", "nan"]),
        st.sampled_from(["\n", "\r\n", "", "\r"]),
    ).map("".join),
    max_size=12,
).map("".join)


@given(st.binary(max_size=300) | TEXTS.map(str.encode) | LIKELY.map(str.encode))
def test_whatever_the_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Any bytes are guessed, or are a `GuessError`; no setting has a line break."""
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    with suppress(GuessError):
        found = guess(path)
        texts = [f"{setting.option}{setting.text}{setting.doubt}" for setting in found.settings]
        assert all(text.isprintable() for text in texts)


FORMS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d.%m.%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%d-%b-%Y %H:%M",
    "%Y%m%d%H%M%S",
    "%Y-%m-%d %H:%M:%S.%f",
)


MARKS = ((",", "."), (";", "."), (";", ","), ("\t", ","), ("|", "."))
HEADERS = st.lists(st.sampled_from(["", "sep", "Zeit{0}Wert{0}Status"]), max_size=2)


@settings(max_examples=40)
@given(
    st.tuples(st.sampled_from(FORMS), st.sampled_from(MARKS), HEADERS, st.integers(1, 3)),
    st.datetimes(datetime(1999, 1, 1), datetime(2040, 1, 1)),
    st.integers(1, 90),
)
def test_files_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory,
    layout: tuple[str, tuple[str, str], list[str], int],
    start: datetime,
    step: int,
) -> None:
    """With the guessed settings a file has no problems and the times that it was written with."""
    form, (delimiter, decimal), header, width = layout
    first = start.replace(second=0, microsecond=0)
    times = [first + timedelta(minutes=n * step) for n in range(100)]
    cells = [f"{delimiter}1{decimal}{n:02}" * width for n in range(100)]
    lines = [time.strftime(form) + cell for time, cell in zip(times, cells, strict=True)]
    text = "\n".join([*(line.format(delimiter) for line in header), *lines, ""])
    path = written(tmp_path_factory.getbasetemp() / "m.csv", text)
    values = {s.option: PARSERS[s.option](s.text) for s in guess(path).settings}
    found = looked_at(path, **values)
    assert ([], 100) == ([str(problem) for problem in found.problems], found.rows)
    is_clear = {t.date() for t in times} != {first.date()} or first.day > 12 or "/" not in form
    if is_clear:
        instants = [row.instant for row in found.ends]
        assert [wall_of(times[0]), wall_of(times[-1])] == instants
