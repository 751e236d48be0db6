"""Tables and names on a terminal, with characters that are two columns wide or none."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm import text as text_module
from swarm.cli import table as table_module
from swarm.cli.table import pad_or_truncate, table, width
from swarm.text import pluralize, printable


def test_the_examples_hold() -> None:
    """The examples in the docstrings are true."""
    for module, least in ((text_module, 4), (table_module, 2)):
        assert 0 == doctest.testmod(module).failed
        assert doctest.testmod(module).attempted >= least


def test_a_table_is_aligned() -> None:
    """Text and the last column are aligned left, numbers right; no line ends with blanks."""
    rows = [["gas", "done", "1,000", "yes"], ["electricity", "-", "1", ""]]
    assert [
        "meter        state   rows  verified",
        "-----------  -----  -----  --------",
        "gas          done   1,000  yes",
        "electricity  -          1",
    ] == table(["meter", "state", "rows", "verified"], rows, left=(0, 1))


def test_a_table_with_wide_characters_is_aligned() -> None:
    """An ID with wide characters, or with combining accents, moves no column."""
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
    """Characters that move the cursor or reverse text are escaped."""
    assert shown == printable(text)
    assert [shown or "x"] == table([""], [[text or "x"]], left=(0,))[2:]


@given(st.text(), st.integers(2, 40))
def test_a_fitted_text_is_as_wide_as_asked(text: str, columns: int) -> None:
    """Any text takes exactly the given number of columns."""
    assert columns == width(pad_or_truncate(text, columns))


@pytest.mark.parametrize(
    ("number", "noun", "expected"),
    [(0, "row", "0 rows"), (1, "retry", "1 retry"), (1234, "retry", "1,234 retries")],
)
def test_things_are_counted_in_words(number: int, noun: str, expected: str) -> None:
    """The noun is singular for 1; thousands are separated."""
    assert expected == pluralize(number, noun)
