"""Fixtures for tests in a real browser."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import Pages, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="package")
def browser() -> Iterator["Browser"]:
    """Run a browser for the tests of this folder; it ends before those of others begin."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def pages(browser: "Browser") -> Iterator[Pages]:
    """Return what opens pages; at the end, none may have had an error or asked elsewhere."""
    pages = Pages(browser)
    yield pages
    pages.close()
    pages.check()
