"""The settings of one meter: accepted and refused values of each, and conflicts between them."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as search
from hypothesis import strategies as st

from swarm.config import csv_rules
from swarm.config.document import Document
from swarm.config.ini import parse
from swarm.config.parsers import INVALID
from swarm.config.settings import CsvRules
from swarm.packet import REGISTERS
from tests.support.ini import ini_text, loaded, problems

ZONE = "an IANA time zone such as Europe/Dublin or America/Chicago"
COLUMNS = "'value' alone, or registers such as aP_1, aP_2, pC_1, each once; '-' skips a column"
UNITS = "units such as kW, kvar, kVA, kV, mA, kWh, at most one per quantity"
FORMAT = "a strptime format with year, month and day (and %p beside %I), such as %d/%m/%Y %H:%M"
DELIMITER = "one character between cells, such as , or ; or tab"
DURATION = "a duration such as 90s, 15m, 2h or 1h30m"
POSITIVE = "a duration above zero, such as 30s"
MISSING = (
    "timezone: missing; set the time zone of the CSV's timestamps, such as timezone = "
    "Europe/Dublin (readings sent with a wrong zone can't be corrected in the platform)"
)
PADDING = (
    "pad_first: needs a shift: the extra packet is sent that much before the first row; set shift, "
    "or remove pad_first"
)
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
    ],
    "delimiter": [(";", ";"), ("\\t", "\t"), ("TAB", "\t"), ("space", " "), ("|", "|")],
    "decimal": [(",", ","), (".", ".")],
    "skip_rows": [("0", 0), ("12", 12)],
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
    ],
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
    return read.values("meter:m", {option: csv_rules.PARSERS[option]}, csv_rules.LISTS)[option]


def cases(table: dict[str, list[tuple[str, Any]]]) -> list[tuple[str, str, Any]]:
    """Return the rows of a table, one for each value of a setting."""
    return [(option, text, value) for option, rows in table.items() for text, value in rows]


def test_tables_are_whole() -> None:
    """Each setting has cases of both kinds."""
    assert csv_rules.PARSERS.keys() == ACCEPTED.keys() == REFUSED.keys()


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
        csv_rules.zone("Europe")


@pytest.mark.parametrize("option", sorted(csv_rules.PARSERS.keys() - csv_rules.LISTS))
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


@pytest.mark.parametrize("option", sorted(csv_rules.PARSERS))
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
    for parse_value in csv_rules.PARSERS.values():
        with suppress(ValueError):
            parse_value(text)


@search(deadline=None)
@given(st.text("%YymdHIMSfzZpjbBaAwuUWGVcxX:/- T", min_size=1, max_size=12))
def test_formats_tell_the_day(text: str) -> None:
    """An accepted format reads a whole date."""
    try:
        csv_rules.timestamp_format(text)
    except ValueError:
        return
    assert {"Y", "y", "G", "c", "x"} & set(text)


def build(**settings: object) -> CsvRules:
    """Return the rules of settings without conflicts."""
    whole = {"timezone": "UTC", **settings}
    assert [] == list(csv_rules.conflicts(whole))
    return csv_rules.build(whole)


def test_defaults() -> None:
    """A time zone alone gives the default rules of the reference."""
    assert CsvRules(timezone="UTC") == build()


def test_every_setting_arrives() -> None:
    """Each setting becomes a field of the rules."""
    settings: dict[str, Any] = {
        "timestamp_format": "%d/%m/%Y",
        "delimiter": ";",
        "decimal": ",",
        "skip_rows": 1,
        "interval": 900.0,
        "duplicates": "last",
        "empty_rows": "skip",
        "ambiguous_time": "second",
        "shift": 900.0,
        "pad_first": True,
    }
    assert CsvRules(timezone="UTC", **settings) == build(**settings)


def test_route() -> None:
    """Times are sent in UTC on the route utc only."""
    assert build(route="utc").utc
    assert not build(route="partial").utc


@pytest.mark.parametrize(
    ("settings", "columns", "scale"),
    [
        ({"unit": ("kW",)}, REGISTERS, (("aP_1", 3), ("aP_2", 3), ("aP_3", 3))),
        ({"columns": ("aP_1", "-", "pC_1")}, ("aP_1", "-", "pC_1"), ()),
        (
            {"columns": ("pC_1", "aP_1", "-"), "unit": ("kW", "MWh")},
            ("pC_1", "aP_1", "-"),
            (("pC_1", 6), ("aP_1", 3)),
        ),
        ({"columns": ("c_1",), "unit": ("mA",)}, ("c_1",), (("c_1", -3),)),
        ({"columns": ("aP_1",), "unit": ("W",)}, ("aP_1",), ()),
        ({"columns": ("v_1", "v_12"), "unit": ("kV",)}, ("v_1", "v_12"), (("v_1", 3), ("v_12", 3))),
        ({"power_from_energy": 15.0}, ("value",), ()),
        ({"power_from_energy": 15.0, "unit": ("kWh",)}, ("value",), (("value", 3),)),
        ({"power_from_energy": 15.0, "columns": ("-", "value")}, ("-", "value"), ()),
    ],
)
def test_columns_and_units(
    settings: dict[str, Any], columns: tuple[str, ...], scale: tuple[tuple[str, int], ...]
) -> None:
    """A unit gives a power of ten for each column of its quantity, and fixes the columns."""
    built = build(**settings)
    assert (columns, scale) == (built.columns, built.scale)


@pytest.mark.parametrize(
    ("swarm", "meter", "expected"),
    [
        (
            "",
            "",
            f"8: [meters] gas: {MISSING}",
        ),
        (
            "",
            "timestamp_format = %Y-%m-%d %%z",
            f"8: [meters] gas: {MISSING}",
        ),
        (
            "timezone = UTC",
            "decimal = ,",
            "10: [meter:gas] decimal: the same as the delimiter; set delimiter = ; for example",
        ),
        (
            "timezone = UTC",
            "pad_first = yes",
            f"10: [meter:gas] {PADDING}",
        ),
        (
            "timezone = UTC",
            "columns = aP_1\npower_from_energy = 15m",
            (
                "11: [meter:gas] power_from_energy: needs a single column of energy; expected "
                "columns = value"
            ),
        ),
        (
            "timezone = UTC",
            "columns = aP_1\nunit = kW, kWh",
            "11: [meter:gas] unit: kWh fits no column; set 'columns' to what the columns hold",
        ),
        (
            "timezone = UTC",
            "columns = value\nunit = kWh",
            "11: [meter:gas] unit: kWh fits no column; set 'columns' to what the columns hold",
        ),
        (
            "timezone = UTC",
            "power_from_energy = 15m\nunit = kW",
            "11: [meter:gas] unit: kW fits no column; set 'columns' to what the columns hold",
        ),
    ],
)
def test_conflicts(tmp_path: Path, swarm: str, meter: str, expected: str) -> None:
    """A conflict is reported at the setting that must change."""
    text = ini_text(swarm=f"environment = sandbox\n{swarm}", rest=f"[meter:gas]\n{meter}")
    assert [expected] == problems(tmp_path, text)


def test_offsets_need_no_zone(tmp_path: Path) -> None:
    """Timestamps that carry offsets need no time zone."""
    text = ini_text(swarm="environment = sandbox", rest="[meter:gas]\ntimestamp_format = %Y%m%d%z")
    assert loaded(tmp_path, text).meters[0].rules.timezone is None


@pytest.mark.parametrize(("option", "text", "expected"), [(o, *r[0]) for o, r in REFUSED.items()])
def test_no_follow_up(tmp_path: Path, option: str, text: str, expected: str) -> None:
    """An invalid value under [swarm] is one problem, whatever the number of meters."""
    zone = "" if option == "timezone" else "timezone = UTC"
    swarm = f"environment = sandbox\n{option} = {text}\n{zone}"
    message = f"3: [swarm] {option}: found '{text}', expected {expected}"
    assert [message] == problems(tmp_path, ini_text(swarm=swarm, meters="a = a\nb = b\nc = c"))


def test_meter_mends_what_swarm_has_wrong(tmp_path: Path) -> None:
    """Settings of [swarm] are checked for conflicts together with those of each meter."""
    text = ini_text(
        swarm="environment = sandbox\ntimezone = UTC\ndecimal = ,\npad_first = yes",
        meters="a = a\nb = b\nc = c",
        rest="[meter:a]\ndelimiter = ;\nshift = 1h\n[meter:b]\ndecimal = .\npad_first = no",
    )
    assert [
        "4: [swarm] decimal: the same as the delimiter; set delimiter = ; for example",
        f"5: [swarm] {PADDING}",
    ] == problems(tmp_path, text)
    valid = text.replace("\nc = c", "\n")
    assert [",", "."] == [meter.rules.decimal for meter in loaded(tmp_path, valid).meters]
