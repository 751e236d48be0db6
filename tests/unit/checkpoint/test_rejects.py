"""Rejected rows: stored as they are in the CSV, with a log of the reasons."""

import errno
import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from swarm.checkpoint.rejects import RejectedRow, Rejects
from swarm.errors import StateError

#: Status and reason.
REFUSED = (400, "HTTP 400: value out of range: Größe")


@pytest.fixture
def rejects(tmp_path: Path) -> Rejects:
    """Return the rejects of a stream that has none yet."""
    return Rejects(tmp_path / "state" / "rejects" / "c" / "gas.1.csv")


def test_nothing_is_made_before_the_first_row(rejects: Rejects) -> None:
    """A stream without rejected rows has no rejects file, and no folder for one."""
    assert not rejects.path.parent.exists()


def test_rows_are_kept_with_their_reasons(rejects: Rejects) -> None:
    """The lines of the CSV are appended to one file, a line of JSON for each to a second."""
    lines = ["2023-01-01 00:00:00, 007.50 ", "2023-01-01 00:15:00,+5"]
    before = datetime.now(UTC).replace(microsecond=0)
    for number, text in enumerate(lines, 3):
        rejects.add(RejectedRow("data/gas.csv", number, text, *REFUSED))
    assert "".join(f"{line}\n" for line in lines) == rejects.path.read_text("utf-8")
    log = [json.loads(line) for line in rejects.log.read_text("utf-8").splitlines()]
    assert "gas.1.log.jsonl" == rejects.log.name
    assert before <= datetime.fromisoformat(log[0].pop("time"))
    assert {
        "file": "data/gas.csv",
        "line": 3,
        "status": 400,
        "reason": "HTTP 400: value out of range: Größe",
        "row": lines[0],
    } == log[0]
    assert stat.S_IMODE(rejects.path.parent.stat().st_mode) == 0o700


def test_a_line_that_a_crash_cut_short_stays_alone(rejects: Rejects) -> None:
    """A row that follows a torn line begins a new line."""
    rejects.path.parent.mkdir(parents=True)
    rejects.path.write_text("2023-01-01 00:0")
    rejects.log.write_text('{"time": "2023-')
    rejects.add(RejectedRow("gas.csv", 2, "2023-01-01 00:15:00,2", *REFUSED))
    assert ["2023-01-01 00:0", "2023-01-01 00:15:00,2"] == rejects.path.read_text().splitlines()
    assert json.loads(rejects.log.read_text().splitlines()[1])["line"] == 2


def test_rows_are_on_the_disk(rejects: Rejects, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row, its reason and the names of new files are synced before `add` returns."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    rejects.add(RejectedRow("gas.csv", 1, "2023-01-01 00:00:00,1", *REFUSED))
    folder = rejects.path.parent.stat().st_ino
    log, csv = rejects.log.stat().st_ino, rejects.path.stat().st_ino
    assert [log, folder, csv, folder] == synced[-4:]
    synced.clear()
    rejects.add(RejectedRow("gas.csv", 2, "2023-01-01 00:15:00,2", *REFUSED))
    assert [log, csv] == synced


def test_a_full_disk_is_a_state_error(rejects: Rejects, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that can't be stored stops its stream. It is not in the ledger yet: nothing is lost."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    rejects.add(RejectedRow("gas.csv", 1, "2023-01-01 00:00:00,1", *REFUSED))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateError, match=r"gas\.1\.log\.jsonl: can't be written: No space left"):
        rejects.add(RejectedRow("gas.csv", 2, "2023-01-01 00:15:00,2", *REFUSED))
    assert ["2023-01-01 00:00:00,1"] == rejects.path.read_text().splitlines()


def test_a_folder_that_cannot_be_written(locked_folder: Path) -> None:
    """A state folder that is not writable is a state error that names the file."""
    rejects = Rejects(locked_folder / "rejects" / "gas.csv")
    with pytest.raises(StateError, match="Permission denied"):
        rejects.add(RejectedRow("gas.csv", 1, "2023-01-01 00:00:00,1", *REFUSED))
