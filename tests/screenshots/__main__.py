"""Send the sample meters to a sandbox, and take pictures of bars, pages and report."""

import html
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from swarm.sandbox.server import running
from swarm.sandbox.validate import PATH
from tests.support.browser import Pages, chromium
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from playwright.sync_api import FloatRect

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
_LINES, _COLUMNS = 14, 100
#: Packets a second: the run takes some fifteen seconds, and pictures are taken in the middle.
_RATE = "2600"
_MIDDLE_SECONDS = 8
_TERMINAL = """<!DOCTYPE html><meta charset="utf-8"><style>
body {{ background: #fbfbf9; margin: 0 }}
pre {{ background: #12171d; border-radius: 10px; color: #e6eaee; display: inline-block;
  font: 14px/1.35 "DejaVu Sans Mono", monospace; margin: 0; padding: 16px 20px }}
</style><pre id="terminal">{}</pre>"""


def main() -> None:
    """Take all pictures."""
    PICTURES.mkdir(exist_ok=True)
    with (
        TemporaryDirectory() as name,
        running(Path(name) / "packets.sqlite") as sandbox,
        chromium() as browser,
    ):
        folder, pages = Path(name), Pages(browser)
        config = _config(folder, sandbox.url)
        with _sending(config) as (terminal, address):
            time.sleep(_MIDDLE_SECONDS)
            screen = terminal.settle().lines
            page = pages.open(address, width=1100)
            page.wait_for_timeout(1500)
            page.screenshot(path=PICTURES / "page.png", clip=_clip(1100, 900))
        page = pages.open(sandbox.url.removesuffix(PATH) + "/", width=1100)
        page.wait_for_timeout(3000)
        page.screenshot(path=PICTURES / "sandbox.png", clip=_clip(1100, 900), full_page=True)
        bars = folder / "bars.html"
        shown = ["$ swarm meters.ini", *screen]
        bars.write_text(_TERMINAL.format(html.escape("\n".join(shown))), encoding="utf-8")
        pages.open(bars.as_uri()).locator("#terminal").screenshot(path=PICTURES / "bars.png")
        page = pages.open((folder / "report.html").as_uri(), width=1240)
        section = page.locator("section.card").filter(has_text="Illinois: electricity")
        section.screenshot(path=PICTURES / "report-meter.png")
        page.screenshot(path=PICTURES / "report.png", clip=_clip(1240, 800), full_page=True)
        pages.close()


def _clip(width: int, height: int) -> "FloatRect":
    return {"x": 0, "y": 0, "width": width, "height": height}


def _config(folder: Path, url: str) -> Path:
    """Write the sample INI of many meters for a sandbox; its files stay where they are."""
    text = (ROOT / "sample_configs" / "many-meters.ini").read_text(encoding="utf-8")
    text = text.replace("environment = demo", f"url = {url}\nstate = {folder / 'state'}")
    text = text.replace("../sample_data", str(ROOT / "sample_data"))
    path = folder / "meters.ini"
    path.write_text(text.replace("rate_limit = 200", f"rate_limit = {_RATE}"), encoding="utf-8")
    return path


@contextmanager
def _sending(config: Path) -> Iterator[tuple[Terminal, str]]:
    """Send on a terminal; yields it, with the address of the run's page, and waits for the end."""
    command = [sys.executable, "-m", "swarm", str(config), "--page", "0", "--report", "report.html"]
    passwords = {"DUBLIN_PASSWORD": "secret", "CHICAGO_PASSWORD": "secret"}
    environment = {**os.environ, **passwords, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    with Terminal(_LINES, _COLUMNS) as terminal:
        process = subprocess.Popen(
            command,
            cwd=config.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=terminal.fileno(),
        )
        try:
            while "page of this run: " not in terminal.text:
                time.sleep(0.05)
            yield terminal, terminal.text.partition("page of this run: ")[2].split()[0]
            process.wait(120)
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    if not shutil.which("chromium"):
        sys.exit("needs Chromium: apt-get install chromium")
    main()
