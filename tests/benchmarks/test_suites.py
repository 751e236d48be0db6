"""A run of each suite that is too short to measure anything."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import MEASURES, main, measure
from benchmarks.harness import nginx
from benchmarks.harness.commands import ROOT
from benchmarks.harness.session import Plan
from benchmarks.harness.versions import Version
from benchmarks.results import Missing, NotMeasured, Result

#: Measurements that differ from another one only by a number are left out.
NAMES = (
    set(MEASURES)
    - {"http-64", "https-256", "latency-http-64", "latency-http-256", "latency-https-256"}
    - {"latency-https-1000", "latency-requests", "library-latency", "connections-80-ms"}
    - {"memory-upload"}
)
TINY = Plan(pairs=1, seconds=0.5, is_quick=True, divisor=100)
PICTURES = {
    "growth-rows": ["rows", "history"],
    "growth-meters": ["meters"],
    "growth-streams": ["streams"],
}


def needs(name: str) -> None:
    """Skip a test if this machine lacks what a measurement needs."""
    try:
        has_echo = nginx._echo(nginx._program()) is not None
    except NotMeasured:
        has_echo = False
    if not has_echo:
        pytest.skip("needs nginx and its echo module")
    if name == "connections-poor-line":
        has_device = Path("/dev/net/tun").exists() and shutil.which("ip")
        if os.geteuid() != 0 or not has_device:
            pytest.skip("needs root, ip and /dev/net/tun")


@pytest.mark.parametrize("name", sorted(NAMES - {"growth-many-rows", "one-stream"}))
def test_a_suite_fills_its_rows(name: str) -> None:
    """Nothing is missing, and the pictures of the suite are there."""
    needs(name)
    rows, pictures = measure(TINY, [name])
    assert [row for row in rows if isinstance(row, Missing)] == []
    assert [picture.name for picture in pictures] == PICTURES.get(name, [])
    values = [value for row in rows if isinstance(row, Result) for value in row.values]
    assert values
    assert all(value >= 0 for value in values if name not in {"bars", "memory-dry-run"})


def test_a_suite_leaves_nothing_to_the_next_one() -> None:
    """The collector has forgotten the streams that another suite has adopted."""
    needs("one-stream")
    rows, _ = measure(TINY, ["growth-many-rows", "one-stream"])
    assert [row for row in rows if isinstance(row, Missing)] == []


def test_another_checkout_is_measured_beside_this_one() -> None:
    """The other version has as many values."""
    needs("start-small-runs")
    other = Version("commit 1", ROOT, sys.executable)
    rows, _ = measure(TINY, ["start-small-runs"], other)
    assert [len(row.other) for row in rows if isinstance(row, Result)] == [4, 4]


def test_the_command_writes_the_table_and_the_pictures(tmp_path: Path) -> None:
    """The pictures are in a folder beside the page."""
    needs("growth-meters")
    page = tmp_path / "page.md"
    page.write_text("<!-- results -->\n<!-- /results -->\n")
    assert main(["--quick", "--pairs", "1", "--only", "growth-meters", "--out", str(page)]) == 0
    assert "| check, 10 meters |" in page.read_text("utf-8")
    assert (tmp_path / "pictures" / "meters.svg").exists()


def test_every_picture_of_the_page_is_drawn() -> None:
    """The page has each picture that a suite draws, and no other."""
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    shown = re.findall(r"\(pictures/(\w+)\.svg\)", page)
    assert sorted(shown) == sorted(name for names in PICTURES.values() for name in names)
    assert all((ROOT / "docs" / "pictures" / f"{name}.svg").exists() for name in shown)
