"""Parts of pictures: paths, ticks of axes, short numbers."""

import math
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarm.web import svg


def test_a_line_breaks_where_a_point_is_missing() -> None:
    """A point alone is still to be seen."""
    assert "M0 1L800.1 2.5M3 0h0" == svg.line([(0, 1), (800.06, 2.46), None, (3, 0)])
    assert "" == svg.line([])


@example(low=4294967296.0, span=1e-06, most=5)
@given(low=st.floats(-1e12, 1e12), span=st.floats(1e-6, 1e12), most=st.integers(2, 8))
def test_ticks_are_round_and_inside(low: float, span: float, most: int) -> None:
    """There are a few ticks, evenly spaced, none outside of the axis."""
    high = low + span
    found = svg.ticks(low, high, most)
    assert len(found) <= most + 2
    slack = max(abs(low), abs(high), span) * 1e-6
    assert all(low - slack <= tick <= high + slack for tick in found)
    if len(found) > 2:
        steps = [b - a for a, b in pairwise(found)]
        assert math.isclose(min(steps), max(steps), rel_tol=1e-3, abs_tol=slack)


def test_an_axis_without_length_has_one_tick() -> None:
    """All values equal, or no finite range."""
    assert [5.0] == svg.ticks(5.0, 5.0)
    assert [0.0] == svg.ticks(0.0, math.inf)


@pytest.mark.parametrize(
    ("number", "text"),
    [(9999.0, "9999"), (10_000.0, "10k"), (-2.5e6, "-2.5M"), (3e9, "3G"), (0.0001, "0.0001")],
)
def test_short_numbers(number: float, text: str) -> None:
    """Large numbers get a letter."""
    assert text == svg.short(number)


def test_months() -> None:
    """The first days of months between two days."""
    assert [date(2023, 12, 1), date(2024, 1, 1)] == list(
        svg.months(date(2023, 11, 2), date(2024, 1, 31))
    )
