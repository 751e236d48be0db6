"""Packets: their form, their digests, comparisons with stored ones."""

import json
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.csv.numbers import number, scaled
from swarm.packet import (
    REGISTERS,
    UNITS,
    body,
    digest,
    digests,
    instant_of,
    packet,
    same_measurements,
    timestamp,
    unit_of,
)

MINUTE = 60_000


def test_the_packet_of_the_reference() -> None:
    """The packet is exactly the example in the reference."""
    instant = instant_of("2016-02-10T21:45:31.070+11:00")
    measurements = body(("aP_1", "c_1"), "1819.1300048828,10000")
    assert packet("my_stream_id", instant, 660 * MINUTE, measurements) == (
        b'{"id":"my_stream_id","tsISO8601":"2016-02-10T21:45:31.070+11:00",'
        b'"aP_1":1819.1300048828,"c_1":10000}'
    )


def test_a_packet_is_one_line_whatever_the_stream_is_called() -> None:
    """Quotes and line breaks are escaped, letters of any language are not."""
    name = 'a"b\\c\n é✓'
    data = packet(name, 0, 0, body(("value",), "1"))
    assert b"\n" not in data
    assert json.loads(data)["id"] == name
    assert "é✓".encode() in data


def test_there_are_21_registers_in_order() -> None:
    """They are in the order of the CSV's columns, and each has a unit."""
    assert " ".join(REGISTERS) == (
        "aP_1 aP_2 aP_3 rP_1 rP_2 rP_3 apP_1 apP_2 apP_3 v_1 v_2 v_3 c_1 c_2 c_3 pC_1 pC_2 pC_3 "
        "v_12 v_13 v_23"
    )
    assert {unit_of(name) for name in REGISTERS} == set(UNITS.values())


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("0", "0"),
        ("-0", "-0"),
        ("1.50", "1.50"),
        ("1e5", "1e5"),
        ("1E+05", "1E+05"),
        ("-1.5e-300", "-1.5e-300"),
        ("1e-400", "1e-400"),
        ("+5", "5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("007", "7"),
        ("-007.50", "-7.50"),
        ("-.5", "-0.5"),
        ("+.5e3", "0.5e3"),
        ("5.e3", "5e3"),
        ("00", "0"),
        ("1" * 308, "1" * 308),
        ("0." + "1" * 500, "0." + "1" * 500),
    ],
)
def test_a_number_keeps_its_digits(cell: str, text: str) -> None:
    """A JSON number is unchanged; another number becomes a JSON number of the same value."""
    assert number(cell) == text
    assert Decimal(number(cell)) == Decimal(cell)


@pytest.mark.parametrize(
    "cell",
    [
        *("nan", "inf", "-Infinity", "1_000", "0x1F", "1,5", "1e400", "-1e400", "٣", "\uff11", "²"),
        *("", ".", "-", "+", "e5", "1e", "1e+", "1.2.3", "--1", "+-1", "1 000", " 1", "1\n", "1d3"),
        *("9" * 400, "1e-99999999999999999999", "½", "1e٣"),
    ],
)
def test_what_is_no_finite_decimal_number_is_refused(cell: str) -> None:
    """Many of these would be accepted by `float`."""
    with pytest.raises(ValueError, match="number"):
        number(cell)


def test_an_empty_cell_is_left_out() -> None:
    """A packet contains only the registers with a value."""
    assert body(("aP_1", "aP_2", "c_1"), "1,,3") == '"aP_1":1,"c_1":3'


@pytest.mark.parametrize(
    ("value", "power", "text"),
    [
        ("1.2345", 3, "1234.5"),
        ("1.2345", 6, "1234500"),
        ("250", -3, "0.250"),
        ("-0.001", 3, "-1"),
        ("0", 3, "0"),
        ("1e-999999999", 3, "1e-999999996"),
        ("2.5E6", -3, "2.5e3"),
        ("9" * 60 + ".1", -3, "9" * 57 + ".9991"),
    ],
)
def test_scaling_is_exact(value: str, power: int, text: str) -> None:
    """No digit is lost, however many there are."""
    assert scaled(value, power) == text


def test_scaling_beyond_what_a_double_holds_is_refused() -> None:
    """A number that is finite in kW may be infinite in W."""
    with pytest.raises(ValueError, match="finite"):
        scaled("1e307", 3)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.5", "1.50"),
        ("1.5", "15e-1"),
        ("1.5", "0.15E+1"),
        ("0", "-0"),
        ("0", "0.000"),
        ("0", "-0e7"),
        ("100", "1e2"),
        ("100", "100.0"),
        ("1e-500", "10.0e-501"),
        ("1" * 200, "1" * 200 + ".0"),
    ],
)
def test_one_value_has_one_digest_however_it_is_written(one: str, other: str) -> None:
    """A file that is exported again with padded decimals does not count as changed."""
    assert digest(body(("aP_1", "c_1"), f"{one},7")) == digest(body(("aP_1", "c_1"), f"{other},7"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.5", "15"),
        ("1.5", "-1.5"),
        ("10", "1"),
        ("1e-500", "1e-501"),
        ("1", "1.0000000000000001"),
    ],
)
def test_other_values_have_other_digests(one: str, other: str) -> None:
    """That holds even if the doubles are the same."""
    assert digest(body(("value",), one)) != digest(body(("value",), other))


@pytest.mark.parametrize(
    ("registers", "cells", "expected"),
    [
        (("value",), "12.25", 6729071578637899632),
        (("value",), "12.250", 6729071578637899632),
        (("aP_1", "c_1"), "1.50,-0", 7992818862634297770),
    ],
)
def test_digests_stay_as_they_are(registers: tuple[str, ...], cells: str, expected: int) -> None:
    """Ledgers contain them."""
    assert expected == digest(body(registers, cells))


_DECIMALS = st.text("015", min_size=1, max_size=4).map(".{}".format)
_TINY = st.integers(398, 402).map(lambda zeros: f".{'0' * zeros}10")
_NUMBERS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-"]),
    st.sampled_from([0, 1, 10, 123]),
    st.one_of(st.just(""), _DECIMALS, _TINY),
    st.sampled_from(["", "", "", "e3", "E-2"]),
)


@given(st.lists(_NUMBERS))
def test_the_digests_of_rows_are_those_of_their_bodies(numbers: list[str]) -> None:
    """Single values are hashed after the common beginning of their bodies."""
    assert [digest(body(("value",), each)) for each in numbers] == digests(("value",), numbers)


@given(st.lists(st.tuples(*[st.one_of(st.just(""), _NUMBERS)] * 3)))
def test_the_digests_of_rows_of_several_values(rows: list[tuple[str, ...]]) -> None:
    """Values may be missing."""
    cells = [",".join(row) for row in rows]
    registers = ("aP_1", "c_1", "v_12")
    assert [digest(body(registers, each)) for each in cells] == digests(registers, cells)


def test_a_value_in_another_register_has_another_digest() -> None:
    """The digest includes the names of the registers."""
    registers = ("aP_1", "aP_2")
    assert digest(body(registers, "1,")) != digest(body(registers, ",1"))


@pytest.mark.parametrize(
    ("instant", "offset", "text"),
    [
        (0, 0, "1970-01-01T00:00:00.000+00:00"),
        (-1, 0, "1969-12-31T23:59:59.999+00:00"),
        (0, 345 * MINUTE, "1970-01-01T05:45:00.000+05:45"),
        (0, -210 * MINUTE, "1969-12-31T20:30:00.000-03:30"),
        (0, -2_670_000, "1969-12-31T23:16:00.000-00:44"),
        (0, 561_000, "1970-01-01T00:09:00.000+00:09"),
    ],
)
def test_a_timestamp_has_three_decimals_and_whole_minutes(
    instant: int, offset: int, text: str
) -> None:
    """Seconds of an offset are cut, and the local time changes with it: the instant stays exact."""
    assert timestamp(instant, offset) == text
    assert instant_of(text) == instant


def test_a_timestamp_past_the_calendar_is_an_error() -> None:
    """The reader of rows reports it as a problem."""
    with pytest.raises(OverflowError):
        timestamp(253_402_300_800_000, 0)


def test_the_instant_of_a_time_without_offset_is_unknown() -> None:
    """A timestamp of the collector without offset is a ValueError."""
    assert instant_of("1970-01-01T00:00:01Z") == 1000
    with pytest.raises(ValueError, match="offset"):
        instant_of("1970-01-01T00:00:00")
    with pytest.raises(ValueError, match="isoformat"):
        instant_of("yesterday")


@pytest.mark.parametrize("stored", ["1.5", 1.5, "1.50", "15e-1"])
def test_stored_values_are_compared_as_doubles(stored: object) -> None:
    """Quotes and other fields make no difference."""
    fields = {"id": "m", "value": stored, "extra": None}
    assert same_measurements(body(("value",), "1.50"), fields)


@pytest.mark.parametrize("stored", [None, True, "one", "", [], 2, "nan", 10**400])
def test_other_stored_values_differ(stored: object) -> None:
    """Nothing that the collector may return raises an error."""
    assert not same_measurements(body(("value",), "1"), {"value": stored})
    assert not same_measurements(body(("value",), "1"), {})


def test_a_long_number_equals_its_double() -> None:
    """The collector may round numbers to doubles."""
    stored: dict[str, object] = {"value": 0.1, "pC_1": 12345678901234567890.0}
    assert same_measurements(body(("value",), "0." + "1" + "0" * 20 + "1"), stored)
    assert same_measurements(body(("pC_1",), "12345678901234567890"), stored)


def test_the_date_of_a_timestamp_agrees_with_datetime() -> None:
    """Both have the same calendar."""
    for day in range(0, 40_000, 777):
        text = timestamp(day * 86_400_000, 0)
        assert datetime.fromisoformat(text).timestamp() == day * 86_400
