"""Locks on streams, over real processes and real folders."""

import stat
from pathlib import Path

import pytest

from swarm.checkpoint.locks import StreamLocks
from swarm.errors import StateError
from swarm.files import make_folder
from tests.support.spawned import spawned, take_locks


def test_folders_are_for_their_user_alone(tmp_path: Path) -> None:
    """Every folder that is created, not only the last one, is closed to other users."""
    folder = tmp_path / "a" / "b" / "c"
    make_folder(folder)
    make_folder(folder)
    for created in (folder, folder.parent, folder.parent.parent):
        assert stat.S_IMODE(created.stat().st_mode) == 0o700


def test_a_stream_is_locked_for_one_process(tmp_path: Path) -> None:
    """A lock excludes other processes until it is released or its process ends."""
    path = tmp_path / "locks" / "runs.lock"
    long, odd = "x" * 5000, "Zähler/1"
    with spawned(take_locks, path, (long, odd)) as holder:
        assert [True, True] == holder.hear()
        locks = StreamLocks(path)
        assert [False, False] == [locks.take(long), locks.take(odd)]
        assert locks.take("x" * 4999)
        holder.tell("release")
        assert holder.hear() == "released"
        assert [True, False] == [locks.take(long), locks.take(odd)]
        holder.kill()
        assert locks.take(odd)
        locks.close()


def test_what_we_hold_is_taken_for_others(tmp_path: Path) -> None:
    """A process may take a lock twice; closing releases all its locks."""
    path = tmp_path / "runs.lock"
    locks = StreamLocks(path)
    assert [True, True] == [locks.take("a"), locks.take("a")]
    with spawned(take_locks, path, ("a", "b")) as other:
        assert [False, True] == other.hear()
    locks.close()
    with spawned(take_locks, path, ("a",)) as other:
        assert [True] == other.hear()


def test_a_file_for_its_user_alone(tmp_path: Path) -> None:
    """A lock file is empty, and other users can't open it."""
    path = tmp_path / "runs.lock"
    locks = StreamLocks(path)
    locks.take("a")
    locks.close()
    assert (0, 0o600) == (path.stat().st_size, stat.S_IMODE(path.stat().st_mode))


def test_a_folder_that_cannot_be_written(locked_folder: Path) -> None:
    """A folder that is not writable is a state error that names it and says what to do."""
    path = locked_folder / "locks" / "runs.lock"
    with pytest.raises(StateError, match=r"Permission denied.*'state' under") as caught:
        StreamLocks(path)
    assert (7, True) == (caught.value.exit_code, str(path) in str(caught.value))


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    """A file in the place of the folder is a state error."""
    (tmp_path / "state").write_text("not a folder")
    with pytest.raises(StateError, match="can't be locked"):
        StreamLocks(tmp_path / "state" / "locks" / "runs.lock")


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks is a state error: nothing is sent without a lock."""

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    locks = StreamLocks(tmp_path / "runs.lock")
    monkeypatch.setattr("fcntl.lockf", no_locks)
    with pytest.raises(StateError, match="No locks available"):
        locks.take("a")
    locks.close()


def test_many_streams_at_once(tmp_path: Path) -> None:
    """Those that another process holds are left out; all others are held, then free again."""
    path = tmp_path / "senders.lock"
    streams = [f"m{number}" for number in range(200)]
    locks = StreamLocks(path)
    with spawned(take_locks, path, ("m7", "m9")) as other:
        assert [True, True] == other.hear()
        assert set(streams) - {"m7", "m9"} == locks.take_all(streams)
        with spawned(take_locks, path, ("m0", "m199")) as third:
            assert [False, False] == third.hear()
        locks.release_all()
        with spawned(take_locks, path, ("m0", "m199", "m7")) as third:
            assert [True, True, False] == third.hear()
    locks.take("a")
    path.unlink()
    with pytest.raises(StateError, match="removed or replaced"):
        locks.take_all(["b", "c"])
    locks.close()
