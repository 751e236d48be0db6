"""Parts of pictures as SVG: paths of many cells and lines, scales and their ticks.

A path holds all cells of one colour: a rectangle for each would make pages twenty times as large.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

#: A cell: x, y, width, height.
Cell = tuple[float, float, float, float]


def cells(found: Iterable[Cell]) -> str:
    """Return the data of a path that fills cells.

    >>> cells([(0, 0, 10, 10), (11, 0, 10, 10)])
    'M0 0h10v10h-10zM11 0h10v10h-10z'
    """
    return "".join([f"M{x:g} {y:g}h{w:g}v{h:g}h{-w:g}z" for x, y, w, h in found])


def line(points: Sequence[tuple[float, float] | None]) -> str:
    """Return the data of a path through points; None is a break.

    >>> line([(0, 10), (1, 5.25), None, (3, 0)])
    'M0 10L1 5.2M3 0h0'
    """
    parts, is_new = [], True
    for index, point in enumerate(points):
        if point is None:
            is_new = True
            continue
        x, y = round(point[0], 1), round(point[1], 1)
        parts.append(f"{'M' if is_new else 'L'}{x:g} {y:g}")
        if is_new and (index + 1 == len(points) or points[index + 1] is None):
            # A point alone is drawn as a dot by a round end of the line.
            parts.append("h0")
        is_new = False
    return "".join(parts)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers between two numbers, at most about ``most``.

    >>> ticks(0, 97), ticks(3.1, 3.9, 4)
    ([0.0, 20.0, 40.0, 60.0, 80.0], [3.2, 3.4, 3.6, 3.8])
    """
    span = high - low
    # Ticks that differ by less than the digits of a number are all the same.
    if not (span > max(abs(low), abs(high)) * 1e-9 and math.isfinite(span)):
        return [low]
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    found: list[float] = []
    number = first
    while number * step <= high + step * 1e-9 and len(found) < 50:
        found.append(float(f"{number * step:.12g}"))
        number += 1
    return found


def short(number: float) -> str:
    """Return a number for an axis or a table: at most four digits, with k, M or G.

    >>> short(1234567.0), short(0.123456), short(-20.0), short(12345.0), short(1e15), short(0.0)
    ('1.235M', '0.1235', '-20', '12.35k', '1e+15', '0')
    """
    size = abs(number)
    if size >= 1e12 or (size and size < 1e-3):
        return f"{number:.3g}"
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            factor = 1e3 if letter == "k" else limit
            return f"{number / factor:.4g}{letter}"
    return f"{number:.4g}"


def months(first: date, last: date) -> Iterator[date]:
    """Yield the first days of the months between two days."""
    day = first.replace(day=1)
    while day <= last:
        if day >= first:
            yield day
        day = (day + timedelta(days=32)).replace(day=1)
