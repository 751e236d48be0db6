"""Decimal arithmetic: power from energy, and the comparison of rows' values."""

from decimal import Decimal

import pytest

from swarm.csv.numbers import are_equal, power_and_energy


@pytest.mark.parametrize(
    ("energy", "minutes", "expected"),
    [
        ("1.5", 15, "6,1.5"),
        ("1.50", 60, "1.5,1.50"),
        ("0.1", 20 / 60, "18,0.1"),
        ("-2", 30, "-4,-2"),
        ("0", 15, "0,0"),
        ("1", 7, "8.5714285714285714,1"),
        ("2", 7, "17.142857142857143,2"),
        ("1e3", 15, "4000,1e3"),
        ("1e-999999999", 15, "4E-999999999,1e-999999999"),
        ("1." + "1" * 50, 15, "4." + "4" * 50 + ",1." + "1" * 50),
    ],
)
def test_power_is_energy_over_time(energy: str, minutes: float, expected: str) -> None:
    """It is exact if it has finitely many digits; otherwise it has 17 significant digits."""
    assert power_and_energy(energy, minutes) == expected


def test_a_power_beyond_doubles_is_refused() -> None:
    """The energy by itself would be finite."""
    with pytest.raises(ValueError, match="finite"):
        power_and_energy("1e308", 15)


def test_the_shortest_slot_is_no_division_by_zero() -> None:
    """A slot shorter than a millionth of a minute counts as one."""
    assert Decimal(power_and_energy("1", 1e-12).split(",")[0]) == 60_000_000


@pytest.mark.parametrize(
    ("cells", "others", "expected"),
    [
        ("1.5", "1.50", True),
        ("1e3", "1000", True),
        ("-0", "0.0", True),
        ("1", "1.0000000000000000000000000000000001", False),
        ("1e-999999999", "10e-1000000000", True),
        ("1e-999999999", "0", False),
        ("1,,2", "1.0,,2.0", True),
        ("1,", "1,0", False),
        (",1", "1,", False),
        ("1", "1,", True),
        ("1", "1,1", False),
    ],
)
def test_values_are_equal_as_numbers(cells: str, others: str, expected: bool) -> None:
    """The notation does not matter, the place does; an empty cell is not zero."""
    assert are_equal(cells, others) is expected
    assert are_equal(others, cells) is expected
