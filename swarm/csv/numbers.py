"""Decimal arithmetic on text: numbers of a CSV, units, power from energy."""

import math
import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation
from fractions import Fraction
from functools import lru_cache

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


#: A legal JSON number without exponent that is certainly finite, also in another unit. No group
#: is possessive: before Python 3.11.5 such a group matches what it should not ("5.").
PLAIN_NUMBER = r"-?+(?!0[0-9])[0-9]{1,99}+(?:\.[0-9]++|)"

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_DECIMAL_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?:(?P<whole>[0-9]+)(?:\.(?P<part>[0-9]*))?|\.(?P<bare>[0-9]+))"
    r"(?P<exponent>[eE][+-]?[0-9]+)?"
)


def number(cell: str) -> str:
    """Return a decimal number as legal JSON with every digit kept; ValueError if it is none.

    >>> number("007.50"), number("+5"), number("-.5"), number("5.")
    ('7.50', '5', '-0.5', '5')
    """
    if _JSON_NUMBER.fullmatch(cell):
        text = cell
    elif match := _DECIMAL_NUMBER.fullmatch(cell):
        text = _legal(match)
    else:
        raise ValueError("not a decimal number")
    if not math.isfinite(float(text)):
        raise ValueError("not a finite number")
    try:
        Decimal(text)
    except InvalidOperation:
        raise ValueError("a number with an exponent out of reach") from None
    return text


def _legal(match: re.Match[str]) -> str:
    sign = "-" if match["sign"] == "-" else ""
    whole = (match["whole"] or "0").lstrip("0") or "0"
    part = match["part"] or match["bare"]
    return sign + whole + (f".{part}" if part else "") + (match["exponent"] or "")


def scaled(value: str, power: int) -> str:
    """Return a JSON number times a power of ten, exactly; ValueError if that is not finite.

    >>> scaled("1.2345", 3), scaled("250", -3), scaled("5e6", 3)
    ('1234.5', '0.250', '5e9')
    """
    mantissa, mark, exponent = value.lower().partition("e")
    if mark:
        return number(f"{mantissa}e{int(exponent) + power}")
    return number(f"{Decimal(f'{value}e{power}'):f}")
