"""The page of ``--report`` in a real browser, from a file: as it is mailed."""

import re
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="needs Playwright: pip install playwright")

from playwright.sync_api import Page, expect

from swarm.report.days import Kind
from tests.support.browser import PHONE, Pages, overflow, violations
from tests.support.workspace import Workspace, rows

MARKUP = "<b>bold</b><script>alert(1)</script>"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of the report of an upload with gaps, problems and an ID of markup."""
    workspace = Workspace(tmp_path_factory.mktemp("report"), is_measured=False)
    workspace.csv("a.csv", rows(96 * 400))
    workspace.csv("b.csv", [*rows(96 * 10), *rows(96 * 3, "2023-03-01 00:00:00")])
    workspace.csv("c.csv", ["2023-01-01 00:00:00,x"])
    meters = {"zebra": "a.csv", "apple": "b.csv", "mango": "c.csv", MARKUP: "b.csv"}
    config = workspace.ini("sandbox", meters)
    options = ("--report", "r.html", "-k", "--until", "2023-06-01", "--max-duration", "20s")
    assert 3 == workspace.run(config, *options).code
    return (workspace.folder / "r.html").as_uri()


def column(page: Page, number: int) -> list[str]:
    """Return the texts of a column of the table of meters."""
    return page.locator(f"#meters tbody td:nth-child({number})").all_inner_texts()


def test_the_table_sorts(report: str, pages: Pages) -> None:
    """A click on a header sorts by it, another one the other way round; numbers as numbers."""
    page = pages.open(report)
    names = column(page, 1)
    assert ["zebra", "apple"] == names[:2]
    for order in ("ascending", "descending"):
        page.get_by_role("button", name="meter").click()
        expect(page.locator("#meters th").first).to_have_attribute("aria-sort", order)
        assert sorted(names, reverse=order == "descending") == column(page, 1)
    page.get_by_role("button", name="rows").click()
    found = [int(text.replace(",", "")) for text in column(page, 3)]
    assert sorted(found) == found
    page.get_by_role("button", name="rows").press("Enter")
    found = [int(text.replace(",", "")) for text in column(page, 3)]
    assert sorted(found, reverse=True) == found


def test_an_id_of_markup_is_text(report: str, pages: Pages) -> None:
    """It is shown, not run."""
    page = pages.open(report)
    expect(page.get_by_role("heading", name=MARKUP)).to_be_visible()
    expect(page.locator("main b, main script")).to_have_count(0)
    expect(page).to_have_title(re.compile(r"^config\.ini: backfill, "))


def test_each_meter_has_its_pictures(report: str, pages: Pages) -> None:
    """Calendar, values, and a profile unless it is a counter; the problem of the other."""
    page = pages.open(report)
    for name, pictures in (("zebra", 2), ("apple", 3), ("mango", 0)):
        section = page.locator("section.card").filter(has=page.get_by_role("heading", name=name))
        # The chart of values by day has an inner picture without axes.
        expect(section.locator("svg[role=img]")).to_have_count(pictures)
    expect(page.locator("section.card", has_text="mango")).to_contain_text(
        "c.csv:1:2: not a decimal number"
    )
    page.get_by_role("link", name="mango").first.click()
    expect(page).to_have_url(re.compile(r"#m2$"))


def test_the_colours_of_the_kinds_differ(report: str, pages: Pages) -> None:
    """In light and in dark, each kind of a day has a colour of its own."""
    for dark in (False, True):
        page = pages.open(report, dark=dark)
        kinds = [kind.value for kind in Kind if kind is not Kind.OUTSIDE]
        colours = page.evaluate(
            "kinds => kinds.map(kind => { const i = document.createElement('i');"
            " i.className = kind; document.querySelector('main').append(i);"
            " return getComputedStyle(i).backgroundColor })",
            kinds,
        )
        assert len(kinds) == len(set(colours)), colours


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, PHONE])
def test_everyone_can_use_it(report: str, pages: Pages, *, dark: bool, width: int) -> None:
    """No barrier that axe-core finds, and nothing wider than the window."""
    page = pages.open(report, dark=dark, width=width)
    assert [] == violations(page)
    assert 0 == overflow(page)


def test_it_prints(report: str, pages: Pages, tmp_path: Path) -> None:
    """On paper as well, with white ground in dark too."""
    page = pages.open(report, dark=True)
    page.emulate_media(media="print")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert "rgb(255, 255, 255)" == ground
    assert page.pdf(path=tmp_path / "r.pdf").startswith(b"%PDF")
