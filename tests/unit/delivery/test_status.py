"""The status of a stream: rows against the ledger, the collector's own last packet."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarm.checkpoint.ledger import ACKNOWLEDGED, REJECTED, Ledger
from swarm.config.load import load
from swarm.config.options import Upload
from swarm.csv import Window, check_files
from swarm.delivery.status import StreamStatus, read_status, read_status_offline
from swarm.delivery.task import Task, make_tasks, notes_of
from swarm.errors import StateError
from swarm.run.context import WorkerConfig, WorkerContext
from swarm.run.shared import SharedState
from tests.support.collector import (
    Behaviour,
    Collector,
    Hang,
    Reply,
    Request,
    ResetBeforeStoring,
    redirect,
)
from tests.support.spawned import spawned, write_ledger
from tests.support.streams import items_of
from tests.support.workspace import Workspace, rows

LINES = rows(8)
NOWHERE = "http://127.0.0.1:9/measurements/v2/unifiedjson/"


def task(workspace: Workspace, lines: list[str] = LINES, url: str = NOWHERE, **more: Any) -> Task:
    """Return the task of a stream ``m``."""
    path = workspace.csv("m.csv", lines)
    settings = load(workspace.ini(url, {"m": path}, **more), {})
    upload = settings.upload
    window = Window(upload.since, upload.until)
    settings = replace(settings, upload=replace(upload, retry_for=0.3))
    (found,) = make_tasks(settings, {"m": check_files(settings.meters[0], window)})
    return found


def send(found: Task, *numbers: int, kind: int = ACKNOWLEDGED) -> None:
    """Record rows of a stream, as a run that ends orderly does."""
    ledger = Ledger.open(found.ledger, "m") or Ledger.create(found.ledger, "m")
    for number in numbers:
        item = items_of(found)[number]
        ledger.note(notes_of([item]))
        ledger.mark_in_flight()
        ledger.record(item.instant, item.digest, kind)
    ledger.close()


def context(retry_for: float = 0.3) -> WorkerContext:
    """Return the context of a worker with one place."""
    board = SharedState.create(1)
    board.restart_clock()
    config = WorkerConfig(board, 1, Upload(transport="requests", retry_for=retry_for))
    return WorkerContext(config, lambda _: None, lambda _: None)


def offline(found: Task) -> StreamStatus:
    """Return how a stream stands here."""
    standing = read_status_offline(found, context())
    if standing.acknowledged is not None:
        assert standing.rows == sum(counts(standing))
    return standing


def counts(standing: StreamStatus) -> tuple[int, ...]:
    """Return what became of the rows."""
    names = ("acknowledged", "waiting", "rejected", "late", "filtered")
    return tuple(getattr(standing, name) for name in names)


# Against the ledger


def test_without_a_ledger_all_rows_wait(workspace: Workspace) -> None:
    """An upload would send all of them."""
    standing = offline(task(workspace))
    assert (0, 8, 0, 0, 0) == counts(standing)
    assert (None, ()) == (standing.last_acknowledged, standing.problems)


def test_acknowledged_rows_are_those_of_the_file(workspace: Workspace) -> None:
    """A rejected row is neither; the newest acknowledged is told as in its packet."""
    found = task(workspace)
    send(found, 0, 1, 2)
    send(found, 3, kind=REJECTED)
    standing = offline(found)
    assert (3, 4, 1, 0, 0) == counts(standing)
    assert standing.last_acknowledged == "2023-01-01T00:30:00.000+00:00"


def test_rows_of_another_export_do_not_count(workspace: Workspace) -> None:
    """A row with other values is late, one that was cut off is no row; the ledger knows both."""
    send(task(workspace), *range(6))
    changed = [LINES[0], LINES[1].replace(",", ",9"), *LINES[6:]]
    standing = offline(task(workspace, changed))
    assert (1, 2, 0, 1, 0) == counts(standing)
    assert standing.last_acknowledged == "2023-01-01T01:15:00.000+00:00"


@pytest.mark.parametrize(
    ("late", "expected"), [("report", (3, 4, 0, 1, 0)), ("send", (3, 5, 0, 0, 0))]
)
def test_late_rows_wait_where_they_would_be_sent(
    workspace: Workspace, late: str, expected: tuple[int, ...]
) -> None:
    """The rows that wait are those that an upload with this INI sends."""
    found = task(workspace, upload={"late": late})
    send(found, 0, 1, 3)
    assert expected == counts(offline(found))


def test_rows_outside_the_period_are_filtered(workspace: Workspace) -> None:
    """As an upload with this INI does."""
    found = task(workspace, upload={"since": "2023-01-01 00:30"})
    assert (0, 6, 0, 0, 2) == counts(offline(found))


@pytest.mark.parametrize(
    ("swarm", "expected"),
    [
        ({"timezone": "America/Chicago"}, "2023-01-01T01:45:00.000-06:00"),
        ({"timezone": "America/Chicago", "route": "utc"}, "2023-01-01T07:45:00.000+00:00"),
    ],
)
def test_times_are_those_of_the_packets(
    workspace: Workspace, swarm: dict[str, str], expected: str
) -> None:
    """In the meter's zone, or in UTC."""
    found = task(workspace, swarm=swarm)
    send(found, *range(8))
    assert expected == offline(found).last_acknowledged


def test_offsets_of_the_csv_are_kept(workspace: Workspace) -> None:
    """The ledger has instants alone: the file's last row says the offset."""
    lines = [f"{line[:19]}+0230,{line[20:]}" for line in LINES]
    found = task(workspace, lines, swarm={"timestamp_format": "%Y-%m-%d %H:%M:%S%z"})
    send(found, 0, 1)
    assert offline(found).last_acknowledged == "2023-01-01T00:15:00.000+02:30"


def test_a_file_with_problems_has_rows_alone(workspace: Workspace) -> None:
    """The number of acknowledged rows is not known; the newest row acknowledged is."""
    send(task(workspace), 0, 1)
    standing = offline(task(workspace, [*LINES, "2023-02-01 00:00:00,x"]))
    assert (9, None, None) == (standing.rows, standing.acknowledged, standing.waiting)
    assert standing.last_acknowledged == "2023-01-01T00:15:00.000+00:00"
    assert standing.invalid is not None
    assert ("number", 9, 3) == (
        standing.invalid.kind,
        standing.invalid.line,
        standing.invalid.exit_code,
    )


def test_a_file_that_changes_is_told(workspace: Workspace) -> None:
    """Between the check and the look."""
    found = task(workspace)
    send(found, 0)
    workspace.csv("m.csv", LINES[:3])
    (problem,) = offline(found).problems
    assert ("file changed", 3) == (problem.kind, problem.exit_code)


# A ledger that others write


def test_looking_changes_nothing(workspace: Workspace) -> None:
    """A torn end stays for the run that may cut it, and no file is made."""
    found = task(workspace)
    send(found, 0, 1, 2)
    with found.ledger.open("ab") as file:
        file.write(b"torn")
    before = {path: path.read_bytes() for path in workspace.state.rglob("*") if path.is_file()}
    found.ledger.chmod(0o400)
    assert (3, 5, 0, 0, 0) == counts(offline(found))
    after = {path: path.read_bytes() for path in workspace.state.rglob("*") if path.is_file()}
    assert before == after


def test_a_damaged_ledger_is_told(workspace: Workspace) -> None:
    """Never as nothing acknowledged."""
    found = task(workspace)
    send(found, 0, 1, 2)
    data = bytearray(found.ledger.read_bytes())
    data[-20] ^= 1
    found.ledger.write_bytes(data)
    standing = offline(found)
    (problem,) = standing.problems
    assert (None, "state", 7) == (standing.acknowledged, problem.kind, problem.exit_code)


def test_a_run_that_was_killed_left_what_it_recorded(workspace: Workspace) -> None:
    """The packet in flight is not known to be stored: its row waits."""
    found = task(workspace)
    with spawned(write_ledger, found.ledger, "m", 5) as writer:
        assert writer.hear() == "sent"
        ledger = Ledger.view(found.ledger, "m")
    assert ledger is not None
    assert (5, 4) == (ledger.count, ledger.newest)
    ledger.close()


@pytest.mark.parametrize("place", [70, -2])
def test_what_is_being_written_is_read_again(
    workspace: Workspace, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slot, or a last record, that was seen half written."""
    found = task(workspace)
    send(found, 0, 1)
    whole = found.ledger.read_bytes()
    half = bytearray(whole)
    half[place] ^= 1
    found.ledger.write_bytes(half)
    monkeypatch.setattr(
        "swarm.checkpoint.ledger_file.time.sleep", lambda _: found.ledger.write_bytes(whole)
    )
    ledger = Ledger.view(found.ledger, "m")
    assert ledger is not None
    assert ledger.count == 2


def test_the_ledger_of_another_stream_is_damage(workspace: Workspace) -> None:
    """As for a run."""
    found = task(workspace)
    send(found, 0)
    other = found.ledger.with_name("o.ledger")
    shutil.copy(found.ledger, other)
    with pytest.raises(StateError, match="another stream"):
        Ledger.view(other, "o")


# The collector


def asked(
    workspace: Workspace, *script: Behaviour, **more: Any
) -> tuple[StreamStatus, list[Request]]:
    """Return how a stream stands with a collector that behaves so, and what it was asked."""
    with Collector(list(script)) as collector:
        standing = read_status(task(workspace, url=collector.url, **more), context())
        return standing, collector.requests


def test_the_collectors_last_packet_is_told(workspace: Workspace) -> None:
    """With its own offset, as packets have it."""
    body = b'{"id": "m", "tsISO8601": "2023-01-01T02:00:00+02:00", "value": "1"}'
    standing, requests = asked(workspace, Reply(200, body))
    assert standing.collector_last == "2023-01-01T02:00:00.000+02:00"
    assert [("GET", "m", True)] == [
        (each.method, each.stream, "authorization" in each.headers) for each in requests
    ]


@pytest.mark.parametrize("reply", [Reply(404), Reply(200, b"")])
def test_a_collector_that_holds_nothing_is_no_problem(workspace: Workspace, reply: Reply) -> None:
    """Nothing was ever sent."""
    standing, _ = asked(workspace, reply)
    assert (None, ()) == (standing.collector_last, standing.problems)


@pytest.mark.parametrize("fault", [Reply(503), Reply(429), ResetBeforeStoring(), Reply(401)])
def test_a_passing_fault_is_asked_over(workspace: Workspace, fault: Behaviour) -> None:
    """Once more, and the answer counts; an expired session is renewed."""
    body = b'{"tsISO8601": "2023-01-01T00:00:00Z"}'
    standing, requests = asked(workspace, fault, Reply(200, body))
    assert ("2023-01-01T00:00:00.000+00:00", 2) == (standing.collector_last, len(requests))


@pytest.mark.parametrize(
    ("reply", "code", "kind"),
    [
        (Reply(401), 4, "unauthorized"),
        (Reply(403), 4, "refused"),
        (Reply(400), 4, "refused"),
        (Reply(200, b"<html>"), 4, "refused"),
        (redirect("https://example.com/"), 4, "redirect"),
        (Reply(503, headers={"Retry-After": "900"}), 5, "temporary"),
    ],
)
def test_a_collector_that_does_not_answer_is_told(
    workspace: Workspace, reply: Reply, code: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the exit code of its kind, soon; what is known here is told all the same."""
    monkeypatch.setattr("swarm.delivery.status._LONGEST_WAIT", 0.01)
    standing, requests = asked(workspace, *[reply] * 9)
    (problem,) = standing.problems
    assert (code, kind, 8) == (problem.exit_code, problem.kind, standing.waiting)
    assert len(requests) <= 3


def test_a_collector_that_hangs_is_told(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time that each request has."""
    monkeypatch.setattr("swarm.delivery.status._LONGEST_WAIT", 0.01)
    standing, _ = asked(workspace, *[Hang()] * 9, upload={"timeout": "0.2s"})
    (problem,) = standing.problems
    assert (5, "temporary") == (problem.exit_code, problem.kind)


def test_a_collector_out_of_reach_is_told(workspace: Workspace) -> None:
    """Soon: a person is looking."""
    (problem,) = read_status(task(workspace), context()).problems
    assert (5, "temporary", True) == (
        problem.exit_code,
        problem.kind,
        "127.0.0.1" in problem.message,
    )


@pytest.fixture
def refused(workspace: Workspace) -> StreamStatus:
    """Return how a stream stands whose credentials were refused to another."""
    worker = context()
    worker.refuse_credential(0)
    return read_status(task(workspace), worker)


def test_refused_credentials_are_one_cause(refused: StreamStatus, workspace: Workspace) -> None:
    """The stream that found out, and those that were not asked about, say the same."""
    finder, _ = asked(workspace, *[Reply(401, b"words")] * 2)
    assert [each.message for each in finder.problems] == [each.message for each in refused.problems]


def test_the_ini_is_the_same(tmp_path: Path) -> None:
    """The ledger that is looked at is the one that an upload writes."""
    found = task(Workspace(tmp_path))
    assert found.ledger.is_relative_to(tmp_path / "state" / "checkpoints")
