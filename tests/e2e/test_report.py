"""``--report`` from end to end: the page of a check and of an upload, and what can go wrong."""

import html
import os
import re
import stat
from pathlib import Path

import pytest

from tests.support.collector import Collector, Reply, Request
from tests.support.workspace import Workspace, rows

EVIL = "<script>alert(1)</script> & 'co'"


@pytest.fixture
def config(workspace: Workspace, collector: Collector) -> Path:
    """Write an INI with a sound meter, one with a gap, and one with an ID of markup."""
    workspace.csv("a.csv", rows(96 * 3))
    workspace.csv("gap.csv", [*rows(96), *rows(96, "2023-01-04 00:00:00")])
    workspace.csv("evil.csv", rows(96, "2023-03-01 00:00:00"))
    return workspace.ini(
        collector.url, {"a": "a.csv", "gap": "gap.csv", EVIL: "evil.csv"}, upload={"timeout": "5s"}
    )


def visible(page: str) -> str:
    """Return the text of a page without markup and styles."""
    body = re.sub(r"(?s)<(style|script)>.*?</\1>", "", page)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)))


def read(workspace: Workspace, name: str = "report.html") -> str:
    """Return a page that must be whole, without anything that a browser would fetch."""
    page = (workspace.folder / name).read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert page.rstrip().endswith("</html>")
    assert not re.search(r"(src|href)=\"(?!#|data:)", page)
    assert "url(" not in page
    assert "@import" not in page
    assert "<script>alert" not in page
    return page


@pytest.mark.measured
def test_page_of_a_check(workspace: Workspace, config: Path) -> None:
    """All meters are there, the one with a gap first; nothing is sent."""
    done = workspace.run("check", config, "--report", "report.html")
    assert (0, "") == (done.code, done.err.replace("checking 3 meters\n", ""))
    text = visible(read(workspace))
    assert EVIL in text
    assert "3 meters: all files are sound" in text
    assert "gap : sound, 192 rows missing in 1 gap" in text
    assert "Sent" not in text
    assert "every 15m" in text


@pytest.mark.measured
def test_page_of_an_upload(workspace: Workspace, config: Path) -> None:
    """The accounting equation, the course of the run, and how to go on."""
    assert workspace.run(config, "--report", "report.html", "--rate-limit", "400").code == 0
    page = read(workspace)
    text = visible(page)
    assert "576 rows = 0 filtered + 576 sent + 0 resumed + 0 rejected + 0 late + 0 unsent" in text
    assert "Every row is acknowledged: there is nothing to do." in text
    assert 'id="run"' in page
    assert 'class="full"' in page
    assert 'class="unsent"' not in page
    again = workspace.run(config, "--report", "again.html", "--json")
    assert 576 == again.report["totals"]["resumed"]
    assert "0 sent + 576 resumed" in visible(read(workspace, "again.html"))


def test_page_of_rejected_and_late_rows(
    workspace: Workspace, config: Path, collector: Collector
) -> None:
    """The days of such rows are told apart, with what to do."""

    def refuse(request: Request, _: Collector) -> Reply | None:
        return Reply(400) if b"2023-01-02T00:15" in request.body else None

    collector.script = refuse
    run = workspace.run(config, "--on-reject", "skip", "--report", "report.html", "--meter", "a")
    assert 3 == run.code
    page = read(workspace)
    assert 'class="rejected"' in page
    assert "1 rejected" in visible(page)
    workspace.csv("a.csv", [row.replace(",5.55", ",7") for row in rows(96 * 3)])
    run = workspace.run(config, "--report", "late.html", "--meter", "a", "--on-reject", "skip")
    assert 3 == run.code
    page = read(workspace, "late.html")
    assert 'class="late"' in page
    assert 'class="rejected"' in page
    assert "--late send sends them" in visible(page)


@pytest.mark.measured
def test_page_of_a_run_that_failed(workspace: Workspace, config: Path) -> None:
    """Problems are listed by file, line and column; what was not sent is shown as such."""
    workspace.csv("gap.csv", ["2023-01-01 00:00:00,x"])
    done = workspace.run(config, "--report", "report.html", "--json")
    assert 3 == done.code
    page = read(workspace)
    assert 'class="unsent"' in page
    assert "gap.csv:1:2:" in visible(page)
    assert "Mend the files with problems" in visible(page)


def test_page_of_an_outage(workspace: Workspace, config: Path, collector: Collector) -> None:
    """Retries and the time without an answer are marked on the axis of the run."""
    seen: list[Request] = []

    def fail(request: Request, _: Collector) -> Reply | None:
        if request.method == "POST" and b'"id":"a"' in request.body:
            seen.append(request)
            if len(seen) in {100, 101}:
                return Reply(503, headers={"Retry-After": "1"})
        return None

    collector.script = fail
    options = ("--report", "report.html", "--rate-limit", "200", "--settle", "0s")
    assert workspace.run(config, *options).code == 0
    page = read(workspace)
    assert re.search(r'class="outage" d="M', page)
    assert re.search(r'class="retry" d="M', page)


def test_the_key_of_the_ini_is_relative_to_it(
    workspace: Workspace, config: Path, tmp_path: Path
) -> None:
    """As every path in an INI."""
    text = config.read_text().replace("[upload]", "[upload]\nreport = from-ini.html")
    config.write_text(text)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert workspace.run("check", config, "-q", cwd=elsewhere).code == 0
    read(workspace, "from-ini.html")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("no/such/folder/r.html", "--report no/such/folder/r.html: no file can be written in"),
        (".", "--report .: is a folder; expected the path of a file"),
        ("", "--report"),
    ],
)
def test_a_file_that_cannot_be_had(
    workspace: Workspace, config: Path, file: str, said: str
) -> None:
    """One line and exit 2, before a file is read or a packet sent."""
    for command in ("check", "upload"):
        done = workspace.run(command, config, "--report", file)
        assert 2 == done.code
        assert said in done.err
        assert "Traceback" not in done.err
        assert "checking" not in done.err


def test_missing_packages(workspace: Workspace, config: Path, collector: Collector) -> None:
    """The line names the pip command of the extra."""
    hidden = workspace.first(
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'fastdigest':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    done = workspace.run(config, "--report", "r.html", env=hidden)
    assert 2 == done.code
    assert re.fullmatch(
        r"--report needs more packages; run: .*pip install .*fastdigest.*\n", done.err
    )
    assert not collector.bodies("a")


def test_a_failure_at_the_end_is_a_notice(
    workspace: Workspace, config: Path, collector: Collector
) -> None:
    """The folder that vanishes during a run changes no exit code, and leaves no other file."""
    (workspace.folder / "out").mkdir()

    def vanish(_request: Request, _: Collector) -> Reply | None:
        if (workspace.folder / "out").exists():
            (workspace.folder / "out").rmdir()
        return None

    collector.script = vanish
    done = workspace.run(config, "--report", "out/r.html", "--progress", "none")
    assert 0 == done.code
    assert "notice: out/r.html: not written: No such file or directory" in done.err


def test_the_page_replaces_an_older_one(workspace: Workspace, config: Path) -> None:
    """It appears whole, with the rights of any new file."""
    old = workspace.folder / "report.html"
    old.write_text("old")
    old.chmod(0o600)
    assert workspace.run("check", config, "--report", old, "-q").code == 0
    assert "old" != read(workspace)
    umask = os.umask(0)
    os.umask(umask)
    assert 0o666 & ~umask == stat.S_IMODE(old.stat().st_mode)
    assert not list(workspace.folder.glob(".report.html*"))
