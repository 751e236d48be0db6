"""Tests of `swarm.init.words`: texts in columns of numbers that are none."""

import pytest

from swarm.config.settings import CsvRules
from swarm.csv.problems import Problems
from swarm.csv.values import ValueReader
from swarm.init.words import Words, is_grouped, words_of

IS_NUMBER = ValueReader(CsvRules(timezone=None), Problems("")).is_number


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("1 2 3", Words()),
        ("1 null NaN NULL", Words(("null", "nan"))),
        ("1 - -- --- n/a #N/A #VALUE!", Words(("-", "--", "---", "n/a", "#n/a", "#value!"))),
        ("1 Stoppage 2", Words(("stoppage",), ("stoppage",))),
        ("1 2a b,c 12:30 2", Words()),
        ("1 2 3 -999 -999 4", Words(sentinel=("-999", 2))),
        ("1 2 9999.0 3", Words(sentinel=("9999.0", 1))),
        ("9999 9999 9999", Words()),
        ("1 999 -99", Words()),
        ("1 1,234.5", Words(grouped="1,234.5")),
        ("1 1.234.567", Words(grouped="1.234.567")),
    ],
)
def test_words(cells: str, expected: Words) -> None:
    """Words, sentinels and thousands separators are told apart."""
    assert expected == words_of([cells.split()], IS_NUMBER)


@pytest.mark.parametrize("cell", ["1,234", "12 345,6", "1'234.5", "1\u202f234", "-1.234.567,8"])
def test_grouped_numbers(cell: str) -> None:
    """Points, commas, blanks and apostrophes may group digits."""
    assert is_grouped(cell)


@pytest.mark.parametrize("cell", ["1234", "1,2", "12,34,56", "1.5", "a", ""])
def test_numbers_without_groups(cell: str) -> None:
    """Other texts have no thousands separators."""
    assert not is_grouped(cell)
