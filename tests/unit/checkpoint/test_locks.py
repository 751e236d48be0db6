"""Where state lies, and its locks: over real processes and real folders."""

import stat
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarm.checkpoint.locks import StreamLocks
from swarm.checkpoint.paths import file_name, ledger_path, rejects_path, runs_lock, senders_lock
from swarm.errors import StateError
from swarm.files import make_folder
from tests.support.spawned import spawned, take_locks

STATE = Path("/state")


@pytest.mark.parametrize(
    ("stream", "name"),
    [
        ("gas-meter_01.a~b", "gas-meter_01.a~b"),
        ("a/b", "a%2Fb"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("a b%20c", "a%20b%2520c"),
        ("Zähler", "Z%C3%A4hler"),
        ("a\\b:c*?\0", "a%5Cb%3Ac%2A%3F%00"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200 + "~4b947e1e32c12ad3"),
    ],
)
def test_a_stream_becomes_a_file_name(stream: str, name: str) -> None:
    """An ID is percent-encoded; a long one is cut, and told apart by a digest."""
    assert name == file_name(stream)


@given(st.text(min_size=1), st.text(min_size=1))
@example("Gas", "gas")
@example("x" * 300, "x" * 299 + "X")
def test_two_streams_never_share_a_file(one: str, other: str) -> None:
    """IDs that differ, even in case alone, have ledgers whose names differ also without case."""
    names = [ledger_path(STATE, "c", stream).name for stream in (one, other)]
    assert (one == other) == (names[0].lower() == names[1].lower())
    for path in (ledger_path(STATE, "c", one), rejects_path(STATE, "c", one)):
        assert STATE == path.parents[2]
        assert len(path.name) <= 240
        assert path.name.isascii()
        assert not path.name.startswith(".")


def test_where_things_lie() -> None:
    """Every kind of state has its folder, and a folder for each collector in it."""
    assert Path("/state/checkpoints/c/gas.ledger") == ledger_path(STATE, "c", "gas")
    assert Path("/state/rejects/c/Gas.csv") == rejects_path(STATE, "c", "Gas")
    assert Path("/state/locks/c/runs.lock") == runs_lock(STATE, "c")
    assert Path("/state/locks/c/senders.lock") == senders_lock(STATE, "c")


def test_folders_are_for_their_user_alone(tmp_path: Path) -> None:
    """Every folder that is made, not only the last, is closed to others."""
    folder = tmp_path / "a" / "b" / "c"
    make_folder(folder)
    make_folder(folder)
    for made in (folder, folder.parent, folder.parent.parent):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_a_stream_is_locked_for_one_process(tmp_path: Path) -> None:
    """Another process finds a locked stream taken, and the others free; release and death free."""
    path = tmp_path / "locks" / "runs.lock"
    long, odd = "x" * 5000, "Zähler/1"
    with spawned(take_locks, path, (long, odd)) as holder:
        assert [True, True] == holder.hear()
        ours = StreamLocks(path)
        assert [False, False] == [ours.take(long), ours.take(odd)]
        assert ours.take("x" * 4999)
        holder.tell("release")
        assert holder.hear() == "released"
        assert [True, False] == [ours.take(long), ours.take(odd)]
        holder.kill()
        assert ours.take(odd)
        ours.close()


def test_what_we_hold_is_taken_for_others(tmp_path: Path) -> None:
    """Taking twice is harmless; closing lets go of all."""
    path = tmp_path / "runs.lock"
    ours = StreamLocks(path)
    assert [True, True] == [ours.take("a"), ours.take("a")]
    with spawned(take_locks, path, ("a", "b")) as other:
        assert [False, True] == other.hear()
    ours.close()
    with spawned(take_locks, path, ("a",)) as other:
        assert [True] == other.hear()


def test_a_file_for_its_user_alone(tmp_path: Path) -> None:
    """A lock file holds no bytes, and others can't open it."""
    path = tmp_path / "runs.lock"
    locks = StreamLocks(path)
    locks.take("a")
    locks.close()
    assert (0, 0o600) == (path.stat().st_size, stat.S_IMODE(path.stat().st_mode))


def test_a_folder_that_cannot_be_written(locked_folder: Path) -> None:
    """A folder without the right to write is a state error that names it and the way out."""
    path = locked_folder / "locks" / "runs.lock"
    with pytest.raises(StateError, match=r"Permission denied.*'state' under") as caught:
        StreamLocks(path)
    assert (7, True) == (caught.value.exit_code, str(path) in str(caught.value))


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    """A file where a folder should be is a state error."""
    (tmp_path / "state").write_text("not a folder")
    with pytest.raises(StateError, match="can't be locked"):
        StreamLocks(tmp_path / "state" / "locks" / "runs.lock")


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel has no locks to give, that is told: nothing is sent unlocked."""

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    locks = StreamLocks(tmp_path / "runs.lock")
    monkeypatch.setattr("fcntl.lockf", no_locks)
    with pytest.raises(StateError, match="No locks available"):
        locks.take("a")
    locks.close()
