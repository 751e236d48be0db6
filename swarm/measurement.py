"""The registers that a packet can carry: names, order and units.

Source: section 1 of the contract, "The packet".
"""

from typing import Final

#: The one measurement of a single-value stream.
VALUE: Final = "value"

#: The 21 electrical registers, in the order of the CSV's columns and of the packet.
REGISTERS: Final[tuple[str, ...]] = (
    *(f"{quantity}_{phase}" for quantity in ("aP", "rP", "apP", "v", "c", "pC") for phase in "123"),
    "v_12",
    "v_13",
    "v_23",
)

#: What the collector takes each quantity in.
UNITS: Final[dict[str, str]] = {
    "aP": "W",
    "rP": "var",
    "apP": "VA",
    "v": "V",
    "c": "A",
    "pC": "Wh",
}


def unit_of(register: str) -> str:
    """Return the unit of a register on the wire: ``pC_1`` is in ``Wh``."""
    return UNITS[register.partition("_")[0]]
