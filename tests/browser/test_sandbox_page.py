"""The sandbox's page in a real browser, while real packets come in."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="needs Playwright: pip install playwright")

from playwright.sync_api import Page, expect

from swarm.sandbox.server import Running, running
from swarm.sandbox.validate import PATH
from tests.support.browser import PHONE, REBOUND, Pages, overflow, violations
from tests.unit.sandbox.test_sandbox import USER, Client, connected, packet

MARKUP = "<img src=x onerror=document.title=1><script>alert(1)</script>"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Running]:
    """Run a sandbox that accepts one user."""
    with running(tmp_path / "store", {USER}) as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: Running) -> Iterator[Client]:
    """Connect to the sandbox."""
    with connected(sandbox.url) as client:
        yield client


@pytest.fixture
def url(sandbox: Running) -> str:
    """Return the URL of the sandbox's page."""
    return sandbox.url.removesuffix(PATH) + "/"


def card(page: Page, stream: str) -> str:
    """Return what a stream's card says, when its pictures are there."""
    found = page.locator("section.stream").filter(has=page.get_by_text(stream, exact=True))
    expect(found.locator("svg")).to_have_count(2)
    return found.inner_text()


def send(client: Client, stream: str, minutes: range) -> None:
    """Post packets with rising values."""
    for minute in minutes:
        assert client.post(packet(minute, stream, str(minute))).status == 200


def test_it_moves_while_packets_come(client: Client, url: str, pages: Pages) -> None:
    """Counts, streams, pictures and refusals appear without a reload."""
    page = pages.open(url)
    expect(page.locator("#note")).to_have_text(
        "No stream yet: a stream appears with its first packet."
    )
    send(client, "water", range(3))
    expect(page.locator("#packets")).to_have_text("3")
    assert "3 packets, 2024-01-01 10:00 to 2024-01-01 10:02" in card(page, "water")
    line = page.locator(".curve").get_attribute("d")

    send(client, "water", range(3, 5))
    send(client, "air", range(1))
    expect(page).to_have_title("6 packets - swarm sandbox")
    expect(page.locator("h3")).to_have_text(["air", "water"])
    expect(page.locator("figcaption").last).to_have_text("value, last 5 packets; latest: 4")
    assert line != page.locator(".curve").last.get_attribute("d")

    client.post(packet(1, "air", "true"))
    expect(page.locator("#reasons tr")).to_have_text(
        re.compile("air 422 value must be a finite number, found true".replace(" ", r"\s*"))
    )
    expect(page.locator("#refused")).to_have_text("1")


def test_an_id_of_markup_is_text(client: Client, url: str, pages: Pages) -> None:
    """It is shown, not run, among the streams and among the refusals."""
    send(client, MARKUP, range(2))
    client.post(packet(1, MARKUP, "true"))
    page = pages.open(url)
    assert MARKUP in card(page, MARKUP)
    expect(page.locator("#reasons td").nth(1)).to_have_text(MARKUP)
    expect(page.locator("main img, main script")).to_have_count(0)
    expect(page).to_have_title("2 packets - swarm sandbox")


def test_a_part_of_the_id_finds_streams(client: Client, url: str, pages: Pages) -> None:
    """The typed text chooses the streams, in any case; an empty box shows all."""
    for stream in ("gas", "Water-1", "water-2"):
        send(client, stream, range(1))
    page = pages.open(url)
    names = page.locator("h3")
    expect(names).to_have_count(3)
    page.get_by_label("ID contains").fill("WATER")
    expect(names).to_have_text(["Water-1", "water-2"])
    page.get_by_label("ID contains").fill("&none")
    expect(page.locator("#note")).to_have_text("No stream has such an ID.")
    page.get_by_label("ID contains").fill("")
    expect(names).to_have_count(3)


def test_many_streams_are_rows(client: Client, url: str, pages: Pages) -> None:
    """The first hundred have pictures; of the others, a part of the ID draws one."""
    for number in range(103):
        send(client, f"m{number:03}", range(1))
    page = pages.open(url)
    expect(page.locator("section.stream svg")).to_have_count(200)
    expect(page.locator("#rows tr td:first-child")).to_have_text(["m100", "m101", "m102"])
    page.get_by_label("ID contains").fill("102")
    assert "1 packet, 2024-01-01 10:00" in card(page, "m102")
    expect(page.locator("#others")).to_be_hidden()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, PHONE])
def test_everyone_can_use_it(
    client: Client, url: str, pages: Pages, dark: bool, width: int
) -> None:
    """axe-core finds nothing, and no window is too narrow, also for long words."""
    send(client, "water", range(30))
    send(client, "long" * 40, range(2))
    client.post(packet(1, "x" * 300, "true"))
    page = pages.open(url, dark=dark, width=width)
    card(page, "water")
    expect(page.locator("#reasons tr")).to_have_count(1)
    assert [] == violations(page)
    assert overflow(page) == 0
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ("rgb(18, 23, 29)" if dark else "rgb(251, 251, 249)") == ground


def test_it_says_that_the_sandbox_has_ended(
    sandbox: Running, client: Client, url: str, pages: Pages
) -> None:
    """The last contents stay, with a line that says so."""
    send(client, "water", range(2))
    page = pages.open(url)
    card(page, "water")
    sandbox.stop()
    expect(page.locator("#state")).to_contain_text("The sandbox does not answer")
    assert "2 packets" in card(page, "water")
    # The browser reports each connection that failed.
    pages.forgive("Failed to load resource")
    pages.forgive("net::ERR_")
    page.close()


def test_a_page_of_another_name_changes_nothing(
    sandbox: Running, client: Client, url: str, pages: Pages
) -> None:
    """A web page whose name resolves to loopback can neither read the page nor send packets."""
    send(client, "water", range(1))
    page = pages.open(url.replace("127.0.0.1", REBOUND))
    post = """async ([path, body, token]) => {
        const headers = {"Content-Type": "application/json", Authorization: token};
        return (await fetch(path, {method: "POST", headers, body})).status;
    }"""
    for path in (PATH, "/", "/events"):
        token = client.headers["Authorization"]
        assert page.evaluate(post, [path, packet(2), token]) == 403
    assert "water" not in page.content()
    assert sandbox.packets() == 1
    pages.forgive("403 (Forbidden)")
