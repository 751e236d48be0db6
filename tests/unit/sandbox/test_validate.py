"""Tests of `swarm.sandbox.validate`: each rule of a POST, kept and broken."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.packet import REGISTERS
from swarm.sandbox.validate import (
    LIMIT,
    Breach,
    Packet,
    as_text,
    check,
    check_headers,
    check_packet,
)

AT = "2016-02-10T21:45:31.070+11:00"
INSTANT = 1455101131070


def packet(rest: str = '"value":1', at: str = AT, stream: str = "m") -> bytes:
    """Return the bytes of a packet that is valid apart from the parts that a test gives."""
    return f'{{"id":"{stream}","tsISO8601":"{at}",{rest}}}'.encode()


def headers(**changes: str | None) -> dict[bytes, bytes]:
    """Return valid headers with some changed or, with None, removed."""
    given = {"content_type": "application/json", "content_length": "2", **changes}
    return {
        name.replace("_", "-").encode(): value.encode()
        for name, value in given.items()
        if value is not None
    }


def test_a_packet_is_parsed() -> None:
    """The result has the stream, the instant in ms since the epoch, and the text verbatim."""
    body = packet('"aP_1":1819.1300048828,"c_1":10000', stream="my_stream_id")

    assert check_packet(body) == Packet("my_stream_id", INSTANT, body.decode())


@pytest.mark.parametrize(
    "rest",
    [
        '"value":0',
        '"value":-0.0',
        '"value":1e3',
        '"value":1E-400',
        '"value":123456789012345678901234567890.123456789012345678901234567890',
        f'"value":{"9" * 300}',
        '"aP_1":1',
        '"v_23":1',
        '"aP_3":1,"rP_1":2,"v_12":3',
        ",".join(f'"{register}":{n}' for n, register in enumerate(REGISTERS)),
        ' "value" : 1 ',
    ],
)
def test_measurements_are_accepted(rest: str) -> None:
    """A value alone, or registers in order; any finite number in JSON."""
    assert isinstance(check_packet(packet(rest)), Packet)


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ('"value":NaN', "NaN"),
        ('"value":-Infinity', "-Infinity"),
        ('"value":01', "delimiter"),
        ('"value":+1', "value"),
        ('"value":.5', "value"),
        ('"value":5.', "delimiter"),
        ('"value":1,', "line 1"),
        ('"value":1\n', "line break"),
        ('"value":1\r', "line break"),
    ],
)
def test_what_is_not_json_is_400(rest: str, reason: str) -> None:
    """A body that is not JSON, or has a line break, is 400."""
    breach = check_packet(packet(rest))

    assert isinstance(breach, Breach)
    assert breach.status == 400
    assert reason in breach.reason
    assert "\n" not in breach.reason


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"1",
        b'[["id","m"]]',
        b'"text"',
        b"{} {}",
        b"{",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        packet().decode().encode("utf-16"),
        packet() + b"\n",
        b"[" * LIMIT,
    ],
)
def test_what_is_not_one_object_is_400(body: bytes) -> None:
    """The body must be one object, in UTF-8 without a BOM."""
    breach = check_packet(body)

    assert isinstance(breach, Breach)
    assert breach.status == 400


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{}", "the first field must be id"),
        (b'{"tsISO8601":"%s","id":"m","value":1}' % AT.encode(), "the first field must be id"),
        (b'{"id":"m","value":1}', "the second field must be tsISO8601"),
        (b'{"id":"","tsISO8601":"x","value":1}', "id must be a string that is not empty"),
        (b'{"id":7,"tsISO8601":"x","value":1}', "id must be a string that is not empty"),
        (b'{"id":null,"tsISO8601":"x","value":1}', "id must be a string that is not empty"),
        (b'{"id":"\\ud800","tsISO8601":"x","value":1}', "half a surrogate pair"),
        (b'{"id":"m","tsISO8601":"%s"}' % AT.encode(), "at least one measurement"),
        (b'{"id":"m","tsISO8601":5,"value":1}', "found a number"),
        (b'{"id":"m","tsISO8601":{},"value":1}', "found an object"),
        (packet('"id":"n","value":1'), "'id' occurs more than once"),
        (packet('"aP_1":1,"aP_1":1'), "'aP_1' occurs more than once"),
        (packet('"value":1,"value":1'), "'value' occurs more than once"),
        (packet('"ap_1":1'), "there is no field 'ap_1'"),
        (packet('"value":1,"unit":2'), "there is no field 'unit'"),
        (packet(f'"{"x" * 500}":1'), "xxx...'"),
        (packet('"value":1,"aP_1":1'), "value must be the only measurement"),
        (packet('"aP_1":1,"value":1'), "value must be the only measurement"),
        (packet('"aP_2":1,"aP_1":1'), "aP_1 must come before aP_2"),
        (packet('"v_12":1,"pC_3":1'), "pC_3 must come before v_12"),
        (packet('"value":"1"'), "found a string"),
        (packet('"value":true'), "found true or false"),
        (packet('"aP_1":1,"aP_2":null'), "aP_2 must be a finite number, found null"),
        (packet('"value":[1]'), "found an array"),
        (packet('"value":{"a":1}'), "found an object"),
        (packet('"value":1e400'), "beyond the range of a double"),
        (packet(f'"value":{"9" * 5000}'), "beyond the range of a double"),
    ],
)
def test_a_wrong_form_is_422(body: bytes, reason: str) -> None:
    """Wrong fields, order or types are 422; the reason is one short line."""
    breach = check_packet(body)

    assert isinstance(breach, Breach)
    assert breach.status == 422
    assert reason in breach.reason
    assert "\n" not in breach.reason
    assert len(breach.reason) < 200


@pytest.mark.parametrize(
    ("at", "instant"),
    [
        (AT, INSTANT),
        ("1970-01-01T00:00:00.001+00:00", 1),
        ("1969-12-31T23:59:59.999-00:00", -1),
        ("2024-02-29T12:00:00.000+05:45", 1709187300000),
        ("2024-01-01T00:00:00.000-23:59", 1704153540000),
        ("9999-12-31T23:59:59.999+00:00", 253402300799999),
    ],
)
def test_a_time_is_accepted(at: str, instant: int) -> None:
    """Any real time with three decimals and an offset is accepted."""
    outcome = check_packet(packet(at=at))

    assert isinstance(outcome, Packet)
    assert outcome.instant == instant


@pytest.mark.parametrize(
    "at",
    [
        "",
        "2016-02-10",
        "2016-02-10 21:45:31.070+11:00",
        "2016-02-10T21:45:31+11:00",
        "2016-02-10T21:45:31.07+11:00",
        "2016-02-10T21:45:31.070000+11:00",
        "2016-02-10T21:45:31,070+11:00",
        "2016-02-10T21:45:31.070",
        "2016-02-10T21:45:31.070Z",
        "2016-02-10T21:45:31.070+1100",
        "2016-02-10T21:45:31.070+11",
        "2016-02-10T21:45:31.070+24:00",
        "2016-02-10T21:45:31.070+11:60",
        "2016-02-10T24:00:00.000+11:00",
        "2016-02-10T21:60:00.000+11:00",
        "2016-12-31T23:59:60.000+00:00",
        "2023-02-29T00:00:00.000+00:00",
        "2016-13-01T00:00:00.000+00:00",
        "0000-01-01T00:00:00.000+00:00",
        "0001-01-01T00:00:00.000+11:00",
        "9999-12-31T23:00:00.000-11:00",
        "\u0662016-02-10T21:45:31.070+11:00",
        " 2016-02-10T21:45:31.070+11:00",
        "2016-02-10T21:45:31.070+11:00 ",
    ],
)
def test_any_other_time_is_422(at: str) -> None:
    """Other formats and times that do not exist are 422; the stream is named."""
    breach = check_packet(packet(at=at))

    assert isinstance(breach, Breach)
    assert (breach.status, breach.stream) == (422, "m")
    assert "tsISO8601" in breach.reason


@pytest.mark.parametrize(
    ("at", "status"),
    [
        ("2016-02-10T10:45:31.070+00:00", None),
        ("2016-02-10T10:45:31.070-00:00", 422),
        (AT, 422),
    ],
)
def test_the_utc_route_takes_utc_alone(at: str, status: int | None) -> None:
    """The UTC route accepts only +00:00, the other routes any offset."""
    outcome = check_packet(packet(at=at), utc=True)

    assert (outcome.status if isinstance(outcome, Breach) else None) == status
    assert isinstance(check_packet(packet(at=at)), Packet)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, None),
        ({"content_type": "Application/JSON; charset=utf-8"}, None),
        ({"content_type": None}, 415),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/json5"}, 415),
        ({"content_encoding": "gzip"}, 415),
        ({"content_length": None}, 411),
        ({"content_length": None, "transfer_encoding": "chunked"}, 411),
        ({"transfer_encoding": "chunked"}, 411),
        ({"content_length": "-1"}, 400),
        ({"content_length": "1_0"}, 400),
        ({"content_length": "9" * 5000}, 400),
        ({"content_length": str(LIMIT)}, None),
        ({"content_length": str(LIMIT + 1)}, 413),
        ({"expect": "100-continue"}, 417),
    ],
)
def test_headers(changes: dict[str, str | None], status: int | None) -> None:
    """Each header that the API requires or does not support."""
    breach = check_headers(headers(**changes))

    assert (breach and breach.status) == status


def test_a_body_has_at_most_64_kib() -> None:
    """The body itself is measured, whatever its Content-Length was."""
    start = packet('"value":1')[:-1]
    most = start + b" " * (LIMIT - len(start) - 1) + b"}"

    assert isinstance(check_packet(most), Packet)
    breach = check_packet(most + b" ")
    assert isinstance(breach, Breach)
    assert breach.status == 413


def test_headers_go_before_the_body() -> None:
    """`check` reports a problem of the headers first."""
    assert isinstance(check(headers(), packet()), Packet)
    breach = check(headers(content_type="text/plain"), b"")
    assert isinstance(breach, Breach)
    assert breach.status == 415


@given(st.binary())
def test_no_body_is_too_odd(body: bytes) -> None:
    """Any bytes are either a packet or a breach."""
    assert isinstance(check_packet(body), Packet | Breach)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
_NAMES = st.sampled_from(["id", "tsISO8601", "value", *REGISTERS]) | st.text()


@settings(max_examples=30)
@given(st.dictionaries(_NAMES, st.sampled_from(["m", AT]) | _JSON))
def test_no_object_is_too_odd(fields: dict[str, object]) -> None:
    """Any fields are either a packet or a breach with a printable reason in one line."""
    outcome = check_packet(json.dumps(fields).encode())

    if isinstance(outcome, Breach):
        assert outcome.reason.isprintable()
        assert outcome.reason.encode()


def test_an_instant_as_text() -> None:
    """An instant is shown in UTC, with milliseconds."""
    assert as_text(INSTANT) == "2016-02-10T10:45:31.070+00:00"
