"""Tables and names on a terminal, with characters that take two columns or none."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm import text as module
from swarm.cli.table import pad_or_truncate, table, width
from swarm.text import pluralize, printable


def test_the_examples_hold() -> None:
    """The examples in the docstrings are what happens."""
    assert 0 == doctest.testmod(module).failed
    assert doctest.testmod(module).attempted >= 4


def test_a_table_is_aligned() -> None:
    """Text stands left, numbers right, the last column left; no blanks at the end of a line."""
    rows = [["gas", "done", "1,000", "yes"], ["electricity", "-", "1", ""]]
    assert [
        "meter        state   rows  verified",
        "-----------  -----  -----  --------",
        "gas          done   1,000  yes",
        "electricity  -          1",
    ] == table(["meter", "state", "rows", "verified"], rows, left=(0, 1))


def test_a_table_with_wide_characters_is_aligned() -> None:
    """An ID in wide characters, or with accents of their own, moves no column."""
    accented = "e\N{COMBINING ACUTE ACCENT}te\N{COMBINING ACUTE ACCENT}"
    assert [
        "meter  rows  x",
        "-----  ----  -",
        "東京      1  a",
        f"{accented}      20  b",
    ] == table(["meter", "rows", "x"], [["東京", "1", "a"], [accented, "20", "b"]], left=(0,))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gas meter-ü 東京", "gas meter-ü 東京"),
        ("a\tb\nc\x1b[2J", "a\\tb\\nc\\x1b[2J"),
        ("right\N{RIGHT-TO-LEFT OVERRIDE}left", "right\\u202eleft"),
        ("", ""),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    """What could move the cursor or turn text around is written out."""
    assert shown == printable(text)
    assert [shown or "x"] == table([""], [[text or "x"]], left=(0,))[2:]


@given(st.text(), st.integers(2, 40))
def test_a_fitted_text_is_as_wide_as_asked(text: str, columns: int) -> None:
    """Whatever the text is, it takes exactly so many columns."""
    assert columns == width(pad_or_truncate(text, columns))


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [(0, "row", "0 rows"), (1, "retry", "1 retry"), (1234, "retry", "1,234 retries")],
)
def test_things_are_counted_in_words(number: int, noun: str, said: str) -> None:
    """One is singular; thousands are parted."""
    assert said == pluralize(number, noun)
