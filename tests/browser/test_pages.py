"""The fixtures notice what no page may do, for pages in files and from servers."""

from pathlib import Path

import pytest

from tests.support.browser import Pages, overflow, violations


def written(folder: Path, body: str) -> str:
    """Return the URL of a page in a file."""
    path = folder / "page.html"
    text = f"<!DOCTYPE html><html lang=en><title>t</title><main><h1>t</h1>{body}</main></html>"
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


def test_a_page_in_a_file(tmp_path: Path, pages: Pages) -> None:
    """It can be looked at and printed."""
    page = pages.open(written(tmp_path, "<p>text</p>"), width=390)
    assert ([], 0) == (violations(page), overflow(page))
    assert page.pdf().startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ("<script>console.error('a' + 'b')</script>", "ab"),
        ("<script>throw new Error('thrown')</script>", "thrown"),
        ("<img alt='' src='http://elsewhere.example/a.png'>", "elsewhere.example"),
        ("<img alt='' src='other.png'>", "other.png"),
    ],
)
def test_what_no_page_may_do(tmp_path: Path, pages: Pages, body: str, part: str) -> None:
    """Errors and requests to others are told."""
    pages.open(written(tmp_path, body)).wait_for_load_state()
    with pytest.raises(AssertionError, match=part):
        pages.check()
    pages.forget()


def test_flaws_are_found(tmp_path: Path, pages: Pages) -> None:
    """A page without a name for its picture, and one that is too wide."""
    page = pages.open(written(tmp_path, "<div style='width:2000px'><img src='data:,'></div>"))
    assert any("img" in flaw for flaw in violations(page))
    assert overflow(page) > 0
