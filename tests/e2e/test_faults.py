"""Delivery under every kind of fault, through the command and real sockets."""

import json
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest

from tests.support.collector import (
    Behaviour,
    CloseAfterStoring,
    Collector,
    Garbage,
    Hang,
    Raw,
    Reply,
    Request,
    ResetAfterStoring,
    ResetBeforeStoring,
    ResetMidBody,
    TruncatedHeader,
    redirect,
)
from tests.support.workspace import Finished, Workspace, packets, rows

LINES = rows(6)


class Script:
    """Plays behaviours, one after the other, for the POSTs that ``picks`` selects."""

    def __init__(self, picks: Callable[[Request], bool], *behaviours: Behaviour) -> None:
        self.picks = picks
        self.behaviours = list(behaviours)

    def __call__(self, request: Request, _: Collector) -> Behaviour | None:
        """Return the behaviour for a request, None for the usual one."""
        is_picked = request.method == "POST" and self.picks(request)
        return self.behaviours.pop(0) if is_picked and self.behaviours else None


def third(request: Request) -> bool:
    """Pick the packet of the third row."""
    return b'"value":2.25' in request.body


def send(workspace: Workspace, collector: Collector, *arguments: str, **upload: str) -> Finished:
    """Send the six rows of ``LINES`` as stream ``m``."""
    path = workspace.csv("m.csv", LINES)
    config = workspace.ini(collector.url, {"m": path}, upload={"timeout": "1s", **upload})
    return workspace.run(config, "--json", *arguments).balanced()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(ResetBeforeStoring(), id="reset before storing"),
        pytest.param(ResetAfterStoring(), id="reset after storing"),
        pytest.param(CloseAfterStoring(), id="closed after storing"),
        pytest.param(Raw(store=False), id="closed before storing"),
        pytest.param(TruncatedHeader(), id="truncated header"),
        pytest.param(Garbage(), id="garbage"),
        pytest.param(Hang(), id="hangs before storing"),
        pytest.param(Hang(store=True), id="hangs after storing"),
        pytest.param(Reply(500, store=True), id="500 after storing"),
        pytest.param(Reply(503, store=False), id="503 before storing"),
        pytest.param(Reply(408, store=True), id="408 after storing"),
        pytest.param(ResetMidBody(), id="reset in the body of a 200"),
    ],
)
def test_a_fault_costs_and_repeats_nothing(workspace: Workspace, fault: Behaviour) -> None:
    """Every packet is stored once, in order, in spite of a fault of one answer.

    test_transport.py checks that both engines report each fault in the same way.
    """
    with Collector(Script(third, fault)) as collector:
        done = send(workspace, collector)
        assert packets("m", LINES) == collector.packets("m")
        assert (0, "done", "yes") == (
            done.code,
            done.meters["m"]["state"],
            done.meters["m"]["verified"],
        )
        assert done.meters["m"]["possible_duplicates"] == 0
        assert collector.max_in_flight("m") == 1


def test_no_unsettled_packet_is_sent_again_unasked(workspace: Workspace) -> None:
    """Between an unanswered packet and the next POST there is a GET."""
    with Collector(Script(third, Reply(500))) as collector:
        send(workspace, collector)
        methods = [request.method for request in collector.requests]
        assert methods == ["GET", *["POST"] * 3, "GET", *["POST"] * 4, "GET"]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        # test_retry.py has the whole table.
        *((status, 4, "refused") for status in (403, 404, 501)),
        *((status, 3, "rejected") for status in (400, 409, 422)),
    ],
)
def test_an_answer_that_stops_a_stream(
    workspace: Workspace, status: int, code: int, kind: str
) -> None:
    """On a permanent refusal the stream stops at that row, and no later row is sent."""
    script = Script(third, *[Reply(status, b"words")] * 9)
    with Collector(script) as collector:
        done = send(workspace, collector)
        problem = done.meters["m"]["problem"]
        assert (code, kind, 3, status) == (
            done.code,
            problem["kind"],
            problem["line"],
            problem["status"],
        )
        assert "words" in problem["message"]
        assert (status == 404) == ("check the URL" in problem["message"])
        assert packets("m", LINES[:2]) == collector.packets("m")
        script.behaviours.clear()
        assert send(workspace, collector).code == 0
        assert packets("m", LINES) == collector.packets("m")


@pytest.mark.parametrize("status", [301, 304, 307])
def test_a_redirect_stops_the_run(workspace: Workspace, status: int) -> None:
    """3xx is never followed: the run exits with 4, and the other host receives nothing."""
    with (
        Collector() as other,
        Collector(Script(lambda _: True, *[redirect(other.url, status)] * 9)) as collector,
    ):
        done = send(workspace, collector)
        assert (4, "redirect") == (done.code, done.meters["m"]["problem"]["kind"])
        assert (0, 1) == (other.connections, sum(r.method == "POST" for r in collector.requests))


@pytest.mark.parametrize("status", [425, 429])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_wait_that_the_collector_asks_for(workspace: Workspace, status: int, form: str) -> None:
    """After 429 or 425 the packet is resent after Retry-After, without a GET or retry_for."""
    times: list[float] = []

    def script(request: Request, _: Collector) -> Behaviour | None:
        if request.method == "POST":
            times.append(time.monotonic())
        return throttled() if third(request) and len(times) == 3 else None

    def throttled() -> Reply:
        # Dates have whole seconds: two seconds from now are at least one.
        then = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        return Reply(status, headers={"Retry-After": "1" if form == "seconds" else then})

    with Collector(script) as collector:
        done = send(workspace, collector, retry_for="0.5s")
        assert (0, 1) == (done.code, done.meters["m"]["retries"])
        assert packets("m", LINES) == collector.packets("m")
        assert max(b - a for a, b in pairwise(times)) > 0.9
        assert [r.method for r in collector.requests].count("GET") == 2


def test_retries_are_used_up(workspace: Workspace) -> None:
    """A collector that always answers 503 stops the stream after retry_for; a later run resumes."""
    script = Script(third, *[Reply(503, b"busy")] * 99)
    with Collector(script) as collector:
        start = time.monotonic()
        done = send(workspace, collector, retry_for="2s")
        problem = done.meters["m"]["problem"]
        assert (5, "temporary", 503) == (done.code, problem["kind"], problem["status"])
        assert time.monotonic() - start < 10
        assert "busy" in problem["message"]
        script.behaviours.clear()
        done = send(workspace, collector)
        assert (0, 4, 2) == (done.code, done.meters["m"]["sent"], done.meters["m"]["resumed"])
        assert packets("m", LINES) == collector.packets("m")


def test_an_expired_session_gets_a_fresh_one(workspace: Workspace) -> None:
    """After one 401 the stream continues in a new session without the old cookie."""
    script = Script(third, Reply(401))
    with Collector(script, cookie="session=abc") as collector:
        assert send(workspace, collector).code == 0
        assert packets("m", LINES) == collector.packets("m")
        posts = [r for r in collector.requests if b'"value":2.25' in r.body]
        assert ["session=abc", None] == [post.headers.get("cookie") for post in posts]


@pytest.mark.measured
def test_a_401_after_a_2xx_stops_its_stream_alone(workspace: Workspace) -> None:
    """Once a credential was accepted, 401 for one stream does not stop the others."""

    def script(request: Request, _: Collector) -> Behaviour | None:
        refused = request.stream == "a" and b'"value":1.15' in request.body
        return Reply(401) if refused else None

    with Collector(script) as collector:
        meters = {name: workspace.csv(f"{name}.csv", LINES) for name in "ab"}
        done = workspace.run(workspace.ini(collector.url, meters), "--json").balanced()
        assert done.code == 4
        assert ("stopped", "done") == (done.meters["a"]["state"], done.meters["b"]["state"])


def test_one_credential_refused_leaves_the_others(workspace: Workspace) -> None:
    """The streams of a refused credential stop together; others are sent."""

    def script(request: Request, _: Collector) -> Behaviour | None:
        return Reply(401, b"who?") if request.stream != "good" else None

    with Collector(script) as collector:
        names = [*(f"bad{n}" for n in range(6)), "good"]
        meters = {name: workspace.csv(f"{name}.csv", LINES) for name in names}
        rest = "[credentials:b]\nusername = b\npassword = pw-b\n[meter:good]\ncredentials = b\n"
        config = workspace.ini(collector.url, meters, rest=rest, upload={"connections": "2"})
        done = workspace.run(config, "--json").balanced()
        assert (4, "done") == (done.code, done.meters["good"]["state"])
        assert done.err.count("who?") == 1
        assert packets("good", LINES) == collector.packets("good")


# Rejected rows


def reject(*values: str) -> Callable[[Request, Collector], Behaviour | None]:
    """Return a script that permanently refuses some values."""
    marks = [f'"value":{value}}}'.encode() for value in values]

    def script(request: Request, _: Collector) -> Behaviour | None:
        return Reply(422, b"out of range") if any(m in request.body for m in marks) else None

    return script


@pytest.mark.measured
def test_rejected_rows_are_kept_aside(workspace: Workspace) -> None:
    """With --on-reject skip the row is written to the rejects file; later rows are sent."""
    with Collector(reject("1.15", "4.45")) as collector:
        done = send(workspace, collector, on_reject="skip")
        assert (3, 2, 4) == (done.code, done.meters["m"]["rejected"], done.meters["m"]["sent"])
        kept = next(workspace.state.glob("rejects/*/m.csv"))
        assert kept.read_text() == f"{LINES[1]}\n{LINES[4]}\n"
        log = [json.loads(line) for line in kept.with_name("m.log.jsonl").read_text().splitlines()]
        assert [(2, 422), (5, 422)] == [(entry["line"], entry["status"]) for entry in log]
        assert "out of range" in log[0]["reason"]


def test_a_rejected_row_unchanged_is_not_sent_again(workspace: Workspace) -> None:
    """The next run counts it as rejected without sending it; once corrected, it is late."""
    with Collector(reject("1.15")) as collector:
        send(workspace, collector, on_reject="skip")
        before = len(collector.requests)
        again = send(workspace, collector, on_reject="skip")
        assert (3, 1, 5) == (
            again.code,
            again.meters["m"]["rejected"],
            again.meters["m"]["resumed"],
        )
        assert [r.method for r in collector.requests[before:]] == ["GET"]
        corrected = [LINES[0], LINES[1].replace("1.15", "1.05"), *LINES[2:]]
        config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", corrected)})
        late = workspace.run(config, "--json").balanced()
        assert (3, 1) == (late.code, late.meters["m"]["late"])
        sent = workspace.run(config, "--json", "--late", "send").balanced()
        assert (0, 1, 5) == (sent.code, sent.meters["m"]["sent"], sent.meters["m"]["resumed"])
        assert collector.packets("m")[-1]["value"] == 1.05
        assert workspace.run(config, "--json").balanced().code == 0


def test_a_hundred_rejects_in_a_row_stop_the_meter(workspace: Workspace) -> None:
    """Even with --on-reject skip, a meter stops if the collector refuses everything."""
    with Collector(lambda request, _: Reply(400) if request.body else None) as collector:
        config = workspace.ini(
            collector.url, {"m": workspace.csv("m.csv", rows(150))}, upload={"on_reject": "skip"}
        )
        done = workspace.run(config, "--json").balanced()
        assert (3, 100, 50) == (done.code, done.meters["m"]["rejected"], done.meters["m"]["unsent"])


# Resumed and late rows


def test_a_rolling_export_is_resumed_row_by_row(workspace: Workspace, collector: Collector) -> None:
    """Of a "last seven days" export, which drops old rows and adds new ones, the new are sent."""
    lines = rows(40)
    for start in (0, 10, 20, 25):
        config = workspace.ini(
            collector.url, {"m": workspace.csv("m.csv", lines[start : start + 15])}
        )
        assert workspace.run(config, "--json").balanced().code == 0
    assert packets("m", lines) == collector.packets("m")


def test_other_line_ends_and_spellings_are_no_change(
    workspace: Workspace, collector: Collector
) -> None:
    """A re-export with CRLF, blanks and padded decimals is resumed."""
    send(workspace, collector)
    again = "".join(f"{line.replace(',', ', ')}0\r\n" for line in LINES)
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", again)})
    done = workspace.run(config, "--json").balanced()
    assert (0, 6) == (done.code, done.meters["m"]["resumed"])


@pytest.mark.measured
def test_late_rows_are_told_and_newer_ones_sent(workspace: Workspace, collector: Collector) -> None:
    """Rows that fill a gap are late: they are listed (exit 3) and sent only with --late send."""
    with_gap = [*LINES[:2], *LINES[4:]]
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", with_gap)})
    assert workspace.run(config).code == 0
    newer = rows(7)
    workspace.csv("m.csv", newer)
    told = workspace.run(config, "--json").balanced()
    assert (3, 2, 1) == (told.code, told.meters["m"]["late"], told.meters["m"]["sent"])
    assert "m: 2 late rows (2 never sent, older than the last acknowledged row): " in told.err
    assert "m.csv:3, " in told.err
    assert packets("m", [*with_gap, newer[6]]) == collector.packets("m")
    sent = workspace.run(config, "--json", "--late", "send").balanced()
    assert (0, 2, 5) == (sent.code, sent.meters["m"]["sent"], sent.meters["m"]["resumed"])
    assert packets("m", LINES[2:4]) == collector.packets("m")[-2:]
    assert (0, 7) == (
        (end := workspace.run(config, "--json").balanced()).code,
        end.meters["m"]["resumed"],
    )


def test_another_zone_between_runs_sends_nothing(
    workspace: Workspace, collector: Collector
) -> None:
    """If nearly all rows were sent with other values, the rules have changed: nothing is sent."""
    workspace.csv("m.csv", rows(40))
    config = workspace.ini(collector.url, {"m": "m.csv"})
    assert workspace.run(config).code == 0
    text = config.read_text()
    config.write_text(text.replace("timezone = UTC", "timezone = Etc/GMT+1"))
    assert text != config.read_text()
    told = workspace.run(config, "--json").balanced()
    assert (3, 0, 36, 4) == (told.code, *(told.meters["m"][k] for k in ("sent", "late", "unsent")))
    assert "m.csv:1: 36 rows sent before with other values, and 0 as they are now" in told.err
    assert "Probably the timezone" in told.err
    assert len(collector.packets("m")) == 40
    assert "36 rows sent before" in workspace.run(config).err
    status = workspace.run("status", config)
    assert (3, True) == (status.code, "m: 36 rows sent before with other values" in status.err)
    sent = workspace.run(config, "--json", "--late", "send").balanced()
    assert (0, 40) == (sent.code, sent.meters["m"]["sent"])


def test_another_zone_without_newer_rows_is_told_as_one(
    workspace: Workspace, collector: Collector
) -> None:
    """If the other zone makes all rows older, the cause is reported, not a way to send them."""
    workspace.csv("m.csv", rows(40))
    config = workspace.ini(collector.url, {"m": "m.csv"})
    assert workspace.run(config).code == 0
    config.write_text(config.read_text().replace("timezone = UTC", "timezone = Etc/GMT-1"))
    told = workspace.run(config, "--json").balanced()
    assert (3, 0, 40) == (told.code, *(told.meters["m"][k] for k in ("sent", "late")))
    assert "Probably the timezone" in told.err
    assert len(collector.packets("m")) == 40


def test_a_changed_row_is_late(workspace: Workspace, collector: Collector) -> None:
    """A row that was sent with another value is late, and so is the first value if it returns."""
    send(workspace, collector)
    changed = [*LINES[:3], LINES[3].replace("3.35", "3.36"), *LINES[4:]]
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", changed)})
    told = workspace.run(config, "--json").balanced()
    assert (3, 1, 5) == (told.code, told.meters["m"]["late"], told.meters["m"]["resumed"])
    assert "m: 1 late row (1 sent before with other values): " in told.err
    assert workspace.run(config, "--late", "send").code == 0
    workspace.csv("m.csv", LINES[:5])
    old = workspace.run(config, "--json").balanced()
    assert (3, 1, 4) == (old.code, old.meters["m"]["late"], old.meters["m"]["resumed"])
    assert workspace.run(config, "--late", "send").code == 0
    assert workspace.run(config, "--json").balanced().meters["m"]["resumed"] == 5
    values = [packet["value"] for packet in collector.packets("m")]
    assert [3.36, 3.35] == values[-2:]


def test_a_row_of_a_repeated_hour_keeps_its_reading(
    workspace: Workspace, collector: Collector
) -> None:
    """More rows of the repeated hour do not change how a row that was sent is read."""
    local_times = ["01:00", "01:00", "01:15", "01:15", "01:30", "01:30"]
    lines = [f"2023-10-29 {local}:00,{at}" for at, local in enumerate(local_times)]
    swarm = {"timezone": "Europe/Dublin"}
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", lines[:3])}, swarm=swarm)
    assert workspace.run(config).code == 0
    workspace.csv("m.csv", lines)
    told = workspace.run(config, "--json").balanced()
    assert (3, 3, 1, 2) == (
        told.code,
        *(told.meters["m"][name] for name in ("resumed", "sent", "late")),
    )
    assert workspace.run(config, "--late", "send").code == 0
    sent = [
        (each["tsISO8601"][11:16] + each["tsISO8601"][23:], each["value"])
        for each in collector.packets("m")
    ]
    assert [
        ("01:00+01:00", 0),
        ("01:00+00:00", 1),
        ("01:15+00:00", 2),
        ("01:30+00:00", 5),
        ("01:15+01:00", 3),
        ("01:30+01:00", 4),
    ] == sent


# No checkpoint


@pytest.mark.measured
def test_without_a_checkpoint_known_rows_stop_the_stream(
    workspace: Workspace, collector: Collector
) -> None:
    """If the collector has data but no checkpoint exists: exit 3, naming --adopt and --restart."""
    send(workspace, collector)
    workspace.state.rename(workspace.folder / "elsewhere")
    workspace.csv("m.csv", rows(8))
    config = workspace.folder / "config.ini"
    done = workspace.run(config, "--json").balanced()
    assert (3, "no checkpoint", 1) == (
        done.code,
        done.meters["m"]["problem"]["kind"],
        done.meters["m"]["problem"]["line"],
    )
    assert str(workspace.state) in done.err
    assert "--adopt" in done.err
    assert "--restart" in done.err
    until = workspace.run(config, "--json", "--until", LINES[2][:19]).balanced()
    assert (3, "no checkpoint") == (until.code, until.meters["m"]["problem"]["kind"])
    nothing = workspace.run(config, "--json", "--since", "2030-01-01").balanced()
    assert (0, 8) == (nothing.code, nothing.meters["m"]["filtered"])
    assert workspace.run(config).code == 3
    assert packets("m", LINES) == collector.packets("m")
    adopted = workspace.run(config, "--json", "--adopt").balanced()
    assert (0, 2, 6) == (adopted.code, adopted.meters["m"]["sent"], adopted.meters["m"]["resumed"])
    assert packets("m", rows(8)) == collector.packets("m")


PADDED = "[meter:m]\nshift = 15m\npad_first = yes\n"


def padded(
    workspace: Workspace, collector: Collector, lines: list[str], *arguments: str
) -> Finished:
    """Send rows with a shift and a padding packet."""
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", lines)}, rest=PADDED)
    return workspace.run(config, "--json", *arguments).balanced()


def test_a_padding_packet_belongs_to_the_beginning(
    workspace: Workspace, collector: Collector
) -> None:
    """A rolling export gets no new padding packet, and none replaces a value that was sent."""
    assert padded(workspace, collector, LINES).meters["m"]["sent"] == 7
    stored = collector.packets("m")
    assert padded(workspace, collector, LINES).meters["m"]["resumed"] == 7
    rolled = padded(workspace, collector, LINES[3:], "--late", "send")
    meter = rolled.meters["m"]
    assert (0, 3, 3) == (rolled.code, meter["rows"], meter["resumed"])
    assert stored == collector.packets("m")
    status = workspace.run("status", workspace.folder / "config.ini", "--offline", "--json")
    assert (3, 0) == tuple(status.report["meters"][0][key] for key in ("acknowledged", "waiting"))


def test_a_file_of_one_row_that_grows_began_without_padding(
    workspace: Workspace, collector: Collector
) -> None:
    """The second row, whose values the padding packet needs, comes too late for it."""
    assert padded(workspace, collector, LINES[:1]).code == 0
    done = padded(workspace, collector, LINES)
    meter = done.meters["m"]
    assert (0, 6, 5, 0) == (done.code, meter["rows"], meter["sent"], meter["late"])


def test_an_earlier_beginning_has_its_padding_packet(
    workspace: Workspace, collector: Collector
) -> None:
    """Older rows are late, and so is the padding packet before them."""
    assert padded(workspace, collector, LINES[3:]).code == 0
    done = padded(workspace, collector, LINES)
    assert (3, 4) == (done.code, done.meters["m"]["late"])
    assert padded(workspace, collector, LINES, "--late", "send").code == 0
    times = {packet["tsISO8601"] for packet in collector.packets("m")}
    assert len(times) == len(LINES) + 1


def test_a_restored_checkpoint_stops_the_stream(workspace: Workspace, collector: Collector) -> None:
    """The collector's last packet is a row it does not contain; --adopt catches up."""
    send(workspace, collector)
    backup = workspace.folder / "backup"
    shutil.copytree(workspace.state, backup)
    workspace.csv("m.csv", rows(9))
    config = workspace.folder / "config.ini"
    assert workspace.run(config).code == 0
    shutil.rmtree(workspace.state)
    shutil.copytree(backup, workspace.state)
    workspace.csv("m.csv", rows(11))
    told = workspace.run(config, "--json").balanced()
    problem = told.meters["m"]["problem"]
    assert (3, "no checkpoint", 9) == (told.code, problem["kind"], problem["line"])
    assert ("--adopt" in told.err, "--restart" in told.err) == (True, True)
    assert packets("m", rows(9)) == collector.packets("m")
    done = workspace.run(config, "--json", "--adopt").balanced()
    assert (0, 2, 9) == (done.code, done.meters["m"]["sent"], done.meters["m"]["resumed"])
    assert packets("m", rows(11)) == collector.packets("m")
    assert workspace.run(config, "--json").balanced().meters["m"]["resumed"] == 11


def test_restart_is_not_taken_for_a_checkpoint_that_fell_behind(
    workspace: Workspace, collector: Collector
) -> None:
    """After a restart that sent nothing, the next run sends all: the last packet is an old one."""
    send(workspace, collector)
    collector.script = lambda request, _: Reply(403) if request.method == "POST" else None
    assert send(workspace, collector, "--restart").code == 4
    collector.script = None
    done = send(workspace, collector)
    assert (0, 6) == (done.code, done.meters["m"]["sent"])
    assert packets("m", LINES) * 2 == collector.packets("m")


@pytest.mark.parametrize(
    "body", [b"<html>welcome</html>", b"[1]", b"\x1f\x8b\x08\x00", b'{"id":"m"}']
)
def test_an_answer_that_cannot_be_read_is_not_nothing_stored(
    workspace: Workspace, body: bytes
) -> None:
    """Without a checkpoint the stream stops, with advice; --restart sends all rows."""
    with Collector(lambda request, _: Reply(200, body) if request.method == "GET" else None) as c:
        done = send(workspace, c)
        assert (5, "no checkpoint") == (done.code, done.meters["m"]["problem"]["kind"])
        assert ("--restart" in done.err, [], []) == (
            True,
            c.packets("m"),
            list(workspace.state.glob("checkpoints/*/*")),
        )
        assert send(workspace, c, "--adopt").code == 5
        assert send(workspace, c, "--restart").code == 0
        assert packets("m", LINES) == c.packets("m")


def test_restart_sends_all_again(workspace: Workspace, collector: Collector) -> None:
    """--restart deletes the checkpoint; without it, the next run has nothing to send."""
    send(workspace, collector)
    done = send(workspace, collector, "--restart")
    assert (0, 6) == (done.code, done.meters["m"]["sent"])
    assert packets("m", LINES) * 2 == collector.packets("m")
    assert send(workspace, collector).meters["m"]["resumed"] == 6


def test_a_stream_with_live_data_can_be_backfilled(workspace: Workspace) -> None:
    """All rows are sent though the last packet is newer; possible duplicates are counted."""
    live = json.dumps({"id": "m", "tsISO8601": "2030-01-01T00:00:00.000+00:00", "value": 1})
    unclear = Script(third, ResetAfterStoring())

    def script(request: Request, collector: Collector) -> Behaviour | None:
        if request.method == "GET":
            return Reply(200, live.encode())
        return unclear(request, collector)

    with Collector(script) as collector:
        assert "--restart" in send(workspace, collector).err
        done = send(workspace, collector, "--restart")
        assert (0, 1, "newer") == (
            done.code,
            done.meters["m"]["possible_duplicates"],
            done.meters["m"]["verified"],
        )
        assert packets("m", [*LINES[:3], *LINES[2:]]) == collector.packets("m")


@pytest.mark.measured
def test_ambiguity_can_stop_the_stream(workspace: Workspace) -> None:
    """With --on-ambiguous stop and no GET, the stream stops with exit 5."""
    unclear = Script(third, *[ResetBeforeStoring()] * 2)

    def script(request: Request, collector: Collector) -> Behaviour | None:
        return Reply(405) if request.method == "GET" else unclear(request, collector)

    with Collector(script) as collector:
        done = send(workspace, collector, on_ambiguous="stop")
        assert (5, "ambiguous") == (done.code, done.meters["m"]["problem"]["kind"])
        assert packets("m", LINES[:2]) == collector.packets("m")
        done = send(workspace, collector, on_ambiguous="resend")
        assert (0, 2, "unknown") == (
            done.code,
            done.meters["m"]["possible_duplicates"],
            done.meters["m"]["verified"],
        )
        assert packets("m", LINES) == collector.packets("m")


def test_a_question_that_fails_is_asked_again(workspace: Workspace) -> None:
    """The GET that settles a packet is repeated if it fails for a while."""
    unclear = Script(third, ResetAfterStoring())
    questions: list[Behaviour] = [
        Reply(503),
        Raw(store=False, end="reset"),
        Reply(429),
        Reply(200, b"<html>"),
    ]
    asked: list[Request] = []

    def script(request: Request, collector: Collector) -> Behaviour | None:
        if request.method == "GET" and len(collector.bodies("m")) == 3:
            asked.append(request)
            return questions.pop(0) if len(questions) > 1 else None
        return unclear(request, collector)

    with Collector(script) as collector:
        done = send(workspace, collector)
        assert (0, 0, 4) == (done.code, done.meters["m"]["possible_duplicates"], len(asked))
        assert packets("m", LINES) == collector.packets("m")


def answer(fields: dict[str, object]) -> Reply:
    """Return the reply with a packet as its body."""
    return Reply(200, json.dumps(fields).encode())


def at(moment: str) -> dict[str, object]:
    """Return the fields that move a packet to another time."""
    return {"tsISO8601": moment}


@pytest.mark.parametrize(
    ("reply", "verified", "code"),
    [
        pytest.param(lambda row: answer(row | {"value": "6.550", "x": 1}), "no", 3, id="other"),
        pytest.param(lambda row: answer(row | {"value": "5.550", "x": 1}), "yes", 0, id="quoted"),
        pytest.param(
            lambda row: answer(row | at("2023-01-01T02:15:00+01:00")), "yes", 0, id="zone"
        ),
        pytest.param(lambda row: answer(row | at("2029-01-01T00:00:00Z")), "newer", 0, id="newer"),
        pytest.param(lambda row: answer(row | at("2022-01-01T00:00:00Z")), "no", 3, id="older"),
        pytest.param(lambda _: Reply(404), "no", 3, id="nothing"),
        pytest.param(lambda _: Reply(500), "unknown", 0, id="no answer"),
    ],
)
@pytest.mark.measured
def test_the_last_packet_is_verified(
    workspace: Workspace, reply: Callable[[dict[str, object]], Reply], verified: str, code: int
) -> None:
    """After the last row of a meter the collector is asked for its last packet."""

    def script(request: Request, collector: Collector) -> Behaviour | None:
        stored = collector.packets("m")
        return reply(stored[-1]) if request.method == "GET" and stored else None

    with Collector(script) as collector:
        done = send(workspace, collector)
        meter = done.meters["m"]
        assert (code, "done", verified) == (done.code, meter["state"], meter["verified"])


def test_nothing_new_that_is_not_verified_is_told(
    workspace: Workspace, collector: Collector
) -> None:
    """If the collector is down and no row is new, the exit code is 0 and the report says so."""
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", LINES)})
    assert workspace.run(config).code == 0
    collector.script = lambda _request, _collector: Reply(503)
    done = workspace.run(config)
    assert done.code == 0
    assert "1 meter not verified: the collector did not return its last packet" in done.out


@pytest.mark.parametrize("connections", [4, 60])
def test_few_open_files_are_no_end_of_a_run(workspace: Workspace, connections: int) -> None:
    """If few files may be open, fewer streams are started at a time, as all may have to wait."""
    meters = {f"m{number}": workspace.csv(f"m{number}.csv", rows(1)) for number in range(100)}
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (110, 110))"
    asked = set()

    def script(request: Request, _: Collector) -> Reply | None:
        if request.method == "GET" or request.stream in asked:
            return None
        asked.add(request.stream)
        return Reply(429, store=False, headers={"Retry-After": "1"})

    with Collector(script) as collector:
        options = {"connections": str(connections), "processes": "1"}
        ini = workspace.ini(collector.url, meters, upload=options)
        run = workspace.run(ini, "--json", env=workspace.first(limit))
    assert (0, 100) == (run.code, run.balanced().report["totals"]["sent"])
    cut = "60 are more than the limit of 110 open files per process allows: reduced to 15"
    assert (connections > 15) == (cut in run.err)
