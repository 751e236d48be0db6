"""The table of results."""

from pathlib import Path

import pytest

from benchmarks.results import (
    SECONDS,
    Missing,
    NotMeasured,
    Result,
    at_least,
    at_most,
    insert,
    markdown,
)

ROWS: list[Result | Missing] = [
    Result("nothing new", [0.4, 0.6, 0.5], SECONDS, at_most(0.5), other=[6.6, 6.5, 6.7]),
    Result("the limit", [1.0], SECONDS, at_least(2.0)),
    Missing("a poor line", "needs root"),
]


def test_the_bar_is_held_against_the_median() -> None:
    """The other values are the range."""
    assert "| nothing new | 0.50 s | 0.40 s to 0.60 s | 3 | ≤ 0.50 s | yes |" in markdown([], ROWS)
    assert "| the limit | 1.00 s |  | 1 | ≥ 2.00 s | **no** |" in markdown([], ROWS)


def test_the_other_version_has_a_column_beside() -> None:
    """The column has its name, and its median in each row."""
    table = markdown(["a machine"], ROWS, "commit 8bff828")
    assert "| measure | median | range | runs | commit 8bff828 | bar | met |" in table
    assert "| nothing new | 0.50 s | 0.40 s to 0.60 s | 3 | 6.60 s | ≤ 0.50 s | yes |" in table
    assert "| a poor line | not measured: needs root |  |  |  |  |  |" in table


@pytest.mark.parametrize("other", [None, "commit 8bff828"])
def test_all_lines_have_as_many_cells(other: str | None) -> None:
    """With a version that is compared and without."""
    lines = [line for line in markdown([], ROWS, other).splitlines() if line]
    assert {line.count("|") for line in lines} == {7 if other is None else 8}


def test_the_table_replaces_the_one_between_the_marks(tmp_path: Path) -> None:
    """The text before and after the marks stays."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- results -->\nold\n<!-- /results -->\nafter\n")
    insert("new", page)
    assert page.read_text() == "before\n<!-- results -->\n\nnew\n<!-- /results -->\nafter\n"


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    """Nothing is written then."""
    (tmp_path / "page.md").write_text("nothing")
    with pytest.raises(NotMeasured, match="expected a line"):
        insert("new", tmp_path / "page.md")
