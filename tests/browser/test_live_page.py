"""The page of ``--page`` in a real browser, while a run goes on."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="needs Playwright: pip install playwright")

from playwright.sync_api import expect

from tests.e2e.test_page import address
from tests.support.browser import PHONE, Pages, overflow, violations
from tests.support.collector import Collector
from tests.support.workspace import Workspace, rows

if TYPE_CHECKING:
    import subprocess

MARKUP = "<b>bold</b><script>alert(1)</script>"


@pytest.fixture
def run(workspace: Workspace, collector: Collector) -> Iterator["subprocess.Popen[str]"]:
    """Start a run of some ten seconds, with a file that has a problem."""
    workspace.csv("a.csv", rows(500))
    workspace.csv("bad.csv", ["2023-01-01 00:00:00,x"])
    meters = {"water": "a.csv", MARKUP: "a.csv", "broken": "bad.csv"}
    config = workspace.ini(collector.url, meters)
    options = ("--page", "0", "--page-after", "60s", "--rate-limit", "100", "-k")
    process = workspace.start(config, *options, "--progress", "none")
    yield process
    process.kill()
    process.communicate()


def test_it_moves_and_ends_with_the_run(run: "subprocess.Popen[str]", pages: Pages) -> None:
    """Rows, bars and the graph move; the end says how many were sent, and that some were not."""
    page = pages.open(address(run))
    expect(page.locator("#state")).to_have_text(re.compile(r"Sending: \d+ % done\."))
    expect(page.locator("#rows")).to_have_text("1,000")
    done = page.locator("#done")
    before = done.inner_text()
    curve = page.locator("#curve").get_attribute("d")
    expect(done).not_to_have_text(before)
    expect(page.locator("#curve")).not_to_have_attribute("d", curve or "")
    water = page.locator("#table tr").filter(has_text="water")
    expect(water).to_contain_text("sending")
    expect(page.locator("#table tr").first).to_contain_text("broken")
    expect(page.locator("#messages")).to_contain_text("bad.csv:1:2: not a decimal number")
    expect(page.locator("#state")).to_have_text(
        "The run has ended with exit code 3: 1,000 packets sent, 1 row unsent."
    )
    expect(water).to_contain_text("done")
    assert page.locator("#whole").get_attribute("aria-valuenow") == "100"


def test_an_id_of_markup_is_text(run: "subprocess.Popen[str]", pages: Pages) -> None:
    """It is shown, not run; a part of an ID finds streams."""
    page = pages.open(address(run))
    names = page.locator("#table td:first-child")
    expect(names).to_have_count(3)
    page.get_by_label("ID contains").fill("ALERT")
    expect(names).to_have_text([MARKUP])
    expect(page.locator("main b, main script")).to_have_count(0)
    assert "1" != page.title()


def test_it_says_when_the_run_was_killed(run: "subprocess.Popen[str]", pages: Pages) -> None:
    """The last contents stay."""
    page = pages.open(address(run))
    expect(page.locator("#rows")).to_have_text("1,000")
    run.kill()
    expect(page.locator("#state")).to_have_text(re.compile("the run has probably been killed"))
    expect(page.locator("#rows")).to_have_text("1,000")
    pages.forgive("ERR_")


def test_everyone_can_use_it(run: "subprocess.Popen[str]", pages: Pages) -> None:
    """No barrier that axe-core finds, and nothing wider than the window; light, dark, phone."""
    url = address(run)
    for dark, width in ((False, 1280), (True, 1280), (False, PHONE)):
        page = pages.open(url, dark=dark, width=width)
        expect(page.locator("#rows")).to_have_text("1,000")
        assert [] == violations(page)
        assert 0 == overflow(page)
