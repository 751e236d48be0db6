"""The pictures of the curves."""

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.pictures import Curve, Picture, flat_bend, rising_bend

SVG = "{http://www.w3.org/2000/svg}"
POINTS = [(1e4, 0.4), (1e5, 0.5), (1e6, 1.4), (1e7, 10.4)]


def draw(folder: Path, *curves: Curve) -> tuple[ElementTree.Element, list[str]]:
    """Return the root of a picture, and its texts."""
    path = Picture("rows", "Rows & <files>", "rows", "seconds", curves).write(folder / "new")
    root = ElementTree.fromstring(path.read_text("utf-8"))
    return root, [text.text or "" for text in root.iter(f"{SVG}text")]


def test_a_picture_has_its_titles_names_and_ticks(tmp_path: Path) -> None:
    """Every text is there, with markup escaped."""
    root, texts = draw(tmp_path, Curve("check", POINTS, 4e5), Curve("nothing new", POINTS))
    assert root.get("aria-label") == "Rows & <files>"
    assert {"Rows & <files>", "rows", "seconds", "check", "nothing new"} <= set(texts)
    assert {"10,000", "10,000,000", "0.1", "1", "100"} <= set(texts)
    assert "bends at about 400,000" in texts


def test_a_picture_is_for_light_and_dark_pages(tmp_path: Path) -> None:
    """Every colour of the text and the page has one for dark pages."""
    root, _ = draw(tmp_path, Curve("check", POINTS))
    style = root.find(f"{SVG}style")
    assert style is not None
    light, _, dark = (style.text or "").partition("@media (prefers-color-scheme: dark)")
    for name in (".page", "text", ".grid", ".dot"):
        assert f"{name} {{ " in light
        assert f"{name} {{ " in dark


def test_the_other_version_has_the_colour_of_the_same_runs(tmp_path: Path) -> None:
    """Its line is dashed, and its name stands below."""
    slower = [(x, y * 2) for x, y in POINTS]
    root, texts = draw(tmp_path, Curve("check", POINTS), Curve("check", slower, other="commit 1"))
    lines = [
        path.get("class") for path in root.iter(f"{SVG}path") if "line" in path.get("class", "")
    ]
    assert lines == ["line s0", "line s0 other"]
    assert "commit 1" in texts


def test_names_do_not_overlap(tmp_path: Path) -> None:
    """Curves that end at the same point have their names below each other."""
    root, _ = draw(tmp_path, *(Curve(f"curve {number}", POINTS, 4e5) for number in range(4)))
    right = [text for text in root.iter(f"{SVG}text") if float(text.get("x", 0)) > 520]
    heights = [float(text.get("y", 0)) for text in right]
    assert len(heights) == 8
    assert all(below - above >= 13.9 for above, below in pairwise(heights))


def test_a_cost_bends_where_its_growing_part_equals_the_fixed_one() -> None:
    """A cost that hardly grows does not bend."""
    assert rising_bend(POINTS) == pytest.approx(4e5)
    assert rising_bend([(1, 0.4), (1000, 0.5)]) is None


def test_a_rate_bends_where_even_growth_would_reach_its_maximum() -> None:
    """A rate that hardly grows does not bend."""
    assert flat_bend([(1, 50), (10, 480), (100, 4000), (1000, 5000)]) == pytest.approx(100)
    assert flat_bend([(1, 50), (10, 60)]) is None
