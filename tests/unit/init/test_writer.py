"""Tests of `swarm.init.writer`: all that is written into an INI is read back unchanged."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.config import ini
from swarm.config.paths import matching
from swarm.init.writer import Setting, comment, is_id, is_writable, name_of, options, path_text

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/") | st.sampled_from("#;[]*?=~ \t\n\r\x85:"),
    min_size=1,
    max_size=12,
)


@given(NAMES)
def test_an_id_is_read_back(text: str) -> None:
    """Any text becomes an ID that works in [meters] and in the header of a section."""
    name = name_of(text)
    lines = ["[meters]", f"{name} = a.csv", f"[meter:{name}]", "skip_rows = 1"]
    document = ini.parse(Path("x.ini"), "\n".join(lines))
    assert [] == document.problems
    assert {name: "a.csv"} == {k: e.value for k, e in document.sections["meters"].items()}
    assert {name} == set(document.named("meter"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gas meter: [kWh]", "gas meter: [kWh]"),
        ("a=b\n", "a_b_"),
        ("#1", "_1"),
        (";1", "_1"),
        ("[x]", "[x]"),
        (" gas ", "gas"),
        (" ", "_"),
    ],
)
def test_the_nearest_id(text: str, expected: str) -> None:
    """Only characters that an ID can't contain are replaced."""
    assert (expected, text == expected) == (name_of(text), is_id(text))


@given(NAMES.filter(lambda name: is_writable(name) and name not in {".", ".."}))
def test_a_path_means_one_file(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """With blanks at the ends, globs or tildes, the value means this file and no other."""
    folder = tmp_path_factory.mktemp("paths")
    (folder / name).touch()
    (folder / "other").touch()
    document = ini.parse(Path("x.ini"), f"[meters]\nm = {path_text(Path(name))}")
    value = document.text("meters", "m", is_list=True)
    assert value is not None
    assert [folder / name] == matching(value, folder)


def test_a_glob_does_not_take_over_when_its_file_is_gone(tmp_path: Path) -> None:
    """A name with brackets never means the files that it would match as a glob."""
    (tmp_path / "gas1.csv").touch()
    text = path_text(Path("gas[12].csv"))
    assert [tmp_path / text] == matching(text, tmp_path)
    assert "gas[[]12].csv" == text


def test_what_cannot_be_written() -> None:
    """Line breaks, NUL, and names that are not UTF-8 can't be written."""
    assert [False] * 4 == [is_writable(t) for t in ("a\nb", "a\r", "\0", os.fsdecode(b"\xff"))]


def test_options_and_comments() -> None:
    """A doubt is written above its option; long texts are wrapped, indented lines are not."""
    assert ["a = 1", "# CHECK: is it?", "b = 2"] == options(
        [Setting("a", "1"), Setting("b", "2", "is it?")]
    )
    fixed = "    " + "x" * 90
    assert [f"#{' word' * 15}", "# word word", "#", f"# {fixed}"] == comment(
        "word " * 17, "", fixed
    )
