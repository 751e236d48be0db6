"""Decimal arithmetic on text: numbers of a CSV, units, power from energy."""

import math
import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from itertools import zip_longest

#: The registers of a meter with ``power_from_energy``, in the order of `power_and_energy`.
POWER_AND_ENERGY = ("aP_1", "pC_1")

#: The significant digits of a power with infinitely many digits (the original app calculated it as
#: a double).
_DIGITS = 17
_ROUNDED = Context(prec=_DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN)
#: An exact power has fewer digits than the energy and this number together.
_EXTRA_DIGITS = 100
#: Numbers with more digits than this are written with an exponent.
_LONGEST = 400
_SHORTEST_SLOT = Fraction(1, 10**6)


def power_and_energy(energy: str, minutes: float) -> str:
    """Return the cells of `POWER_AND_ENERGY`: the mean power is energy * 60 / minutes.

    Raises ValueError if the power is not finite.

    >>> power_and_energy("1.5", 15)
    '6,1.5'
    """
    value, factor = Decimal(energy), _slots_per_hour(minutes)
    digits = len(value.as_tuple().digits) + _EXTRA_DIGITS
    exact = Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN)
    product = exact.multiply(value, Decimal(factor.numerator))
    power = exact.divide(product, Decimal(factor.denominator))
    if exact.flags[Inexact]:
        power = _ROUNDED.divide(product, Decimal(factor.denominator))
    power = exact.normalize(power)
    text = f"{power:f}" if abs(power.adjusted()) < _LONGEST else str(power)
    return f"{number(text)},{energy}"


@lru_cache
def _slots_per_hour(minutes: float) -> Fraction:
    """Return 60 / minutes, exact for whole seconds and their simple fractions."""
    return 60 / max(Fraction(minutes).limit_denominator(10**6), _SHORTEST_SLOT)


def plain_number(decimal: str) -> str:
    """Return the pattern of legal JSON numbers with a decimal sign, without an exponent.

    They are certainly finite, also in another unit. No group is possessive: before Python 3.11.5
    such a group also matches texts that it must not ("5.").
    """
    return rf"-?+(?!0[0-9])[0-9]{{1,99}}+(?:{re.escape(decimal)}[0-9]++|)"


_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_DECIMAL_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?:(?P<whole>[0-9]+)(?:\.(?P<part>[0-9]*))?|\.(?P<bare>[0-9]+))"
    r"(?P<exponent>[eE][+-]?[0-9]+)?"
)


def number(cell: str) -> str:
    """Return a decimal number as legal JSON with all its digits; ValueError if it is none.

    >>> number("007.50"), number("+5"), number("-.5"), number("5.")
    ('7.50', '5', '-0.5', '5')
    """
    text = cell
    if not _JSON_NUMBER.fullmatch(cell):
        match = _DECIMAL_NUMBER.fullmatch(cell)
        if match is None:
            raise ValueError("not a decimal number")
        sign = "-" if match["sign"] == "-" else ""
        whole = (match["whole"] or "0").lstrip("0") or "0"
        part = match["part"] or match["bare"]
        text = sign + whole + (f".{part}" if part else "") + (match["exponent"] or "")
    if not math.isfinite(float(text)):
        raise ValueError("not a finite number")
    try:
        Decimal(text)
    except InvalidOperation:
        raise ValueError("a number with an exponent out of range") from None
    return text


def scaled(value: str, power: int) -> str:
    """Return a JSON number times a power of ten, exactly; ValueError if that is not finite.

    >>> scaled("1.2345", 3), scaled("250", -3), scaled("5e6", 3)
    ('1234.5', '0.250', '5e9')
    """
    mantissa, mark, exponent = value.lower().partition("e")
    if mark:
        return number(f"{mantissa}e{int(exponent) + power}")
    return number(f"{Decimal(f'{value}e{power}'):f}")


def are_equal(cells: str, others: str) -> bool:
    """Return True if two rows' values are the same numbers, however they are written.

    Both are JSON numbers separated by commas; an empty cell equals only an empty or missing one.

    >>> are_equal("1.5,,2", "1.50,,2e0"), are_equal("1,", "1,2")
    (True, False)
    """
    if cells == others:
        return True
    pairs = zip_longest(cells.split(","), others.split(","), fillvalue="")
    return all(one == two or (one and two and Decimal(one) == Decimal(two)) for one, two in pairs)
