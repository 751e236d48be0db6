"""Energy in a slot -> cumulative energy and mean power (``power_from_energy``)."""

from decimal import Context, Decimal, Inexact
from fractions import Fraction

from swarm.packet import number

REGISTERS = ("aP_1", "pC_1")

#: A quotient without end is sent with so many significant digits (source: the original app's
#: rules, where it was a double).
_DIGITS = 17
_EXACT = Context(prec=1000, traps=[])
_ROUNDED = Context(prec=_DIGITS)


def cells(energy: str, minutes: float) -> str:
    """Return the cells of `REGISTERS`: power is energy * 60 / minutes.

    >>> cells("1.5", 15)
    '6,1.5'
    """
    if not energy:
        return energy
    ratio = Fraction(Decimal(energy)) * 60 / Fraction(minutes).limit_denominator(10**6)
    return f"{_decimal(ratio)},{energy}"


def _decimal(ratio: Fraction) -> str:
    context = _EXACT.copy()
    value = context.divide(Decimal(ratio.numerator), Decimal(ratio.denominator))
    if context.flags[Inexact]:
        value = _ROUNDED.divide(Decimal(ratio.numerator), Decimal(ratio.denominator))
    text = f"{value:f}" if -400 < value.adjusted() < 400 else str(value).lower()
    return number(text)
