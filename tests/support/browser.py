"""A real browser for tests: Debian's Chromium, driven by Playwright.

`Pages.open` opens a page; `Pages.check` fails if one of them wrote an error to its console, raised
one, or asked another origin than its own for something. `Page.pdf` prints.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM: Final = "/usr/bin/chromium"

#: The time limit (ms) of what a page is waited for: the machine may be busy.
TIMEOUT: Final = 30_000
#: The width (px) of a phone.
PHONE: Final = 390

#: A name that resolves to loopback, as a hostile web page can make its own do.
REBOUND: Final = "rebound.example"

# No other name but loopback's resolves: what a page asks of others fails, and is seen.
_RULES: Final = f"MAP {REBOUND} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
_ARGUMENTS: Final = (f"--host-resolver-rules={_RULES}", "--disable-dev-shm-usage")


@contextmanager
def chromium() -> Iterator["Browser"]:
    """Run a browser without a window; skips the test if something that it needs is missing.

    Meanwhile the thread has a running event loop: `asyncio.run` fails in it.
    """
    if not shutil.which(CHROMIUM):
        pytest.skip("needs Chromium: apt-get install chromium")
    reason = "needs Playwright: pip install playwright"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    playwright.expect.set_options(timeout=TIMEOUT)
    # Chromium's own sandbox does not work for root.
    arguments = [*_ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=arguments, timeout=4 * TIMEOUT
        )
        yield browser
        browser.close()


@dataclass
class Pages:
    """The pages that one test opens."""

    browser: "Browser"
    _pages: list["Page"] = field(default_factory=list)
    _errors: list[str] = field(default_factory=list)
    _requests: list[tuple[str, str]] = field(default_factory=list)

    def open(self, url: str, *, dark: bool = False, width: int = 1280) -> "Page":
        """Open a page (http: or file:) in a context of its own."""
        context = self.browser.new_context(
            color_scheme="dark" if dark else "light", viewport={"width": width, "height": 900}
        )
        context.set_default_timeout(TIMEOUT)
        page = context.new_page()
        self._pages.append(page)
        page.on("console", lambda said: self._note(said.type, said.text))
        page.on("pageerror", lambda error: self._errors.append(str(error)))
        page.on("request", lambda request: self._requests.append((url, request.url)))
        page.goto(url)
        return page

    def forgive(self, part: str) -> None:
        """Forget the errors so far that contain a text: the test has caused them."""
        self._errors = [error for error in self._errors if part not in error]

    def forget(self) -> None:
        """Forget all errors and requests so far."""
        self._errors.clear()
        self._requests.clear()

    def check(self) -> None:
        """Assert that no page had an error or asked another origin for something."""
        foreign = [
            asked
            for page, asked in self._requests
            # A data: URL is part of the page.
            if not asked.startswith("data:") and _origin(page) != _origin(asked)
        ]
        if self._errors or foreign:
            raise AssertionError(f"errors: {self._errors}; requests to others: {foreign}")

    def close(self) -> None:
        """Close all pages."""
        for page in self._pages:
            page.context.close()

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self._errors.append(text)


def violations(page: "Page") -> list[str]:
    """Return what axe-core finds that people with disabilities would stumble over."""
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

    found: Sequence[dict[str, object]] = Axe().run(page).response["violations"]
    return [f"{each['help']}: {[node['html'] for node in each['nodes']]}" for each in found]  # type: ignore[attr-defined]


def overflow(page: "Page") -> int:
    """Return by how many pixels a page is wider than its window."""
    wide: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wide


def _origin(url: str) -> str:
    """Return what a page may ask: its server, or itself if it is a file."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return parts.path
    return f"{parts.scheme}://{parts.netloc}"
