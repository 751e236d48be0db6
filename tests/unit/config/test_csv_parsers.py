"""The settings of one meter: accepted and refused values of each."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as search
from hypothesis import strategies as st

from swarm.config import csv_parsers
from swarm.config.document import Document
from swarm.config.ini import parse
from swarm.config.parsers import INVALID
from tests.support.ini import ini_text, problems

ZONE = "an IANA time zone such as Europe/Dublin or America/Chicago"
COLUMNS = "'value' alone, or registers such as aP_1, aP_2, pC_1, each once; '-' skips a column"
UNITS = "units such as kW, kvar, kVA, kV, mA, kWh, at most one per quantity"
FORMAT = (
    "a strptime format with year, month and day (and %p beside %I), such as %d/%m/%Y %H:%M, or one "
    "of unix, unix_ms, unix_us, unix_ns"
)
END = "a text before the '*', where the time ends, such as %d/%m/%Y %H:%M - *"
PREFIXES = (
    "the beginnings of lines, separated by commas, such as Total, #; none begins with a quote, or "
    "like a number"
)
DELIMITER = "one character between cells, such as , or ; or tab"
DURATION = "a duration such as 90s, 15m, 2h or 1h30m"
POSITIVE = "a duration above zero, such as 30s"
LIMITS = "a number such as 0 or -12.5, or one for each column; '-' is no limit"
ENCODING = "a text encoding that Python knows, such as utf-8, cp1252, latin-1 or utf-16"
WHOLE = "a whole number such as 0 or 1"

ACCEPTED: dict[str, list[tuple[str, Any]]] = {
    "timezone": [("America/Chicago", "America/Chicago"), ("UTC", "UTC")],
    "route": [("utc", "utc"), ("Partial", "partial")],
    "columns": [
        ("aP_1, aP_2,pC_1", ("aP_1", "aP_2", "pC_1")),
        ("-, value, -", ("-", "value", "-")),
        ("v_12,\n  v_13", ("v_12", "v_13")),
    ],
    "unit": [("kW, kWh", ("kW", "kWh")), ("mA", ("mA",)), ("MVA,\n kvar", ("MVA", "kvar"))],
    "timestamp_format": [
        ("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M"),
        ("%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S.%f%z"),
        ("%m/%d/%y %I:%M %p", "%m/%d/%y %I:%M %p"),
        ("%Y%j", "%Y%j"),
        ("%Y-%m-%d %H", "%Y-%m-%d %H"),
        ("%d.%m.%Y %H:%M - *", "%d.%m.%Y %H:%M - *"),
        ("%Y-%m-%d %H:%M (*", "%Y-%m-%d %H:%M (*"),
        *((each, each) for each in ("unix", "unix_ms", "unix_us", "unix_ns")),
    ],
    "hour_24": [("error", "error"), ("Next_day", "next_day")],
    "delimiter": [(";", ";"), ("\\t", "\t"), ("TAB", "\t"), ("space", " "), ("|", "|")],
    "decimal": [(",", ","), (".", ".")],
    "thousands": [
        (",", ","),
        (".", "."),
        ("'", "'\u2019"),
        ("Space", " \u00a0\u202f"),
    ],
    "skip_rows": [("0", 0), ("12", 12)],
    "skip_prefixes": [
        ("#", ("#",)),
        ("Total, End of ,", ("Total", "End of")),
        ("--, .x, +++", ("--", ".x", "+++")),
        ("*,\n  Σ", ("*", "Σ")),
    ],
    "encoding": [
        ("utf8", "utf-8"),
        ("Windows-1252", "cp1252"),
        ("latin 1", "iso8859-1"),
        ("UTF-16LE", "utf-16-le"),
        ("shift_jis", "shift_jis"),
    ],
    "missing": [
        ("null", {"null"}),
        ("NULL, N/A,---", {"null", "n/a", "---"}),
        ("a,\n  b", {"a", "b"}),
    ],
    "timestamp_columns": [("1", (1,)), ("3, 1", (3, 1)), (" 2 , 3 ", (2, 3))],
    "interval": [("15m", 900.0)],
    "duplicates": [("error", "error"), ("first", "first"), ("Last", "last")],
    "empty_rows": [("skip", "skip")],
    "ambiguous_time": [("infer", "infer"), ("first", "first"), ("second", "second")],
    "minimum": [("0", ("0",)), ("-12.50", ("-12.50",)), ("0, -, 5", ("0", "-", "5"))],
    "maximum": [("1000", ("1000",))],
    "falling": [("notice", "notice"), ("Error", "error")],
    "shift": [("15m", 900.0), ("0s", 0.0)],
    "pad_first": [("yes", True), ("no", False)],
    "power_from_energy": [("15m", 15.0), ("90s", 1.5)],
}

REFUSED: dict[str, list[tuple[str, str]]] = {
    "timezone": [
        ("Mars/Olympus", ZONE),
        ("europe/dubln", f"{ZONE}; did you mean 'Europe/Dublin'?"),
        ("right/Europe/Dublin", f"{ZONE}; did you mean 'Europe/Dublin'?"),
        ("localtime", ZONE),
        ("../../etc/passwd", ZONE),
        ("/etc/localtime", ZONE),
    ],
    "route": [("local", "utc or partial")],
    "columns": [
        ("aP_4", COLUMNS),
        ("aP_1, aP_1", COLUMNS),
        ("value, aP_1", COLUMNS),
        ("-, -", COLUMNS),
        ("ap_1", COLUMNS),
        ("aP_1,", COLUMNS),
    ],
    "unit": [("kw", UNITS), ("kW, W", UNITS), ("kW, ", UNITS), ("therm", UNITS)],
    "timestamp_format": [
        ("iso", FORMAT),
        ("%d/%m %H:%M", FORMAT),
        ("%d/%m/%Y %I:%M", FORMAT),
        ("%H:%M", FORMAT),
        ("%Y-%m-%d %Q", FORMAT),
        ("%s", FORMAT),
        ("%Y-%m-%d %d", FORMAT),
        ("%", FORMAT),
        ("Unix", FORMAT),
        ("*", END),
        ("%Y-%m-%d*", END),
        ("%H:%M - *", FORMAT),
    ],
    "hour_24": [("yes", "error or next_day")],
    "thousands": [(each, "one of . , ' or space") for each in ("_", ",.", "no")],
    "skip_prefixes": [(each, PREFIXES) for each in (",", "a, 1", "-5", '"Total"', ".5", "a,+")],
    "delimiter": [(",,", DELIMITER), ("a", DELIMITER), ("1", DELIMITER), ('"', DELIMITER)],
    "decimal": [(";", "'.' or ','")],
    "encoding": [
        ("utf-9", f"{ENCODING}; did you mean 'utf-8'?"),
        ("cp1251x", f"{ENCODING}; did you mean 'cp1252'?"),
        ("base64", ENCODING),
        ("rot13", ENCODING),
        ("idna", ENCODING),
        ("unicode_escape", ENCODING),
        ("a b", ENCODING),
    ],
    "missing": [
        (each, "words separated by commas, such as null, n/a, ---") for each in (",", " ,")
    ],
    "timestamp_columns": [
        (each, "the numbers of columns, counted from 1, such as 2 or 1, 2")
        for each in ("0", "1,1", "a", "1;2", "-1", "1,", "1001")
    ],
    "skip_rows": [("-1", WHOLE), ("one", WHOLE), ("²", WHOLE)],
    "interval": [("15", DURATION), ("0m", POSITIVE)],
    "duplicates": [("sum", "error, first or last")],
    "empty_rows": [("zero", "error or skip")],
    "ambiguous_time": [("third", "infer, first, second or error")],
    "minimum": [(each, LIMITS) for each in ("", "x", "1e3", "-", "1,", "nan", "+1")][1:],
    "maximum": [("1;2", LIMITS)],
    "falling": [("no", "notice or error")],
    "shift": [("-15m", DURATION)],
    "pad_first": [("once", "yes or no")],
    "power_from_energy": [("0s", POSITIVE), ("15", DURATION)],
}


def document(option: str, text: str) -> Document:
    """Return an INI in which a meter has one setting, on line 2."""
    return parse(Path("x.ini"), f"[meter:m]\n{option} = {text}\n")


def values(option: str, read: Document) -> object:
    """Return the parsed value of one setting."""
    return read.values("meter:m", {option: csv_parsers.PARSERS[option]}, csv_parsers.LISTS)[option]


def cases(table: dict[str, list[tuple[str, Any]]]) -> list[tuple[str, str, Any]]:
    """Return the rows of a table, one for each value of a setting."""
    return [(option, text, value) for option, rows in table.items() for text, value in rows]


def test_tables_are_whole() -> None:
    """Each setting has cases of both kinds."""
    assert csv_parsers.PARSERS.keys() == ACCEPTED.keys() == REFUSED.keys()


@pytest.mark.parametrize(("option", "text", "value"), cases(ACCEPTED))
def test_accepted(option: str, text: str, value: object) -> None:
    """Each setting accepts the values of the reference."""
    read = document(option, text)
    assert (value, []) == (values(option, read), read.problems)


@pytest.mark.parametrize(("option", "text", "expected"), cases(REFUSED))
def test_refused(option: str, text: str, expected: str) -> None:
    """Each setting refuses other values, in one line that says what was found and expected."""
    read = document(option, text)
    assert INVALID is values(option, read)
    message = f"x.ini:2: [meter:m] {option}: found '{text.strip()}', expected {expected}"
    assert [message] == read.problems


def test_folder_of_zones() -> None:
    """A folder among the zone files is not a zone."""
    with pytest.raises(ValueError, match=f"^{ZONE}"):
        csv_parsers.zone("Europe")


@pytest.mark.parametrize("option", sorted(csv_parsers.PARSERS.keys() - csv_parsers.LISTS))
def test_one_line(option: str) -> None:
    """An option that was indented by mistake is not read as part of the one above."""
    read = document(option, "yes\n  interval = 15m")
    assert INVALID is values(option, read)
    assert [
        (
            f"x.ini:2: [meter:m] {option}: takes several lines; begin each option without "
            "indentation: an indented line continues the option above it"
        )
    ] == read.problems


@pytest.mark.parametrize("option", sorted(csv_parsers.PARSERS))
def test_empty(option: str) -> None:
    """An option without a value is a problem."""
    read = document(option, "")
    assert INVALID is values(option, read)
    message = f"x.ini:2: [meter:m] {option}: empty; give it a value or leave it out"
    assert [message] == read.problems


@search(deadline=None)
@given(st.text(st.characters(exclude_characters="\0", codec="utf-8")))
def test_parsers_raise_nothing_else(text: str) -> None:
    """No text makes a parser raise anything but ValueError."""
    for parse_value in csv_parsers.PARSERS.values():
        with suppress(ValueError):
            parse_value(text)


@search(deadline=None)
@given(st.text("%YymdHIMSfzZpjbBaAwuUWGVcxX:/- T", min_size=1, max_size=12))
def test_formats_tell_the_day(text: str) -> None:
    """An accepted format reads a whole date."""
    try:
        csv_parsers.timestamp_format(text)
    except ValueError:
        return
    assert {"Y", "y", "G", "c", "x"} & set(text)


@pytest.mark.parametrize(("option", "text", "expected"), [(o, *r[0]) for o, r in REFUSED.items()])
def test_no_follow_up(tmp_path: Path, option: str, text: str, expected: str) -> None:
    """An invalid value under [swarm] is one problem, whatever the number of meters."""
    zone = "" if option == "timezone" else "timezone = UTC"
    swarm = f"environment = sandbox\n{option} = {text}\n{zone}"
    message = f"3: [swarm] {option}: found '{text}', expected {expected}"
    assert [message] == problems(tmp_path, ini_text(swarm=swarm, meters="a = a\nb = b\nc = c"))
