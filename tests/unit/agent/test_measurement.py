"""Measurements and configs: valid and invalid ones, and the packets of measurements."""

import json
import pickle
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, StrEnum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm import (
    Config,
    ConfigError,
    ElectricityMeasurement,
    Environment,
    Measurement,
    MeasurementError,
    SimpleMeasurement,
    SwarmError,
)
from swarm.packet import ATTRIBUTES, REGISTERS

NOON = datetime(2023, 6, 1, 12, tzinfo=UTC)
SYDNEY = timezone(timedelta(hours=11))


def simple(value: Any = 1, timestamp: Any = NOON, name: Any = "gas") -> SimpleMeasurement:
    """Return a measurement of a single-value stream."""
    return SimpleMeasurement(name, timestamp, value)


def config(**options: Any) -> Config:
    """Return a config for the demo environment."""
    known = {"environment_or_url": Environment.DEMO, "username": "acme", "password": "s3cr%et"}
    return Config(**{**known, **options})


def test_the_packet_of_the_reference() -> None:
    """The packet is exactly the example in the reference."""
    moment = datetime(2016, 2, 10, 21, 45, 31, 70_999, tzinfo=SYDNEY)
    measurement = ElectricityMeasurement(
        id="my_stream_id",
        timestamp=moment,
        current_phase_a=10000,
        active_power_phase_a=1819.1300048828,
    )
    assert measurement.json == (
        '{"id":"my_stream_id","tsISO8601":"2016-02-10T21:45:31.070+11:00",'
        '"aP_1":1819.1300048828,"c_1":10000}'
    )


def test_a_simple_packet() -> None:
    """The packet of a single-value measurement has one value."""
    expected = '{"id":"gas","tsISO8601":"2023-06-01T12:00:00.000+00:00","value":12.3}'
    assert expected == simple(12.3).json


def test_every_attribute_has_its_register() -> None:
    """The 21 attributes are those of the 21 registers, in the order of the packet."""
    values = dict(zip(ATTRIBUTES, range(21), strict=True))
    packet = json.loads(ElectricityMeasurement("e", NOON, **values).json)
    assert list(zip(REGISTERS, range(21), strict=True)) == list(packet.items())[2:]
    assert ("active_energy_phase_b", "pC_2") in zip(ATTRIBUTES, REGISTERS, strict=True)
    assert ("line_to_line_voltage_phase_ac", "v_13") in zip(ATTRIBUTES, REGISTERS, strict=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10000, "10000"),
        (-3, "-3"),
        (0.1, "0.1"),
        (1e22, "1e+22"),
        (Decimal("1.50"), "1.50"),
        (Decimal("123456789.123456789123456789"), "123456789.123456789123456789"),
        (Decimal("1E+3"), "1E+3"),
        (2**70, str(2**70)),
    ],
)
def test_numbers_keep_their_digits(value: Any, text: str) -> None:
    """An int or Decimal is sent with all its digits, a float as its shortest decimal."""
    assert f'"value":{text}}}' == simple(value).json.partition(",")[2].partition(",")[2]


@given(
    st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False).filter(lambda d: d.adjusted() < 300)
    | st.integers(-(10**300), 10**300)
)
def test_any_finite_number_is_legal_json(value: float | Decimal) -> None:
    """A parser with exact numbers reads the same number from the packet."""
    packet = json.loads(simple(value).json, parse_float=Decimal, parse_int=Decimal)
    assert Decimal(str(value)) == packet["value"]


def test_subclasses_of_float_are_floats() -> None:
    """Numbers with a repr of their own, such as those of numpy, are sent as floats."""

    class Other(float):
        def __repr__(self) -> str:
            return "other.float64(1.5)"

    assert '"value":1.5}' in simple(Other(1.5)).json


class _Percent(int):
    def __str__(self) -> str:
        return f"{int(self)} %"

    __repr__ = __str__


class _Euro(Decimal):
    def __str__(self) -> str:
        return f"EUR {super().__str__()}"


class _Level(int, Enum):
    HIGH = 7


class _Rate(Decimal, Enum):
    FULL = "1.50"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (_Percent(12), "12"),
        (_Euro("1.50"), "1.50"),
        (_Level.HIGH, "7"),
        (_Rate.FULL, "1.50"),
    ],
)
def test_subclasses_are_the_numbers_that_they_are(value: Any, text: str) -> None:
    """Their own repr and str are not used: the packet must be JSON."""
    assert f'"value":{text}}}' == simple(value).json.partition(",")[2].partition(",")[2]
    assert json.loads(simple(value).json)["value"] == float(text)


class _Meter(StrEnum):
    GAS = "gas"


def test_an_id_of_an_enum_is_the_text_that_it_is() -> None:
    """It is the same stream as that of the plain str, everywhere."""
    assert simple(name=_Meter.GAS) == simple(name="gas")
    assert hash(simple(name=_Meter.GAS)) == hash(simple(name="gas"))
    assert type(simple(name=_Meter.GAS).id) is str
    assert str(simple(name=_Meter.GAS)).startswith("gas at ")


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("-Infinity"),
        10**400,
        Decimal("1e400"),
        True,
        "12.3",
        1j,
        Fraction(1, 3),
        None,
    ],
)
def test_other_values_are_refused(value: Any) -> None:
    """Only finite ints, floats and Decimals are accepted; the constructor raises."""
    with pytest.raises(MeasurementError, match="gas"):
        simple(value)
    with pytest.raises(MeasurementError, match="gas"):
        ElectricityMeasurement("gas", NOON, current_phase_a=value)


@pytest.mark.parametrize("name", ["", 7, None, "lone \ud800"])
def test_other_ids_are_refused(name: Any) -> None:
    """An ID must be a str that is not empty and can be encoded."""
    with pytest.raises(MeasurementError, match="id: "):
        simple(name=name)


@pytest.mark.parametrize("moment", ["2023-01-01", None, 1.0, NOON.date()])
def test_other_timestamps_are_refused(moment: Any) -> None:
    """A timestamp must be a datetime."""
    with pytest.raises(MeasurementError, match="timestamp of gas: "):
        simple(timestamp=moment)


def test_a_missing_time_of_pandas_is_refused() -> None:
    """NaT is a subclass of datetime, and not equal to itself."""

    class NaT(datetime):
        def __eq__(self, other: object) -> bool:
            return False

        __hash__ = datetime.__hash__

    with pytest.raises(MeasurementError, match="timestamp of gas: "):
        simple(timestamp=NaT(2023, 1, 1))


def test_a_measurement_without_values_is_refused() -> None:
    """An electricity measurement needs at least one value."""
    with pytest.raises(MeasurementError, match="no value"):
        ElectricityMeasurement("e", NOON)


def test_measurements_are_values() -> None:
    """They are frozen, equal by value, hashable and can be pickled."""
    one: Measurement = simple(1)
    with pytest.raises(FrozenInstanceError):
        one.id = "other"  # type: ignore[misc]
    assert one == simple(1)
    assert one != simple(2)
    assert len({one, simple(1), simple(2)}) == 2
    assert one == pickle.loads(pickle.dumps(one))
    other: Measurement = ElectricityMeasurement("gas", NOON, current_phase_a=1)
    assert one != other


def test_measurements_are_ordered_by_time() -> None:
    """ID, class and value make no difference to the order."""
    early: Measurement = simple(9, NOON, "z")
    late: Measurement = ElectricityMeasurement("a", NOON + timedelta(1), current_phase_a=1)
    assert [early, late] == sorted([late, early])
    assert early < late
    assert late > early
    assert early <= simple(1)
    assert early >= simple(1)
    for compare in ("__lt__", "__le__", "__gt__", "__ge__"):
        assert getattr(early, compare)(NOON) is NotImplemented


def test_what_measurements_look_like() -> None:
    """Their str has ID, time and values; their repr evaluates to an equal measurement."""
    electricity = ElectricityMeasurement("e", NOON, voltage_phase_a=230.5)
    assert str(electricity) == 'e at 2023-06-01T12:00:00+00:00: "v_1":230.5'
    scope = {"datetime": __import__("datetime"), "ElectricityMeasurement": ElectricityMeasurement}
    assert electricity == eval(repr(electricity), scope)


def test_an_id_can_forge_no_line_of_a_log() -> None:
    """Control characters are escaped in the str and in errors, and sent as they are."""
    forged = "a\nERROR root\x1b[2J\u202e"
    measurement = simple(name=forged)
    assert str(measurement).startswith("a\\nERROR root\\x1b[2J\\u202e at 2023-06-01T12:00")
    assert json.loads(measurement.json)["id"] == forged
    for make in (
        lambda: simple(name=forged, value="x"),
        lambda: simple(name=forged, timestamp=1),
        lambda: ElectricityMeasurement(forged, NOON),
    ):
        with pytest.raises(MeasurementError) as caught:
            make()
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("timestamp", "options"),
    [
        (datetime(9999, 12, 31, 23, 30), {"timezone": "America/Chicago", "route": "utc"}),
        (datetime(1, 1, 1, 0, 30), {"timezone": "Asia/Tokyo", "route": "utc"}),
        (datetime(9999, 12, 31, 23, 30, tzinfo=timezone(timedelta(hours=-1))), {"route": "utc"}),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1, seconds=30))), {}),
    ],
)
def test_a_time_out_of_the_calendar(timestamp: datetime, options: dict[str, Any]) -> None:
    """If the packet's local time has no date, the measurement is refused before it is queued."""
    with pytest.raises(MeasurementError, match=r"timestamp .*: out of range; .*1 to 9999"):
        config(**options).moment(simple(timestamp=timestamp))
    if not options:
        with pytest.raises(MeasurementError, match="out of range"):
            _ = simple(timestamp=timestamp).json


@pytest.mark.parametrize("zone", ["Etc/GMT+6", "Etc/GMT-9", "UTC"])
def test_the_first_and_the_last_year(zone: str) -> None:
    """Both can be sent in local time."""
    from swarm.packet import timestamp as on_the_wire

    for moment in (datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999)):
        sent = on_the_wire(*config(timezone=zone).moment(simple(timestamp=moment)))
        assert sent.startswith(f"{moment:%Y-%m-%dT%H:%M}".rjust(16, "0"))


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (datetime(2016, 7, 1, 12), "2016-07-01T12:00:00.000-05:00"),
        (datetime(2016, 11, 6, 1), "2016-11-06T01:00:00.000-05:00"),
        (datetime(2016, 11, 6, 1, fold=1), "2016-11-06T01:00:00.000-06:00"),
        (datetime(2016, 7, 1, 12, tzinfo=SYDNEY), "2016-07-01T12:00:00.000+11:00"),
    ],
)
def test_naive_timestamps_are_local(timestamp: datetime, expected: str) -> None:
    """They are in the config's zone; a timestamp with an offset keeps that."""
    from swarm.packet import timestamp as on_the_wire

    chicago = config(timezone="America/Chicago")
    assert expected == on_the_wire(*chicago.moment(simple(timestamp=timestamp)))


def test_naive_timestamps_are_utc_by_default() -> None:
    """That applies to a config without timezone, and to ``json``, which has no config."""
    naive = simple(timestamp=datetime(2023, 6, 1, 12))
    assert config().moment(naive) == config().moment(simple())
    assert naive.json == simple().json


def test_a_time_that_a_clock_change_skips() -> None:
    """It is refused: data with a wrong offset could not be corrected in the platform."""
    skipped = simple(timestamp=datetime(2016, 3, 13, 2, 30))
    with pytest.raises(MeasurementError, match="does not exist in America/Chicago"):
        config(timezone="America/Chicago").moment(skipped)


def test_the_route_utc() -> None:
    """It has another URL and times in UTC, but the same collector's name."""
    utc = config(route="utc")
    assert utc.url == "https://demo-dc.wattics.com/measurements/v2/unifiedjson_utc/"
    instant, offset = utc.moment(simple(timestamp=NOON.astimezone(SYDNEY)))
    assert (instant, offset) == (int(NOON.timestamp() * 1000), 0)
    assert utc.collector == config().collector
    assert config(route="partial").url.endswith("/unifiedjson_partial/")


def test_environments_are_urls() -> None:
    """They are the four of the reference."""
    assert [each.name for each in Environment] == ["PRODUCTION", "DEVELOPMENT", "DEMO", "LOCAL"]
    path = "/measurements/v2/unifiedjson/"
    assert f"https://web-collector.wattics.com{path}" == Environment.PRODUCTION
    assert f"https://dev-web-collector.wattics.com{path}" == Environment.DEVELOPMENT
    assert f"https://demo-dc.wattics.com{path}" == config().url
    assert f"http://localhost:8080{path}" == Environment.LOCAL


def test_a_config_shows_no_password() -> None:
    """The password is in the repr neither of the config nor of its access."""
    assert "s3cr" not in repr(config())
    assert "s3cr" not in repr(config().access)


def test_configs_are_values() -> None:
    """They are equal by value and hashable."""
    assert config() == config()
    assert len({config(), config(), config(timezone="Europe/Dublin")}) == 2


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.com/x/", "in the clear"),
        ("https://acme:s3cr%et@example.com/x/", "without user and password"),
        ("ftp://example.com/", "a URL such as"),
        ({"https": "s3cr%et"}, "found dict, expected a text"),
    ],
)
def test_urls_that_are_refused(url: Any, message: str) -> None:
    """Without HTTPS, only this machine is allowed; no message shows a credential."""
    with pytest.raises(ConfigError, match=message) as caught:
        Config(url, "acme", "s3cr%et")
    assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"username": ""}, "username: expected a text that is not empty"),
        ({"username": 7}, "username: found int, expected a text"),
        (
            {"username": "acme:s3cr%et"},
            "username: found a text with ':', which basic auth does not allow",
        ),
        ({"username": ("acme", "s3cr%et")}, "username: found tuple, expected a text"),
        ({"retry_for": "5m"}, "retry_for: found '5m', expected seconds or None"),
        ({"timeout": "30"}, "timeout: found '30', expected seconds above zero"),
        ({"timeout": float("inf")}, "timeout: found inf, expected seconds above zero"),
        ({"route": ["utc"]}, "route: found ['utc'], expected utc, partial or None"),
        ({"ca_bundle": 7}, "ca_bundle: found int, expected a text"),
        ({"timezone": 7}, "timezone: found int, expected a text"),
    ],
)
def test_what_a_config_can_not_be(options: dict[str, Any], problem: str) -> None:
    """The message has the parameter, what was found and what is expected."""
    with pytest.raises(ConfigError) as caught:
        config(**options)
    assert (problem,) == caught.value.problems


def test_a_config_that_tries_for_ever() -> None:
    """``retry_for`` may be infinite, whatever the agent's is."""
    assert config(retry_for=float("inf")).retry_for == float("inf")


def test_all_problems_of_a_config_at_once() -> None:
    """One error has all of them; it is a ValueError and a SwarmError."""
    with pytest.raises(ConfigError) as caught:
        Config(
            "example.com",
            "a:b",
            "",
            timezone="Europe/Dublln",
            route="other",  # type: ignore[arg-type]
            timeout=0,
            retry_for=-1,
            ca_bundle="/no/such.pem",
            proxy="socks://x",
        )
    names = [problem.partition(":")[0] for problem in caught.value.problems]
    assert names == [
        "environment_or_url",
        "timezone",
        "proxy",
        "username",
        "password",
        "route",
        "timeout",
        "retry_for",
        "ca_bundle",
    ]
    assert "did you mean 'Europe/Dublin'" in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, SwarmError)


def test_a_proxy_and_a_ca_bundle() -> None:
    """They are passed on in the config's access."""
    access = config(proxy="http://proxy.example.com:3128", ca_bundle=__file__, timeout=5).access
    assert access.proxy == "http://proxy.example.com:3128"
    assert (access.ca_bundle, access.timeout) == (__file__, 5)
