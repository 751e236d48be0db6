"""The tutorial and the how-to guides, typed command by command: each prints what its page shows."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from swarm.cli.main import upload
from tests.support.collector import Collector
from tests.support.workspace import Workspace

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
PAGES = (TUTORIAL, *sorted((ROOT / "docs" / "how-to").glob("*.md")))
#: What a clone needs to be installed.
SOURCES = ("LICENSE", "README.md", "pyproject.toml", "swarm")
_COMMAND = "$ "
_INSTALLS = ("python3 -m venv", ".venv/bin/pip install")
_MARK = "--- end of a command ---"
_SECONDS = 120


def blocks(page: Path, language: str) -> list[str]:
    """Return a page's code blocks of a language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


def steps(page: Path) -> list[tuple[str, list[str]]]:
    """Return the page's commands, each with the lines that the page shows below it."""
    found: list[tuple[str, list[str]]] = []
    for line in "".join(blocks(page, "console")).splitlines():
        if line.startswith(_COMMAND):
            found.append((line.removeprefix(_COMMAND), []))
        else:
            found[-1][1].append(line)
    return found


def clone(folder: Path, *names: str) -> Path:
    """Return a new copy of some files and folders of the project."""
    copy = folder / "clone"
    copy.mkdir()
    for name in names:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    return copy


def offline(folder: Path) -> dict[str, str]:
    """Return variables with which pip needs no package index.

    Other packages are those of the test environment; swarm itself is not among them.
    """
    packages = folder / "packages"
    packages.mkdir()
    for each in Path(sysconfig.get_path("purelib")).iterdir():
        if not each.name.startswith(("wattics_swarm", "__editable__")):
            (packages / each.name).symlink_to(each)
    names = ("PIP_NO_DEPS", "PIP_NO_INDEX")
    # Here, 0 says that there is no isolation.
    isolation = {"PIP_NO_BUILD_ISOLATION": "0"}
    return {**dict.fromkeys(names, "1"), **isolation, "PYTHONPATH": str(packages)}


def typed(folder: Path, commands: list[str], **variables: str) -> list[list[str]]:
    """Run commands in a shell in a folder; return what each prints on stdout and stderr."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "SWARM_PROGRESS": "none", **variables}
    lines = [f"{command}\ncode=$?; echo '{_MARK}'; (exit $code)" for command in commands]
    done = subprocess.run(
        ["bash", "-c", "exec 2>&1\n" + "\n".join(lines)],
        cwd=folder,
        env={key: value for key, value in env.items() if not key.startswith("COVERAGE_")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
        timeout=_SECONDS,
    )
    return [part.rstrip("\n").splitlines() for part in done.stdout.split(f"{_MARK}\n")[:-1]]


def compare(walk: list[tuple[str, list[str]]], printed: list[list[str]]) -> None:
    """Check that each command printed what its page shows; ``...`` there matches any text."""
    for (command, expected), found in zip(walk, printed, strict=True):
        shown = "\n".join(expected).rstrip("\n")
        pattern = re.escape(shown).replace(r"\.\.\.", ".*")
        assert re.fullmatch(pattern, "\n".join(found)), (command, "\n".join(found))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_step_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    """Each command prints what the page shows, in a clone in which swarm is installed."""
    walk = [step for step in steps(page) if not step[0].startswith(_INSTALLS)]
    assert len(walk) >= 5
    folder = clone(tmp_path, "sample_data")
    program = folder / ".venv" / "bin" / "swarm"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m swarm "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}"
    commands = [command for command, _ in walk]
    printed = typed(folder, commands, PYTHONPATH=str(ROOT), PATH=path + os.environ["PATH"])
    compare(walk, printed)


def test_no_trial_touches_the_state_of_another() -> None:
    """Each how-to guide has a folder and a state folder of its own."""
    folders = []
    for page in PAGES[1:]:
        first = next(command for command, _ in steps(page) if command.startswith("mkdir "))
        found = re.match(r'mkdir (\w+) && cd \1 && export .*XDG_STATE_HOME="\$PWD/state"$', first)
        assert found, first
        folders.append(found[1])
    assert len(folders) == len(set(folders)) > 3


def test_the_installation_of_the_tutorial(tmp_path: Path) -> None:
    """The first block installs swarm in a clone; pip itself may print warnings."""
    walk = steps(TUTORIAL)
    first = next(n for n, (command, _) in enumerate(walk) if command == "swarm --version") + 1
    folder = clone(tmp_path, *SOURCES)
    commands = [*(command for command, _ in walk[:first]), "command -v swarm"]
    printed = typed(folder, commands, **offline(tmp_path))
    program = folder / ".venv" / "bin" / "swarm"
    compare([walk[first - 1], ("command -v swarm", [str(program)])], printed[-2:])


def test_every_extra_that_a_page_installs_exists() -> None:
    """The lines that are not run in a test install extras of this project."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    installs = [
        command for page in PAGES for command, _ in steps(page) if command.startswith(_INSTALLS[1])
    ]
    named = {extra for line in installs for extra in re.findall(r"[a-z]+", line.partition("[")[2])}
    assert {"fast", "report", "sandbox"} == named
    assert named <= known.keys()


def test_the_platforms_settings_and_the_line_of_cron(
    workspace: Workspace, collector: Collector
) -> None:
    """The command of the crontab sends the tutorial's file with its settings."""
    (settings,), (cron,) = blocks(TUTORIAL, "ini"), blocks(TUTORIAL, "text")
    folder = workspace.folder
    for text, replaced in (
        ("environment = production", f"url = {collector.url}"),
        ("/var/lib/swarm", str(folder / "state")),
        ("/etc/swarm", str(folder)),
    ):
        assert text in settings
        settings = settings.replace(text, replaced)
    (folder / "password").write_text("secret\n")
    (folder / "password").chmod(0o600)
    shutil.copy(ROOT / "sample_data" / "water-m3-hourly.csv", folder / "water.csv")
    (folder / "meters.ini").write_text(f"{settings}\n[meters]\nwater = water.csv\n")
    schedule, _, command = cron.strip().partition(" /opt/swarm/bin/swarm ")
    assert "15 * * * *" == schedule
    done = workspace.run(*command.replace("/etc/swarm", str(folder)).split())
    assert (0, "", "") == (done.code, done.out, done.err)
    assert 48 == len(collector.packets("water"))
    assert {"-q", "-k"} <= {flag for option in upload.params for flag in option.opts}
