"""Conflicts between the settings of one meter, and the rules that they make."""

from pathlib import Path
from typing import Any

import pytest

from swarm.config import csv_rules
from swarm.config.settings import CsvRules
from swarm.packet import REGISTERS
from tests.support.ini import ini_text, loaded, problems

MISSING = (
    "timezone: missing; set the time zone of the CSV's timestamps, such as timezone = "
    "Europe/Dublin (readings sent with a wrong zone can't be corrected in the platform)"
)
PADDING = (
    "pad_first: needs a shift: the extra packet is sent that much before the first row; set shift, "
    "or remove pad_first"
)


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
        "thousands": ".",
        "hour_24": "next_day",
        "skip_rows": 1,
        "skip_prefixes": ("#",),
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
            "thousands = .",
            "10: [meter:gas] thousands: the same as the decimal sign, which is .",
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
