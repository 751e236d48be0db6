"""Energy in a slot -> cumulative energy and mean power."""

from decimal import Decimal

import pytest

from swarm.csv import numbers


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
    """Exact where the quotient ends, else 17 significant digits."""
    assert numbers.cells(energy, minutes) == expected


def test_a_power_beyond_doubles_is_refused() -> None:
    """The energy alone would be finite."""
    with pytest.raises(ValueError, match="finite"):
        numbers.cells("1e308", 15)


def test_the_shortest_slot_is_no_division_by_zero() -> None:
    """A slot of less than a microminute counts as one."""
    assert Decimal(numbers.cells("1", 1e-12).split(",")[0]) == 60_000_000
