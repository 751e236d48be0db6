"""Pictures of curves as SVG, with logarithmic axes, for light and dark pages.

They are written without a library: matplotlib would bring in 60 MB, can't follow a page's colour
scheme, and writes other identifiers each time, so that every run would change the whole file.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 200, 62, 50
_STYLE = """\
  <style>
    svg { font: 13px system-ui, sans-serif; }
    .page { fill: #ffffff; } text { fill: #24292f; } .grid { stroke: #d8dee4; }
    .bend { stroke-width: 2; stroke-dasharray: 3 3; } .small { font-size: 11px; }
    .title { font-weight: 600; font-size: 15px; }
    .line { fill: none; stroke-width: 2; } .s0 { stroke: #0969da; } .s1 { stroke: #bc4c00; }
    .s2 { stroke: #1a7f37; } .s3 { stroke: #8250df; } .other { stroke-dasharray: 7 4; }
    .dot { fill: #ffffff; stroke-width: 2; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; } text { fill: #e6edf3; } .grid { stroke: #30363d; }
      .s0 { stroke: #4493f8; } .s1 { stroke: #f0883e; }
      .s2 { stroke: #3fb950; } .s3 { stroke: #ab7df8; } .dot { fill: #0d1117; }
    }
  </style>"""
_LINE_HEIGHT = 17
_BEND_HEIGHT = 28

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """Points in order of x, and where the curve bends.

    ``other`` is the name of the version, if it is not this one.
    """

    name: str
    points: Sequence[Point]
    bend: float | None = None
    other: str = ""


@dataclass(frozen=True)
class Picture:
    """Curves over the same axes."""

    name: str
    title: str
    x: str
    y: str
    curves: Sequence[Curve]

    def write(self, folder: Path) -> Path:
        """Write the SVG into a folder, and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.svg"
        path.write_text("\n".join([*self._lines(), ""]), encoding="utf-8")
        return path

    def _lines(self) -> Iterator[str]:
        points = [point for curve in self.curves for point in curve.points]
        across = _Axis([x for x, _ in points], _LEFT, _WIDTH - _RIGHT, is_whole=False)
        up = _Axis([y for _, y in points], _HEIGHT - _BOTTOM, _TOP, is_whole=True)
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'role="img" aria-label="{escape(self.title, {chr(34): "&quot;"})}">'
        )
        yield _STYLE
        yield f'  <rect class="page" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>'
        yield _text(_LEFT, 26, self.title, style="title")
        yield _text(_LEFT, _TOP - 12, self.y, style="small")
        for tick in across.ticks():
            x = across.place(tick)
            yield f'  <path class="grid" d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>'
            yield _text(x, _HEIGHT - _BOTTOM + 18, _short(tick), anchor="middle")
        for tick in up.ticks():
            y = up.place(tick)
            yield f'  <path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
            yield _text(_LEFT - 8, y + 4, _short(tick), anchor="end")
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        yield _text(middle, _HEIGHT - 12, self.x, anchor="middle", style="small")
        names = list(dict.fromkeys(curve.name for curve in self.curves))
        for curve in self.curves:
            yield from _curve(curve, names.index(curve.name), across, up)
        yield from self._names(up)
        yield "</svg>"

    def _names(self, up: "_Axis") -> Iterator[str]:
        """Yield the names of the curves beside their ends, moved apart where they would overlap."""
        last = -math.inf
        for curve in sorted(self.curves, key=lambda curve: -curve.points[-1][1]):
            last = max(up.place(curve.points[-1][1]) + 4, last + _LINE_HEIGHT)
            yield _text(_WIDTH - _RIGHT + 10, last, curve.name)
            note = curve.other
            if curve.bend is not None:
                note = f"bends at about {_short(_round(curve.bend))}"
            if note:
                last += _LINE_HEIGHT - 3
                yield _text(_WIDTH - _RIGHT + 10, last, note, style="small")


class _Axis:
    """A logarithmic axis from one place of the picture to another."""

    def __init__(
        self, values: Sequence[float], start: float, end: float, *, is_whole: bool
    ) -> None:
        self.low, self.high = min(values), max(values)
        if is_whole:  # whole decades, or the curve would touch the frame
            self.low = 10.0 ** math.floor(math.log10(self.low))
            self.high = 10.0 ** math.ceil(math.log10(self.high))
        if self.low == self.high:
            self.high = self.low * 10
        self._start = start
        self._scale = (end - start) / math.log10(self.high / self.low)

    def place(self, value: float) -> float:
        """Return where a value is in the picture."""
        return self._start + math.log10(value / self.low) * self._scale

    def ticks(self) -> list[float]:
        """Return the powers of ten on the axis."""
        first = math.ceil(math.log10(self.low) - 1e-9)
        last = math.floor(math.log10(self.high) + 1e-9)
        return [10.0**exponent for exponent in range(first, last + 1)]


def rising_bend(points: Sequence[Point]) -> float | None:
    """Return where a cost begins to grow: where the growing part equals the fixed part.

    The fixed part is the lowest cost, the growing part a line through the origin of what the last
    point has more than that.
    """
    (_, fixed), (last, most) = min(points, key=lambda point: point[1]), points[-1]
    return fixed * last / (most - fixed) if most > 2 * fixed else None


def flat_bend(points: Sequence[Point]) -> float | None:
    """Return where a rate stops to grow: where it would reach its maximum if it grew evenly."""
    first, rate = points[0]
    most = max(y for _, y in points)
    return most / (rate / first) if most > 2 * rate else None


def _curve(curve: Curve, number: int, across: _Axis, up: _Axis) -> Iterator[str]:
    places = [(across.place(x), up.place(y)) for x, y in curve.points]
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    color = f"s{number % 4}"
    yield f'  <path class="line {color}{" other" if curve.other else ""}" d="M{steps}"/>'
    for x, y in places:
        yield f'  <circle class="dot {color}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    if curve.bend is not None and across.low <= curve.bend <= across.high:
        x = across.place(curve.bend)
        y = _between(places, x) - _BEND_HEIGHT / 2
        yield f'  <path class="bend {color}" d="M{x:.1f} {y:.1f}v{_BEND_HEIGHT}"/>'


def _between(places: Sequence[Point], x: float) -> float:
    """Return the height of a curve at a place between two of its points."""
    for (left, start), (right, end) in pairwise(places):
        if left <= x <= right:
            return start + (end - start) * (x - left) / (right - left)
    return places[-1][1]


def _text(x: float, y: float, text: str, anchor: str = "", style: str = "") -> str:
    attributes = f' text-anchor="{anchor}"' if anchor else ""
    attributes += f' class="{style}"' if style else ""
    return f'  <text x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(text)}</text>'


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:.12f}".rstrip("0")


def _round(value: float) -> float:
    """Return a value with two significant digits."""
    return float(f"{value:.2g}")
