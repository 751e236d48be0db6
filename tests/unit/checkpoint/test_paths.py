"""Paths of the state: names of files and folders, and the check of the state folder."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarm.checkpoint.paths import (
    check_folder,
    digest_of,
    file_name,
    ledger_path,
    open_folder,
    rejects_path,
    runs_lock,
    sandbox_store,
    senders_lock,
)
from swarm.errors import StateError

STATE = Path("/state")

#: IDs with separators, letters of other scripts, capitals, and lengths near the limit.
STREAMS = st.one_of(
    st.text(min_size=1),
    st.text(st.sampled_from("aA~%./\\:é \0"), min_size=1),
    st.integers(190, 260).map(lambda size: "x" * size),
    st.integers(60, 70).map(lambda size: "é" * size),
)


@pytest.mark.parametrize(
    ("stream", "name"),
    [
        ("gas-meter_01.a~b", "gas-meter_01.a~b"),
        ("a/b", "a%2Fb"),
        (".", "%2E"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("a b%20c", "a%20b%2520c"),
        ("Zähler", "Z%C3%A4hler"),
        ("a\\b:c*?\0", "a%5Cb%3Ac%2A%3F%00"),
        ("a\r\nb", "a%0D%0Ab"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200 + "~4b947e1e32c12ad3"),
    ],
)
def test_a_stream_becomes_a_file_name(stream: str, name: str) -> None:
    """An ID is percent-encoded; a long one is shortened and gets a digest."""
    assert name == file_name(stream)


def test_a_name_of_letters_that_are_encoded_is_shortened_too() -> None:
    """The limit is for the encoded name: 34 letters of 6 characters are too long."""
    stream = "é" * 34
    assert "%C3%A9" * 33 == file_name("é" * 33)
    assert f"{('%C3%A9' * 34)[:200]}~{digest_of(stream).hex()}" == file_name(stream)


@given(STREAMS, STREAMS)
@example("Gas", "gas")
@example("GAS", "Gas")
@example("x" * 300, "x" * 299 + "X")
@example("x" * 300, "x" * 301)
@example("a/b", "a%2Fb")
@example("é", "e\u0301")
@example("ß", "ẞ")
def test_two_streams_never_share_a_ledger(one: str, other: str) -> None:
    """IDs that differ, even in case alone, have ledgers whose names differ also without case."""
    names = [ledger_path(STATE, "c", stream).name.lower() for stream in (one, other)]
    assert (one == other) == (names[0] == names[1])


@given(STREAMS, STREAMS)
@example("Gas", "gas")
@example("x" * 300, "x" * 301)
def test_two_streams_never_share_a_rejects_file(one: str, other: str) -> None:
    """IDs that differ have rejects files of different names, on a file system that knows case."""
    assert (one == other) == (rejects_path(STATE, "c", one) == rejects_path(STATE, "c", other))


@given(STREAMS)
def test_every_file_is_in_the_folder_of_its_collector(stream: str) -> None:
    """Whatever the ID, its files have a name that every file system takes, in their folder."""
    for path, kind in (
        (ledger_path(STATE, "c", stream), "checkpoints"),
        (rejects_path(STATE, "c", stream), "rejects"),
    ):
        assert STATE / kind / "c" == path.parent
        assert len(path.name) <= 240
        assert path.name.isascii()
        assert path.name.isprintable()
        assert not path.name.startswith(".")
        assert set('/\\:*?"<>|').isdisjoint(path.name)


def test_a_name_with_capitals_gets_a_digest_once() -> None:
    """A digest distinguishes capitals from small letters; a long name has one already."""
    assert f"Gas~{digest_of('Gas').hex()}.ledger" == ledger_path(STATE, "c", "Gas").name
    long = "X" * 300
    assert f"{'X' * 200}~{digest_of(long).hex()}.ledger" == ledger_path(STATE, "c", long).name


def test_a_digest_is_of_the_whole_id() -> None:
    """It has 8 bytes, which are the same in every run."""
    assert "4b947e1e32c12ad3" == digest_of("x" * 201).hex()
    assert 8 == len(digest_of(""))
    assert digest_of("Gas") != digest_of("gas")


def test_where_the_files_are() -> None:
    """Every kind of state has its folder, with a folder for each collector in it."""
    assert Path("/state/checkpoints/c/gas.ledger") == ledger_path(STATE, "c", "gas")
    assert Path("/state/rejects/c/Gas.csv") == rejects_path(STATE, "c", "Gas")
    assert Path("/state/locks/c/runs.lock") == runs_lock(STATE, "c")
    assert Path("/state/locks/c/senders.lock") == senders_lock(STATE, "c")
    assert Path("/state/sandbox/packets.sqlite") == sandbox_store(STATE)
    assert ledger_path(STATE, "c", "gas") != ledger_path(STATE, "d", "gas")


def test_a_state_folder_is_created_for_its_user_alone(tmp_path: Path) -> None:
    """Also the folders above it that are missing; a second call finds it in order."""
    state = tmp_path / "a" / "state"
    assert [None, None] == [open_folder(state, "c") for _ in range(2)]
    assert [0o700, 0o700] == [p.stat().st_mode & 0o777 for p in (state, state.parent)]


def test_a_state_folder_that_is_missing_is_in_order(tmp_path: Path) -> None:
    """The check alone creates nothing."""
    state = tmp_path / "state"
    assert check_folder(state, "c") is None
    assert not state.exists()


def test_a_file_in_place_of_the_state_folder(tmp_path: Path) -> None:
    """A file in the folder's place is a state error."""
    state = tmp_path / "state"
    state.write_text("")
    with pytest.raises(StateError, match="is not a folder"):
        check_folder(state, "c")
    with pytest.raises(StateError, match="can't be used as the state folder"):
        open_folder(state / "inner", "c")


OWN_FOLDERS = (
    "checkpoints",
    "checkpoints/c",
    "locks",
    "locks/c",
    "rejects",
    "rejects/c",
    "sandbox",
)


@pytest.mark.parametrize("name", [".", *OWN_FOLDERS])
def test_permissions_of_every_folder_are_checked(tmp_path: Path, name: str) -> None:
    """A folder that a group can write to brings a warning, one that all can write to an error."""
    state = tmp_path / "state"
    for kind in OWN_FOLDERS:
        (state / kind).mkdir(parents=True, exist_ok=True)
    for folder in (state, *(state / kind for kind in OWN_FOLDERS)):
        folder.chmod(0o700)
    assert check_folder(state, "c") is None
    folder = state / name
    folder.chmod(0o770)
    warning = check_folder(state, "c")
    assert warning is not None
    assert warning.startswith(f"{folder}: the group ")
    folder.chmod(0o777)
    with pytest.raises(StateError, match=r"everybody can write to it \(mode 0777\)"):
        check_folder(state, "c")


@pytest.mark.parametrize("name", OWN_FOLDERS)
def test_a_link_in_the_state_folder_is_not_followed(tmp_path: Path, name: str) -> None:
    """The state folder itself may be a link; a folder in it may not."""
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    state = tmp_path / "state"
    state.symlink_to(target)
    assert check_folder(state, "c") is None
    (target / name).parent.mkdir(mode=0o700, exist_ok=True)
    (target / name).symlink_to(tmp_path)
    with pytest.raises(StateError, match="is a link"):
        check_folder(state, "c")


def test_folders_of_another_collector_are_not_checked(tmp_path: Path) -> None:
    """A problem with one collector's folder does not stop runs with another collector."""
    other = tmp_path / "state" / "checkpoints" / "d"
    other.mkdir(parents=True)
    for folder in (other.parent.parent, other.parent):
        folder.chmod(0o700)
    other.chmod(0o777)
    assert check_folder(tmp_path / "state", "c") is None
