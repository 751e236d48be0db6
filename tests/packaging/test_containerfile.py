"""The lines of the Containerfile, run without a container engine in folders of the test."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT
from tests.support.collector import Collector
from tests.support.workspace import Workspace, ended, packets, rows

_SECONDS = 120
_USER = 10001
#: Runs a command as process 1, and as the user of the image; to other processes, it is our user.
_CONTAINED = (
    *("unshare", "--user", f"--map-user={_USER}", f"--map-group={_USER}"),
    *("--pid", "--fork", "--kill-child"),
)


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the file, each with its arguments on one line."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^#.*\n", "", text).replace("\\\n", "")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line]
    return [(name, " ".join(value.split())) for name, value in lines]


def values(name: str) -> list[str]:
    """Return the arguments of all instructions with a name."""
    return [value for each, value in instructions() if each == name]


def copy_sources(folder: Path) -> None:
    """Copy what the first stage copies; the ``.containerignore`` of the project allows it."""
    allowed = (ROOT / ".containerignore").read_text().splitlines()
    copies = [value for value in values("COPY") if not value.startswith("--from")]
    assert copies
    for *sources, target in (value.split() for value in copies):
        for source in sources:
            assert f"!{source}" in allowed
            path = ROOT / source
            if path.is_dir():
                shutil.copytree(path, folder / target, ignore=shutil.ignore_patterns("*.pyc"))
            else:
                shutil.copy(path, folder / target)


def test_the_image_can_be_built(tmp_path: Path) -> None:
    """The copied files suffice for the commands that build the environment, which then runs.

    The paths are those of the test. pip gets settings by which it downloads nothing: it builds and
    installs swarm alone. ``nox -s packages`` installs its dependencies under the same conditions.
    """
    folder = tmp_path / "src"
    folder.mkdir()
    copy_sources(folder)
    home = tmp_path / "swarm"
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # for pip, 0 is "without isolation"
        "PYTHONPATH": str(metadata.distribution("setuptools").locate_file("")),
    }
    commands = [value for value in values("RUN") if "/opt/swarm" in value]
    assert len(commands) == 2
    for command in commands:
        line = command.replace("/opt/swarm", str(home))
        done = subprocess.run(
            ["/bin/sh", "-ec", line],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert (home / "bin" / "swarm").exists()
    (described,) = home.glob("lib/python*/site-packages/wattics_swarm-*/METADATA")
    text = described.read_text(encoding="utf-8")
    assert "License-File: LICENSE\n" in text
    assert "\n# swarm\n" in text
    installed = {path.name for path in home.glob("lib/python*/site-packages/swarm/**/*.html")}
    assert installed == {path.name for path in (ROOT / "swarm").rglob("*.html")}


def test_the_extras_exist() -> None:
    """The image has the extras that the documentation of the installation names."""
    (line,) = [value for value in values("RUN") if " install " in value and "pip" in value]
    extras = re.findall(r"'\.\[(.*)\]'", line)[0].split(",")
    page = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    named = re.search(r"The image contains swarm with (.*?)\.", page)
    assert named
    assert extras == re.findall(r"`(\w+)`", named[1])


def test_the_command_is_process_1_of_an_unprivileged_user() -> None:
    """It gets signals itself, and all stages begin with the same image."""
    assert values("ENTRYPOINT") == ['["swarm"]']
    assert values("USER") == [f"{_USER}:{_USER}"]
    assert values("VOLUME") == ["/state"]
    assert {value.split()[0] for value in values("FROM")} == {"${BASE}"}
    assert "XDG_STATE_HOME=/state" in values("ENV")[0]


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*_CONTAINED, "true"], check=False, capture_output=True).returncode != 0,
    reason="needs namespaces: unshare of util-linux, and the right to use it",
)
def test_process_1_ends_at_sigterm(workspace: Workspace, collector: Collector) -> None:
    """As process 1 with the ID of the image's user, an upload ends in order with 143.

    That user has neither a name nor a home folder, and has the state folder of the image. The
    kernel gives process 1 only the signals that it handles.
    """
    lines = rows(2000)
    workspace.csv("gas.csv", lines)
    config = workspace.ini(collector.url, {"gas": "gas.csv"})
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace(f"state = {workspace.state}\n", ""), encoding="utf-8")
    (command,) = [value for value in values("RUN") if "/state" in value]
    line = command.replace("/state", str(workspace.state))
    subprocess.run([*_CONTAINED, "/bin/sh", "-ec", line], check=True, timeout=_SECONDS)
    assert 0 == workspace.state.stat().st_mode & 0o077
    env = {"HOME": "", "XDG_STATE_HOME": str(workspace.state)}
    process = workspace.start(config, "--rate-limit", "50", "--json", env=env, within=_CONTAINED)
    deadline = time.monotonic() + _SECONDS
    while len(collector.requests) < 5:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)
    done = ended(process)
    assert done.code == 143, done.err
    assert 0 < done.meters["gas"]["sent"] < len(lines)
    assert packets("gas", lines)[: done.meters["gas"]["sent"]] == collector.packets("gas")
    assert list((workspace.state / "swarm").iterdir())
