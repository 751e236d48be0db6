"""Energy in a slot -> cumulative energy and mean power (``power_from_energy``)."""

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact
from fractions import Fraction
from functools import lru_cache

from swarm.packet import number

REGISTERS = ("aP_1", "pC_1")

#: A quotient without end is sent with so many significant digits (source: the original app's
#: rules, where it was a double).
_DIGITS = 17
_ROUNDED = Context(prec=_DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN)
#: More digits than an exact quotient can have beyond those of the energy.
_ROOM = 100
#: Longer numbers are written with an exponent.
_LONGEST = 400
_FINEST = Fraction(1, 10**6)


def cells(energy: str, minutes: float) -> str:
    """Return the cells of `REGISTERS`: power is energy * 60 / minutes.

    Raises ValueError if the power is not finite.

    >>> cells("1.5", 15)
    '6,1.5'
    """
    return f"{_power(Decimal(energy), _per_hour(minutes))},{energy}"


@lru_cache
def _per_hour(minutes: float) -> Fraction:
    """Return the slots of an hour; whole seconds and their fractions are exact."""
    return 60 / max(Fraction(minutes).limit_denominator(10**6), _FINEST)


def _power(energy: Decimal, factor: Fraction) -> str:
    digits = len(energy.as_tuple().digits) + _ROOM
    exact = Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN)
    product = exact.multiply(energy, Decimal(factor.numerator))
    value = exact.divide(product, Decimal(factor.denominator))
    if exact.flags[Inexact]:
        value = _ROUNDED.divide(product, Decimal(factor.denominator))
    value = exact.normalize(value)
    return number(f"{value:f}" if abs(value.adjusted()) < _LONGEST else str(value))
