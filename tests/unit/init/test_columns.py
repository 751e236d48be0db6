"""Tests of `swarm.init.columns`: ``columns`` and ``unit`` from the names in a header."""

import pytest

from swarm.errors import GuessError
from swarm.init.columns import settings
from swarm.packet import ATTRIBUTES, REGISTERS


def guessed(header: list[str], numeric: list[bool | None] | None = None) -> dict[str, str]:
    """Return the guessed options."""
    numeric = [True] * len(header) if numeric is None else numeric
    return {setting.option: setting.text for setting in settings(header, numeric)}


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (["aP_1", "aP_2"], "aP_1, aP_2"),
        (["AP_1", "app_1", "x"], "aP_1, apP_1, -"),
        (["active_power_phase_a", "line_to_line_voltage_phase_ab"], "aP_1, v_12"),
        (["Active power L1", "Active Power L2", "Total"], "aP_1, aP_2, -"),
        (["Voltage 1", "voltage phase b", "Current L3"], "v_1, v_2, c_3"),
        (["aP_1", "aP_1"], "aP_1, -"),
        (["pC_1"], "pC_1"),
        (["kW", "kWh"], "value, -"),
        (["Voltage L1 N", "x"], "value, -"),
        (["aP_1 (J)", "x"], "value, -"),
    ],
)
def test_names(header: list[str], columns: str) -> None:
    """Registers, the library's names and plain words are recognised; ambiguous names are not."""
    assert {"columns": columns} == guessed(header)


def test_what_swarm_knows_needs_no_word() -> None:
    """One column, or the 21 registers in order, need no setting, with or without a header."""
    assert {} == guessed(["kWh"])
    assert {} == guessed([], [True])
    assert {} == guessed([], [True] * 20 + [None])
    assert {} == guessed(list(REGISTERS))
    assert {} == guessed(list(ATTRIBUTES))


def test_21_columns_with_other_names_are_doubtful() -> None:
    """They are assumed to be the registers in order, with a doubt."""
    (setting,) = settings([f"channel {n}" for n in range(21)], [True] * 21)
    assert ("columns", ", ".join(REGISTERS)) == (setting.option, setting.text)
    assert "'channel 7' and 13 more" in setting.doubt


def test_columns_of_text_are_left_out() -> None:
    """The first column of numbers is the value; a column of text is no register."""
    assert {"columns": "-, value, -"} == guessed(["status", "x", "y"], [False, True, True])
    assert {"columns": "-, aP_2"} == guessed(["aP_1", "aP_2"], [False, True])
    assert {"columns": "-, value"} == guessed([], [None, True])


@pytest.mark.parametrize(
    ("header", "unit", "doubt"),
    [
        (["aP_1 (kW)", "aP_2 [kW]", "v_1 (V)"], "kW", ""),
        (["Active power L1 (kW)", "pC_1 (MWh)"], "kW, MWh", ""),
        (["aP_1 (kW)", "aP_2"], "W", "one quantity is in several units: 'W', 'kW'"),
    ],
)
def test_units(header: list[str], unit: str, doubt: str) -> None:
    """A unit after a name is set, unless it is the collector's; mixed units are doubtful."""
    found = {setting.option: setting for setting in settings(header, [True] * len(header))}
    assert (unit, doubt) == (found["unit"].text, found["unit"].doubt) if unit else "" == doubt


def test_columns_of_numbers_that_are_left_out_are_told() -> None:
    """A column of numbers without a register's name is left out, with a doubt."""
    (setting,) = settings(["aP_1", "total", "note"], [True, True, False])
    assert "these columns of numbers are left out: 'total'" == setting.doubt


@pytest.mark.parametrize("numeric", [[False], [None, False]])
def test_no_numbers(numeric: list[bool | None]) -> None:
    """A file without a column of numbers can't be guessed."""
    with pytest.raises(GuessError, match="no column of numbers"):
        settings([], numeric)
