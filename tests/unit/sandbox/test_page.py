"""The page of the sandbox over HTTP, and what it tells a browser; `tests/browser` looks at it."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from swarm.sandbox import pictures, view
from swarm.sandbox.paths import EVENTS_PATH, PAGE_PATH
from swarm.sandbox.pictures import values_picture
from swarm.sandbox.refusals import Refusals
from swarm.sandbox.server import Running, running
from swarm.sandbox.store import Store
from swarm.sandbox.validate import Breach, Packet, as_text, check_packet
from swarm.sandbox.view import View
from tests.unit.sandbox.test_sandbox import USER, Client, connected, packet

DAY = 86_400_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return an empty store."""
    with closing(Store(tmp_path / "store")) as store:
        yield store


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Running]:
    """Run a sandbox that accepts one user."""
    with running(tmp_path / "store", {USER}) as sandbox:
        yield sandbox


def fill(store: Store, stream: str, *instants: int, value: str = "1") -> None:
    """Store a packet for each instant."""
    for instant in instants:
        text = f'{{"id":"{stream}","tsISO8601":"{as_text(instant)}","value":{value}}}'
        assert isinstance(check_packet(text.encode()), Packet)
        store.add(Packet(stream, instant, text))


def drawn(look: View) -> dict[str, Any]:
    """Return what is new when everything is drawn."""
    news = look.news()
    while True:
        for _ in look.draw():
            pass
        more = look.news()
        news["pictures"] |= more["pictures"]
        if not look.is_behind:
            return news


def first_event(client: Client, contains: str = "") -> dict[str, Any]:
    """Return the first event of a page, and end the connection."""
    client.connection.request("GET", f"{EVENTS_PATH}?contains={quote(contains)}")
    with client.connection.getresponse() as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        line = response.readline().decode()
    client.connection.close()
    return dict(json.loads(line.removeprefix("data: ")))


# Over HTTP


def test_the_page_is_for_anyone_and_loads_nothing(sandbox: Running) -> None:
    """No password is asked for; only the script with the nonce of this answer may run."""
    with connected(sandbox.url, user=None) as visitor:
        answers = [visitor.ask("GET", PAGE_PATH) for _ in range(2)]
    policies = [answer.headers["Content-Security-Policy"] for answer in answers]
    nonces = re.findall(r"script-src 'nonce-([\w-]+)';", " ".join(policies))

    assert len(set(nonces)) == 2
    assert all(policy.startswith("default-src 'none'; ") for policy in policies)
    assert sandbox.url in answers[0].body
    assert re.findall(r"<script.*?>", answers[0].body) == [f'<script nonce="{nonces[0]}">']
    assert not re.search(r"<img|\bsrc=|@import|<link rel=.stylesheet", answers[0].body)


def test_the_page_only_answers_questions(sandbox: Running) -> None:
    """GET and HEAD are the only methods of the page and of its events."""
    with connected(sandbox.url) as client:
        for path in (PAGE_PATH, EVENTS_PATH):
            head = client.ask("HEAD", path)
            assert (200, "") == (head.status, head.body)
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                answer = client.ask(method, path, packet(1))
                assert (405, {"GET", "HEAD"}) == (
                    answer.status,
                    set(answer.headers["Allow"].split(", ")),
                )
    assert sandbox.packets() == 0


@pytest.mark.parametrize("path", [PAGE_PATH, EVENTS_PATH])
def test_another_host_learns_nothing(sandbox: Running, path: str) -> None:
    """A web page whose name resolves to loopback sees neither the page nor its events."""
    with connected(sandbox.url) as client:
        port = urlsplit(sandbox.url).port
        assert client.ask("GET", path, host=f"evil.example:{port}").status == 403


def test_the_first_event_tells_all(sandbox: Running) -> None:
    """Counts, streams and refusals; an unknown stream is not a refusal."""
    with connected(sandbox.url) as client:
        client.post(packet(1, stream="<b>&amp;'"))
        client.post(packet(2, stream="<b>&amp;'"))
        client.post(packet(2, stream="other"))
        client.post("{}")
        client.last("unknown")
    with connected(sandbox.url, user=None) as visitor:
        event = first_event(visitor)
        found = first_event(visitor, "B>&")

    assert (event["packets"], event["streams"], event["refused"]) == ("3", "2", "1")
    assert event["order"] == ["<b>&amp;'", "other"]
    assert event["rows"][0] == ["<b>&amp;'", 2, "2024-01-01 10:01", "2024-01-01 10:02"]
    assert [refusal[1:] for refusal in event["refusals"]] == [
        ["", "422", "the first field must be id"]
    ]
    assert (found["order"], found["matching"], found["streams"]) == (["<b>&amp;'"], 1, "2")


# The view


def test_only_news_is_told(store: Store) -> None:
    """Facts that a page knows are not told again."""
    refusals = Refusals()
    look = View(store, refusals)
    fill(store, "a", 0, 1000)
    fill(store, "b", 0)
    assert set(drawn(look)["pictures"]) == {"a", "b"}
    assert look.news()["rows"] == []

    fill(store, "b", 2000)
    refusals.note(Breach(409, "late", "b"))
    for _ in look.draw():
        pass
    news = look.news()
    assert [row[:2] for row in news["rows"]] == [("b", 2)]
    assert set(news["pictures"]) == {"b"}
    assert "order" not in news
    assert [refusal[1:] for refusal in news["refusals"]] == [("b", "409", "late")]


def test_the_last_refusals_are_told(store: Store) -> None:
    """They are the last twenty, the newest first; all are counted."""
    refusals = Refusals()
    for number in range(25):
        refusals.note(Breach(422, str(number)))
    news = View(store, refusals).news()
    assert [refusal[3] for refusal in news["refusals"]] == [str(n) for n in range(24, 4, -1)]
    assert news["refused"] == "25"


def test_a_page_has_an_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first streams are listed, the first of them drawn; a text finds the others."""
    monkeypatch.setattr(view, "LISTED", 4)
    monkeypatch.setattr(view, "DRAWN", 2)
    for number in range(6):
        fill(store, f"m{number}", 0)
    news = drawn(View(store, Refusals()))
    assert (news["order"], news["matching"]) == (["m0", "m1", "m2", "m3"], 6)
    assert set(news["pictures"]) == {"m0", "m1"}
    assert drawn(View(store, Refusals(), "M5"))["order"] == ["m5"]


def test_streams_come_and_go(store: Store) -> None:
    """A stream that was forgotten is gone, also if another one takes its place."""
    look = View(store, Refusals())
    fill(store, "a", 0)
    drawn(look)
    store.forget(["a"])
    fill(store, "b", 0)
    assert drawn(look)["order"] == ["b"]
    fill(store, "a", DAY, 2 * DAY, 3 * DAY)
    news = drawn(look)
    assert news["order"] == ["a", "b"]
    assert news["pictures"]["a"]["days"]["label"] == "A cell a day: 0 of 3 days without packets"


def test_drawing_ends_with_its_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that one look leaves out are drawn in the next ones."""
    monkeypatch.setattr(view, "_BUDGET", 1e-9)
    for number in range(5):
        fill(store, f"m{number}", 0)
    look = View(store, Refusals())
    look.news()
    assert len(list(look.draw())) == 1
    assert look.is_behind
    assert len(drawn(look)["pictures"]) == 5


# The pictures


def test_late_packets_are_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """In steps of any length, late and replaced packets leave each day with its number."""
    monkeypatch.setattr(pictures, "_STEP", 2)
    look = View(store, Refusals())
    fill(store, "m", *range(0, 10 * DAY, DAY // 4))
    assert drawn(look)["pictures"]["m"]["days"]["busiest"] == "4"
    fill(store, "m", 3 * DAY + 1, 3 * DAY, -1)
    for _ in look.draw():
        pass
    days = look.news()["pictures"]["m"]["days"]
    assert days["busiest"] == "5"
    assert days["label"] == "A cell a day: 0 of 11 days without packets"
    assert {kind for kind, _ in days["paths"]} == {"full", "most", "some"}


def test_any_instant_can_be_drawn(store: Store) -> None:
    """The ends of the calendar are no exception; days without packets are shown as such."""
    first, last = -62135596800000, 253402300799999
    fill(store, "m", first)
    fill(store, "n", last)
    news = drawn(View(store, Refusals()))["pictures"]
    assert [text for *_, text in news["m"]["days"]["texts"]][-1] == "1"
    assert [text for *_, text in news["n"]["days"]["texts"]][-1] == "9999"
    fill(store, "m", last)
    label = drawn(View(store, Refusals(), "m"))["pictures"]["m"]["days"]["label"]
    assert label.endswith("days without packets")


def test_any_value_can_be_drawn() -> None:
    """Numbers of any size and length, one alone, and a stream that changes its measurements."""
    texts = [
        '{"id":"m","tsISO8601":"t","value":-1.7e308}',
        '{"id":"m","tsISO8601":"t","aP_1":5,"aP_2":6}',
        f'{{"id":"m","tsISO8601":"t","value":{"9" * 300}}}',
        '{"id":"m","tsISO8601":"t","value":1.7e308}',
    ]
    picture = values_picture(list(enumerate(texts)))
    assert (picture["name"], picture["packets"], picture["latest"]) == (
        "value",
        "3 packets",
        "1.7e+308",
    )
    assert "nan" not in picture["path"]
    assert "inf" not in picture["path"]
    assert values_picture([(0, texts[0])])["path"].endswith("h0")


def test_a_gap_breaks_the_line() -> None:
    """A step much longer than usual is no line."""
    text = '{"id":"m","tsISO8601":"t","value":1}'
    path = values_picture([(instant, text) for instant in (0, 1, 2, 50, 51, 52)])["path"]
    assert path.count("M") == 2
