"""The log: the lines on stderr, the lines in the file, and failures to write either."""

import errno
import io
import logging
import os
import re
import sys
from pathlib import Path

import pytest

from swarm.cli.log import LOG, NOTICE, set_up
from swarm.errors import SettingsError

pytestmark = pytest.mark.usefixtures("own_log")

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} \[\d+\] ")
LEVELS = {"bug": logging.ERROR, "warn": logging.WARNING, "note": NOTICE, "info": logging.INFO}


def log_all() -> None:
    """Log a line at every level."""
    for text, level in LEVELS.items():
        LOG.log(level, "%s", text)
    LOG.debug("debug")


@pytest.mark.parametrize(
    ("verbose", "quiet", "shown"),
    [
        (0, False, ["bug", "warn", "note"]),
        (1, False, ["bug", "warn", "note", "info"]),
        (2, False, ["bug", "warn", "note", "info", "debug"]),
        (3, False, ["bug", "warn", "note", "info", "debug"]),
        (0, True, ["bug"]),
        (2, True, ["bug"]),
    ],
)
def test_so_much_is_shown(
    capsys: pytest.CaptureFixture[str], verbose: int, quiet: bool, shown: list[str]
) -> None:
    """Problems are shown always, notices unless -q is given, more with each -v; all on stderr."""
    set_up(verbose, quiet=quiet)
    log_all()
    assert ("", shown) == ((out := capsys.readouterr()).out, out.err.splitlines())
    # What nobody is shown is not even put together.
    assert ("info" in shown) == LOG.isEnabledFor(logging.INFO)


@pytest.mark.parametrize(("verbose", "quiet"), [(0, False), (0, True), (2, False)])
def test_the_file_has_it_all_with_its_time(tmp_path: Path, verbose: int, quiet: bool) -> None:
    """The log file gets INFO and above, whatever stderr shows, each line with time and process."""
    path = tmp_path / "swarm.log"
    path.write_text("an earlier line\n")
    set_up(verbose, quiet=quiet, file=path)
    log_all()
    before, *lines = path.read_text("utf-8").splitlines()
    assert before == "an earlier line"
    assert all(_STAMP.match(line) for line in lines)
    assert ["ERROR bug", "WARNING warn", "NOTICE note", "INFO info"] == [
        _STAMP.sub("", line) for line in lines
    ]


def test_a_line_stays_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters and line breaks are escaped, on stderr and in the file."""
    set_up(file=tmp_path / "swarm.log")
    LOG.error("%s", "a\x1b[2J\nb 100%s ü")
    assert "a\\x1b[2J\\nb 100%s ü\n" == capsys.readouterr().err
    assert (tmp_path / "swarm.log").read_text("utf-8").count("\n") == 1


def test_setting_up_again_begins_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A later set-up replaces the earlier one: no line is written twice."""
    first = tmp_path / "first.log"
    set_up(2, file=first)
    set_up(file=tmp_path / "second.log")
    log_all()
    assert ("", 3) == (first.read_text(), len(capsys.readouterr().err.splitlines()))


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """A log file in a missing folder is a problem of the INI: exit code 2, one line."""
    path = tmp_path / "none" / "swarm.log"
    with pytest.raises(SettingsError, match=r"log_file: .*No such file") as caught:
        set_up(file=path)
    assert (2, 1) == (caught.value.exit_code, len(str(caught.value).splitlines()))


def test_a_file_that_was_rotated_away(tmp_path: Path) -> None:
    """After logrotate has moved the file, the log continues in a new one."""
    path = tmp_path / "swarm.log"
    set_up(file=path)
    LOG.info("before")
    path.rename(tmp_path / "swarm.log.1")
    LOG.info("after")
    assert (True, True) == (
        "before" in (tmp_path / "swarm.log.1").read_text(),
        "after" in path.read_text(),
    )


def test_a_full_disk_ends_the_log_and_not_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log file that can't be written is reported once, without a traceback; stderr continues."""
    path = tmp_path / "swarm.log"
    set_up(1, file=path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LOG.handlers[1], "flush", full)
    LOG.info("one")
    monkeypatch.undo()
    LOG.info("two")
    assert [
        "one",
        f"warning: log_file: {path}: can't be written: No space left on device",
        "two",
    ] == capsys.readouterr().err.splitlines()


def test_a_folder_that_vanished_ends_the_log_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the folder of the log file is gone, that is reported once, and the run continues."""
    folder = tmp_path / "logs"
    folder.mkdir()
    set_up(file=folder / "swarm.log")
    (folder / "swarm.log").unlink()
    folder.rmdir()
    LOG.error("one")
    LOG.error("two")
    lines = capsys.readouterr().err.splitlines()
    assert ("one", True, "two") == (lines[0], "No such file" in lines[1], lines[2])


def test_nobody_reads_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logging raises no error if the reader of stderr is gone, or stderr is closed."""
    set_up()
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as gone:
        monkeypatch.setattr(sys, "stderr", gone)
        LOG.error("a line")
        monkeypatch.undo()
        with pytest.raises(BrokenPipeError):
            gone.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    LOG.error("a line")
