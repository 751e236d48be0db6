"""The parent's part in an upload: lost workers, checkpoints that begin anew, the report's notes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarm.checkpoint.ledger import REJECTED, Ledger
from swarm.checkpoint.ledger_format import Origin
from swarm.cli.progress import SilentProgress
from swarm.config.options import Upload
from swarm.config.settings import Settings
from swarm.config.urls import ENVIRONMENTS
from swarm.csv import Window
from swarm.delivery.result import StreamKind, StreamProblem, StreamResult, Tally
from swarm.delivery.task import Task
from swarm.errors import ExitCode, StateError
from swarm.run import upload
from swarm.run.pool import FailedJob
from swarm.run.setup import open_pool
from swarm.run.stop import Stop
from swarm.run.upload import meter_report, packet_of, restart_checkpoints
from tests.support.meters import looked_at, meter_of, written
from tests.support.reports import meter
from tests.support.streams import STREAM, items_of, kill, record, reopened, task_of
from tests.support.workspace import packet, rows

LINES = rows(6)


def settings(url: str = "https://collector.test/", **more: Any) -> Settings:
    """Return the settings of a run."""
    return Settings(
        config=Path("c.ini"),
        collector="collector",
        url=url,
        meters=(),
        upload=Upload(),
        state=Path("state"),
        **more,
    )


def sent_before(task: Task, *numbers: int, rejected: tuple[int, ...] = ()) -> Ledger:
    """Return the open ledger of a stream of which these rows are recorded."""
    ledger = Ledger.open(task.ledger, STREAM) or Ledger.create(task.ledger, STREAM)
    items = items_of(task)
    record(ledger, *(items[number] for number in numbers))
    record(ledger, *(items[number] for number in rejected), kind=REJECTED)
    return ledger


# What is said of a meter


def test_the_report_of_a_meter(tmp_path: Path) -> None:
    """Its files, the times of the first and last row that are sent, and the counts of the check."""
    files = (written(tmp_path / "a.csv", f"{LINES[0]}\n"), written(tmp_path / "b.csv", LINES[1]))
    found = meter_of(*files)
    result = StreamResult(STREAM, "done", Tally(sent=2, filtered=99), verified="newer")
    report = meter_report(found, looked_at(*files), result)
    assert (STREAM, f"{files[0]}, {files[1]}", "done", 2, "newer") == (
        report.id,
        report.file,
        report.state,
        report.rows,
        report.verified,
    )
    assert ("2023-01-01T00:00:00.000+00:00", "2023-01-01T00:15:00.000+00:00") == (
        report.first,
        report.last,
    )
    assert Tally(sent=2, filtered=0) == report.tally


def test_rows_outside_the_period_are_those_of_the_check(tmp_path: Path) -> None:
    """Also where the stream never began; of a file with problems none is counted."""
    first = items_of(task_of(tmp_path, LINES))[2]
    task = task_of(tmp_path, LINES, window=Window(since=first.instant))
    result = StreamResult(STREAM, "not started")
    report = meter_report(task.meter, task.checked, result)
    assert (2, "2023-01-01T00:30:00.000+00:00") == (report.tally.filtered, report.first)
    bad = replace(task.checked, problem_count=1, ends=())
    report = meter_report(task.meter, bad, result)
    assert (0, None, None) == (report.tally.filtered, report.first, report.last)


def test_the_packet_of_a_row_is_the_one_that_is_sent(tmp_path: Path) -> None:
    """To the letter."""
    task = task_of(tmp_path, LINES)
    first, _ = task.checked.ends
    value = packet(STREAM, LINES[0])["value"]
    assert (
        f'{{"id":"m","tsISO8601":"2023-01-01T00:00:00.000+00:00","value":{value}}}'.encode()
        == packet_of(task.checked, first)
    )


# Workers that are gone


def test_a_stream_whose_worker_was_killed_is_counted_by_its_ledger(tmp_path: Path) -> None:
    """The worker could not tell of the last rows; of those before the run none is counted."""
    task = task_of(tmp_path, LINES)
    kill(sent_before(task, 0, 1, 2, 3, rejected=(4,)), items_of(task)[5])
    told = Tally(sent=1, resumed=1, base=1)
    result = upload._lost(task, FailedJob("the worker was killed", told))
    assert ("stopped", Tally(sent=3, resumed=1, rejected=1, base=1)) == (
        result.state,
        result.tally,
    )
    assert result.problem == StreamProblem(
        "worker",
        "the worker was killed; run the same command again to continue",
        ExitCode.TEMPORARY,
    )


@pytest.mark.parametrize("told", [None, Tally(sent=0, base=None)])
def test_a_worker_that_told_nothing_is_counted_with_nothing(
    tmp_path: Path, told: Tally | None
) -> None:
    """It was killed before its ledger was open: what is recorded is of earlier runs."""
    task = task_of(tmp_path, LINES)
    sent_before(task, 0, 1).close()
    assert Tally() == upload._lost(task, FailedJob("the worker was killed", told)).tally


@pytest.mark.parametrize(
    ("error", "kind", "code", "message"),
    [
        (StateError("m.ledger: disk full"), "state", 7, "m.ledger: disk full"),
        (ValueError("oops"), "bug", 1, "a bug in swarm: ValueError: oops; -vv shows where"),
    ],
)
def test_a_job_that_raised_ends_its_stream(
    tmp_path: Path, error: Exception, kind: str, code: int, message: str
) -> None:
    """A checkpoint that can't be used is no bug; the traceback is kept for the log."""
    lost = FailedJob("ValueError: oops", None, error, "Traceback ...")
    result = upload._lost(task_of(tmp_path, LINES), lost)
    assert ("stopped", "Traceback ...") == (result.state, result.traceback)
    problem = result.problem
    assert problem is not None
    assert (kind, code, message) == (problem.kind, problem.exit_code, problem.message)


# Checkpoints that begin anew


class Sandbox:
    """A collector of the run's own that notes which checkpoints are there when it forgets."""

    url = "http://127.0.0.1:9/"
    is_running = True

    def __init__(self, task: Task, error: Exception | None = None) -> None:
        self.calls: list[tuple[list[str], bool]] = []
        self._ledger = task.ledger
        self._error = error

    def forget(self, streams: Sequence[str]) -> None:
        """Record the streams, or fail."""
        self.calls.append((list(streams), self._ledger.exists()))
        if self._error is not None:
            raise self._error


def test_a_restart_begins_the_checkpoint_anew(tmp_path: Path) -> None:
    """No row is acknowledged or in doubt; what the collector holds is to be asked first."""
    task = task_of(tmp_path, LINES)
    kill(sent_before(task, 0, 1), items_of(task)[2])
    restart_checkpoints([task], None)
    ledger = reopened(task.ledger)
    assert (0, (), Origin.RESTARTED) == (ledger.count, ledger.in_doubt, ledger.baseline.origin)
    ledger.close()


@pytest.mark.parametrize("error", [None, StateError("disk full")])
def test_a_sandbox_forgets_after_the_checkpoints_are_gone(
    tmp_path: Path, error: Exception | None
) -> None:
    """If it fails, or the run is killed between the two, no row may seem sent."""
    task = task_of(tmp_path, LINES)
    sent_before(task, 0, 1).close()
    sandbox = Sandbox(task, error)
    if error is None:
        restart_checkpoints([task], sandbox)
    else:
        with pytest.raises(StateError):
            restart_checkpoints([task], sandbox)
    assert [([STREAM], False)] == sandbox.calls
    assert (error is None) == task.ledger.exists()


# Notes


@pytest.mark.parametrize(
    ("bad", "others", "expected"),
    [
        (0, 2, []),
        (1, 0, ["Nothing was sent: 1 of 1 meter has problems"]),
        (
            1,
            1,
            ["Nothing was sent: 1 of 2 meters has problems; --keep-going sends the other"],
        ),
        (
            2,
            3,
            ["Nothing was sent: 2 of 5 meters have problems; --keep-going sends the other 3"],
        ),
    ],
)
def test_meters_with_problems_hold_back_the_others(
    bad: int, others: int, expected: list[str]
) -> None:
    """The note says how many there are, and how to send the rest."""
    meters = [meter(f"a{n}", state="invalid") for n in range(bad)]
    meters += [meter(f"b{n}", state="not started") for n in range(others)]
    run = upload._Run(settings(), SilentProgress(), Stop(), None, open_pool)
    assert expected == list(run._closing_notes(meters))


def told(kind: StreamKind, message: str, found: Settings) -> list[str]:
    """Return the advice for a run whose only meter has a problem."""
    return list(
        upload.advice(
            found, [meter(problem=StreamProblem(kind, message, ExitCode.TEMPORARY)), meter("b")]
        )
    )


def test_a_certificate_of_an_authority_of_ones_own_has_an_option() -> None:
    """It is named unless it was used."""
    (advice,) = told("tls", "not trusted", settings())
    assert "'ca_bundle'" in advice
    assert [] == told("tls", "not trusted", settings(ca_bundle="ca.pem"))


def test_without_a_local_collector_there_is_the_sandbox() -> None:
    """It is named for the local environment alone."""
    refused = "could not connect: Connection refused"
    (advice,) = told("temporary", refused, settings(ENVIRONMENTS["local"]))
    assert "swarm sandbox" in advice
    assert [] == told("temporary", "HTTP 503", settings(ENVIRONMENTS["local"]))
    assert [] == told("temporary", refused, settings())
