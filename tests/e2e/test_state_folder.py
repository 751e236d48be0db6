"""The state folder: its owner and mode, links in it, and its loss during a run."""

import os
import shutil
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from swarm import files
from swarm.checkpoint import paths as state
from swarm.errors import StateError
from tests.support.collector import Behaviour, Collector, Reply, Request
from tests.support.processes import until
from tests.support.workspace import Workspace, ended, packets, rows

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can give files to another user: run the tests as root"
)


def slow() -> Collector:
    """Return a collector that answers slowly."""
    return Collector(delay=0.01)


def given_away(*paths: Path) -> None:
    """Change the owner of files, folders and links, but not of the targets of links."""
    for path in paths:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def collector_folder(workspace: Workspace, kind: str) -> Path:
    """Return the only folder of a kind of state that a run has created."""
    (folder,) = (workspace.state / kind).iterdir()
    return folder


# Removed or replaced during a run


def removed(workspace: Workspace) -> None:
    """Remove the state folder."""
    shutil.rmtree(workspace.state)


def moved(workspace: Workspace) -> None:
    """Move the state folder."""
    workspace.state.rename(workspace.folder / "elsewhere")


def replaced(workspace: Workspace) -> None:
    """Replace the state folder in use by an empty one."""
    moved(workspace)
    workspace.state.mkdir(mode=0o700)


def without_locks(workspace: Workspace) -> None:
    """Remove only the locks."""
    shutil.rmtree(workspace.state / "locks")


def without_the_senders_lock(workspace: Workspace) -> None:
    """Remove only the file in which workers lock streams."""
    (collector_folder(workspace, "locks") / "senders.lock").unlink()


@pytest.mark.parametrize(
    "vanish", [removed, moved, replaced, without_locks, without_the_senders_lock]
)
def test_a_run_ends_when_its_state_is_gone(
    workspace: Workspace, vanish: Callable[[Workspace], None]
) -> None:
    """Nothing more is sent, the exit code is 7, and a message says why."""
    with slow() as collector:
        config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3000))})
        process = workspace.start(config, "--json")
        until(lambda: len(collector.bodies("a")) > 20)
        vanish(workspace)
        sent = len(collector.bodies("a"))
        done = ended(process).balanced()
        assert (7, "state") == (done.code, done.meters["a"]["problem"]["kind"])
        assert "removed or replaced" in done.err
        assert "Traceback" not in done.err
        assert len(collector.bodies("a")) - sent < 60
        assert packets("a", rows(3000))[: len(collector.bodies("a"))] == collector.packets("a")


@pytest.mark.parametrize("vanish", [moved, without_locks])
def test_a_run_goes_on_once_its_state_is_back(
    workspace: Workspace, vanish: Callable[[Workspace], None]
) -> None:
    """Rows sent before the run ended are recorded in the folder that was moved."""
    with slow() as collector:
        config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(300))})
        process = workspace.start(config)
        until(lambda: len(collector.bodies("a")) > 20)
        vanish(workspace)
        assert ended(process).code == 7
        if not workspace.state.exists():
            (workspace.folder / "elsewhere").rename(workspace.state)
        collector.delay = 0
        assert workspace.run(config).code == 0
        assert packets("a", rows(300)) == collector.packets("a")


@pytest.mark.parametrize("vanish", [removed, moved, without_locks])
def test_no_second_run_sends_at_the_same_time(
    workspace: Workspace, vanish: Callable[[Workspace], None]
) -> None:
    """A second run that adopts what was sent does not overlap with the first."""
    with slow() as collector:
        config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(500))})
        process = workspace.start(config)
        until(lambda: len(collector.bodies("a")) > 20)
        vanish(workspace)
        second = workspace.run(config, "--adopt")
        assert ended(process).code == 7
        assert second.code == 0
        assert packets("a", rows(500)) == collector.packets("a")


def test_a_stopped_parent_is_no_reason_to_go_on(workspace: Workspace) -> None:
    """A worker whose parent is stopped notices on its own that the locks are gone."""
    with slow() as collector:
        config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3000))})
        process = workspace.start(config, "--json")
        until(lambda: len(collector.bodies("a")) > 20)
        process.send_signal(signal.SIGSTOP)
        removed(workspace)
        sent = -1

        def is_still() -> bool:
            nonlocal sent
            time.sleep(0.5)
            before, sent = sent, len(collector.bodies("a"))
            return sent == before

        until(is_still, 10)
        assert sent < 3000
        process.send_signal(signal.SIGCONT)
        done = ended(process)
        assert (7, "state") == (done.code, done.meters["a"]["problem"]["kind"])


def test_a_run_that_had_all_sent_says_so_too(workspace: Workspace) -> None:
    """If the folder is removed with the last packet in flight, the run also ends with exit 7."""

    def slowly(request: Request, _: Collector) -> Behaviour | None:
        return Reply(delay=2.0) if request.method == "POST" else None

    with Collector(script=slowly) as collector:
        config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(1))})
        process = workspace.start(config, "--json")
        until(lambda: any(request.method == "POST" for request in collector.requests))
        removed(workspace)
        done = ended(process).balanced()
        assert (7, "state") == (done.code, done.meters["a"]["problem"]["kind"])


def test_a_state_folder_that_moves_behind_a_link_stays(workspace: Workspace) -> None:
    """A folder that was moved and replaced by a link to it is still the same folder."""
    with slow() as collector:
        config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(200))})
        process = workspace.start(config)
        until(lambda: len(collector.bodies("a")) > 20)
        elsewhere = workspace.folder / "elsewhere"
        link = workspace.folder / "link"
        link.symlink_to(elsewhere)
        workspace.state.rename(elsewhere)
        link.rename(workspace.state)
        assert ended(process).code == 0
        assert workspace.run(config).code == 0
        assert packets("a", rows(200)) == collector.packets("a")


# Owner and mode


@AS_ROOT
@pytest.mark.parametrize("command", ["upload", "status"])
@pytest.mark.parametrize(
    "subfolder", [".", "checkpoints", "locks", "rejects", "checkpoints/C", "locks/C", "sandbox"]
)
def test_a_folder_of_another_user_is_refused(
    workspace: Workspace, collector: Collector, command: str, subfolder: str
) -> None:
    """Another user's folder is not used, and nothing is written to it."""
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3))})
    assert workspace.run(config).code == 0
    name = collector_folder(workspace, "checkpoints").name
    folder = workspace.state / subfolder.replace("C", name)
    folder.mkdir(exist_ok=True)
    given_away(folder)
    before = len(collector.requests)
    done = workspace.run(command, config)
    assert (7, before) == (done.code, len(collector.requests))
    assert f"{folder}: it belongs to nobody, who could change" in done.err
    assert "root runs swarm; run it as nobody, or name another folder with 'state'" in done.err
    assert not list((workspace.state / "rejects").glob("*"))


@AS_ROOT
def test_a_folder_of_roots_is_taken() -> None:
    """A folder that root has created for a user is accepted."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        os.seteuid(NOBODY)
        try:
            assert state.check_folder(folder, "C") is None
        finally:
            os.seteuid(0)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
@pytest.mark.parametrize("subfolder", [".", "checkpoints"])
def test_a_folder_that_everybody_can_write_to_is_refused(
    workspace: Workspace, collector: Collector, mode: int, subfolder: str
) -> None:
    """A folder that everybody can change is refused, with the sticky bit or without it."""
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3))})
    folder = workspace.state / subfolder
    folder.mkdir(parents=True)
    folder.chmod(mode)
    done = workspace.run(config)
    assert (7, []) == (done.code, collector.requests)
    assert f"{folder}: everybody can write to it (mode {mode:04o})" in done.err
    assert f"run: chmod o-w {folder}" in done.err
    folder.chmod(0o700)
    assert workspace.run(config).code == 0


@pytest.mark.parametrize("command", ["upload", "status"])
def test_a_group_that_can_write_gets_a_warning(
    workspace: Workspace, collector: Collector, command: str
) -> None:
    """One line is printed for all such folders; the run continues."""
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3))})
    (workspace.state / "checkpoints").mkdir(parents=True)
    workspace.state.chmod(0o770)
    (workspace.state / "checkpoints").chmod(0o770)
    done = workspace.run(command, config)
    assert done.code == 0
    warnings = [line for line in done.err.splitlines() if line.startswith("warning:")]
    assert len(warnings) == 1
    assert "can write to it (mode 0770)" in warnings[0]
    assert f"run: chmod g-w {workspace.state}" in warnings[0]


# Links


def link(path: Path, target: Path) -> None:
    """Replace a path by a link."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize("kind", ["checkpoints", "locks", "rejects", "sandbox"])
def test_a_link_in_the_place_of_a_folder_is_refused(
    workspace: Workspace, collector: Collector, kind: str
) -> None:
    """A link that replaces one of swarm's folders is refused, even if its target is the user's."""
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3))})
    own = workspace.folder / "own"
    own.mkdir()
    link(workspace.state / kind, own)
    done = workspace.run(config)
    assert (7, []) == (done.code, collector.requests)
    assert f"{workspace.state / kind}: is a link" in done.err
    assert list(own.iterdir()) == []


@pytest.mark.parametrize("kind", ["checkpoints", "locks", "rejects"])
def test_a_link_in_the_place_of_a_collectors_folder_is_refused(
    workspace: Workspace, collector: Collector, kind: str
) -> None:
    """A link that replaces a collector's folder is refused too."""
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3))})
    assert workspace.run(config).code == 0
    own = workspace.folder / "own"
    own.mkdir()
    name = collector_folder(workspace, "locks").name
    link(workspace.state / kind / name, own)
    done = workspace.run(config)
    assert (7, True) == (done.code, "is a link" in done.err)
    assert list(own.iterdir()) == []


@pytest.mark.parametrize("name", ["runs.lock", "senders.lock"])
def test_a_link_in_the_place_of_a_lock_is_refused(
    workspace: Workspace, collector: Collector, name: str
) -> None:
    """A lock on another file would protect nothing."""
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3))})
    assert workspace.run(config).code == 0
    victim = workspace.folder / "victim"
    victim.write_text("untouched")
    link(collector_folder(workspace, "locks") / name, victim)
    done = workspace.run(config)
    assert (7, True) == (done.code, f"{name}: is a link" in done.err)
    assert victim.read_text() == "untouched"


@pytest.mark.parametrize("name", ["a.csv", "a.log.jsonl"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_in_the_place_of_a_rejects_file_is_refused(
    workspace: Workspace, name: str, *, exists: bool
) -> None:
    """Neither rows nor reasons are appended to the target of the link."""
    with Collector(
        lambda request, _: Reply(400) if request.method == "POST" else None
    ) as collector:
        config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3))})
        assert workspace.run(config, "--on-reject", "skip").code == 3
        victim = workspace.folder / "victim"
        if exists:
            victim.write_text("untouched")
        link(collector_folder(workspace, "rejects") / name, victim)
        workspace.csv("a.csv", rows(5))
        done = workspace.run(config, "--on-reject", "skip")
        assert (7, True) == (done.code, f"{name}: is a link" in done.err)
        assert exists == victim.exists()
        assert not exists or victim.read_text() == "untouched"


def test_the_state_folder_itself_may_be_a_link(workspace: Workspace, collector: Collector) -> None:
    """The owner may put the state folder on another disk."""
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3))})
    (workspace.folder / "large").mkdir(mode=0o700)
    workspace.state.symlink_to(workspace.folder / "large")
    assert workspace.run(config).code == 0
    assert {"checkpoints", "locks"} == {
        path.name for path in (workspace.folder / "large").iterdir()
    }


@AS_ROOT
def test_another_users_link_to_the_state_folder_is_refused(
    workspace: Workspace, collector: Collector
) -> None:
    """In a shared folder, another user could direct root to any folder of root's."""
    config = workspace.ini(collector.url, {"a": workspace.csv("a.csv", rows(3))})
    own = workspace.folder / "own"
    own.mkdir()
    workspace.state.symlink_to(own)
    given_away(workspace.state)
    done = workspace.run(config)
    assert (7, True) == (done.code, f"{workspace.state}: the link belongs to nobody" in done.err)
    assert list(own.iterdir()) == []


def test_the_sandboxs_store_is_no_link(workspace: Workspace) -> None:
    """SQLite would follow a link, and write to its target."""
    config = workspace.ini("sandbox", {"a": workspace.csv("a.csv", rows(3))})
    victim = workspace.folder / "victim"
    link(workspace.state / "sandbox" / "packets.sqlite", victim)
    for command in ("upload", "status"):
        done = workspace.run(command, config)
        assert "packets.sqlite: is a link" in done.err
        assert not victim.exists()
    assert workspace.run(config).code == 7


def test_files_of_a_rehearsal_are_private(workspace: Workspace) -> None:
    """The store holds the same readings as the platform: only its user may read it."""
    config = workspace.ini("sandbox", {"a": workspace.csv("a.csv", rows(3))})
    assert workspace.run(config, env={"PYTHONDONTWRITEBYTECODE": "1"}).code == 0
    for path in workspace.state.rglob("*"):
        expected = 0o700 if path.is_dir() else 0o600
        assert (path, expected) == (path, stat.S_IMODE(path.stat().st_mode))


# Functions for private files


def test_a_private_file_is_for_its_user_alone(tmp_path: Path) -> None:
    """A new file is closed to others; an existing one is opened as it is."""
    path = tmp_path / "file"
    os.close(files.open_private(path, os.O_RDWR | os.O_CREAT))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_bytes(b"kept")
    fd = files.open_private(path, os.O_RDONLY)
    assert (os.read(fd, 9), os.get_inheritable(fd)) == (b"kept", False)
    os.close(fd)
    with pytest.raises(FileNotFoundError):
        files.open_private(tmp_path / "none", os.O_RDONLY)
    with pytest.raises(FileNotFoundError):
        files.open_private(tmp_path / "none" / "none", os.O_RDONLY)


def pipe(path: Path) -> None:
    """Make a named pipe."""
    os.mkfifo(path)


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (pipe, "not a regular file"),
        (Path.mkdir, "not a regular file"),
        (lambda path: path.symlink_to("target"), "is a link"),
    ],
)
def test_an_irregular_file_is_refused(
    tmp_path: Path, flags: int, make: Callable[[Path], None], words: str
) -> None:
    """A path that is not a regular file is refused, without waiting for a pipe."""
    path = tmp_path / "file"
    (tmp_path / "target").write_text("untouched")
    make(path)
    with pytest.raises(StateError, match=words) as caught:
        files.open_private(path, flags)
    assert str(path) in str(caught.value)


@AS_ROOT
def test_another_users_file_is_refused(tmp_path: Path) -> None:
    """Another user's file may contain anything, and its owner can still change it."""
    path = tmp_path / "file"
    path.write_text("planted")
    given_away(path)
    with pytest.raises(StateError, match="belongs to nobody"):
        files.open_private(path, os.O_RDWR)


def test_a_second_name_is_refused_where_a_group_can_make_one(tmp_path: Path) -> None:
    """A hard link, as of a backup, is accepted in a folder that only the user can write to."""
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    path = folder / "file"
    path.write_text("ours")
    (tmp_path / "backup").hardlink_to(path)
    os.close(files.open_private(path, os.O_RDWR))
    folder.chmod(0o770)
    with pytest.raises(StateError, match="hard link"):
        files.open_private(path, os.O_RDWR)


def test_a_fresh_file_takes_a_name_over(tmp_path: Path) -> None:
    """An existing file or link of that name is removed; the target of the link stays."""
    (tmp_path / "target").write_text("untouched")
    path = tmp_path / "file"
    path.symlink_to("target")
    fd = files.open_fresh(path)
    os.write(fd, b"new")
    assert files.is_still_there(fd, path)
    os.close(fd)
    assert ("new", "untouched") == (path.read_text(), (tmp_path / "target").read_text())
    assert not path.is_symlink()


@pytest.mark.parametrize("how", ["kept", "removed", "moved", "replaced", "linked", "folder gone"])
def test_whether_a_file_is_still_there(tmp_path: Path, how: str) -> None:
    """A file is still there while its path names it, and not through a link."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "file"
    fd = files.open_fresh(path)
    assert files.is_still_there(fd, path)
    if how == "removed":
        path.unlink()
    elif how == "folder gone":
        shutil.rmtree(folder)
    elif how != "kept":
        path.rename(folder / "moved")
    if how == "replaced":
        path.touch()
    elif how == "linked":
        path.symlink_to("moved")
    assert (how == "kept") == files.is_still_there(fd, path)
    os.close(fd)


def test_a_checkpoint_that_is_removed_ends_its_stream(workspace: Workspace) -> None:
    """If only the checkpoints are removed, the run ends with exit 7, and makes no new ledger."""

    def script(request: Request, _: Collector) -> Behaviour | None:
        if request.method == "POST" and b'"value":30.05}' in request.body:
            shutil.rmtree(workspace.state / "checkpoints")
        return None

    with Collector(script) as collector:
        config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(60))})
        done = workspace.run(config, "--json").balanced()
        assert (7, "state") == (done.code, done.meters["m"]["problem"]["kind"])
        assert "was removed or replaced" in done.err
        assert workspace.run(config).code == 3  # no checkpoint
