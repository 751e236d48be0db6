"""Leases, and the note of them that outlives the command."""

import os
from pathlib import Path

import pytest

from swarm.checkpoint import grants
from swarm.checkpoint.grants import LEASE_SECONDS, Grants, boottime, unexpired
from swarm.cluster.lease import Lease


def test_a_lease_runs_until_its_last_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    """A late message shortens nothing, and what was given up does not come back."""
    clock = [100.0]
    monkeypatch.setattr("swarm.cluster.lease.boottime", lambda: clock[0])
    lease = Lease()
    assert lease.left() <= 0
    lease.extend(110)
    lease.extend(105)
    assert 10 == lease.left()
    clock[0] = 110
    assert lease.left() <= 0
    lease.extend(120)
    assert lease.left() > 0
    lease.give_up()
    lease.extend(130)
    assert lease.left() <= 0


def test_the_note_of_a_killed_run_is_waited_out(tmp_path: Path) -> None:
    """While the run lives, its note is not looked at; after an orderly end there is none."""
    note = Grants(tmp_path, "run")
    note.cover(boottime() + LEASE_SECONDS)
    assert [] == list(unexpired(tmp_path))
    os.close(note._fd)
    ((path, left),) = unexpired(tmp_path)
    assert LEASE_SECONDS < left < LEASE_SECONDS + 4
    path.unlink()
    other = Grants(tmp_path, "other")
    other.close(is_over=True)
    assert [] == list(unexpired(tmp_path))


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"until": 1}'])
def test_a_note_that_can_not_be_read_counts_as_the_longest(tmp_path: Path, content: bytes) -> None:
    """A power cut may have left half of it."""
    note = Grants(tmp_path, "run")
    os.pwrite(note._fd, content, 0)
    note.close(is_over=False)
    ((_, left),) = unexpired(tmp_path)
    assert left >= LEASE_SECONDS


def test_a_note_of_before_a_restart_of_the_computer_is_by_the_wall_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of leases begins anew with the computer."""
    note = Grants(tmp_path, "run")
    note.cover(boottime() + LEASE_SECONDS)
    note.close(is_over=False)
    monkeypatch.setattr(grants, "boot_id", lambda: b"another boot ...")
    ((_, left),) = unexpired(tmp_path)
    assert LEASE_SECONDS < left < LEASE_SECONDS + 4
