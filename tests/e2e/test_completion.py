"""Shell completion, requested as the shells do: a real process, and a real bash."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.workspace import Workspace

ROOT = Path(__file__).parents[2]


def offered(workspace: Workspace, line: str) -> list[str]:
    """Return the completions of the last word of a line; kinds of files are shown as <file>."""
    words = line.split(" ")
    variables = {
        "_SWARM_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = workspace.run(env=variables)
    assert (0, "") == (done.code, done.err)
    pairs = (item.partition(",") for item in done.out.split())
    return [value if kind == "plain" else f"<{kind}>" for kind, _, value in pairs]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("swarm up", ["upload"]),
        ("swarm c.i", ["<file>"]),
        ("swarm --vers", ["--version"]),
        ("swarm --dry", ["--dry-run"]),
        ("swarm --he", ["--help"]),
        ("swarm --keep-going c.", ["<file>"]),
        ("swarm c.ini --late ", ["report", "send"]),
        ("swarm upload c.ini --on-reject=sk", ["skip"]),
        ("swarm c.ini --timeout ", []),
        ("swarm check --si", ["--since"]),
        ("swarm check ", ["<file>"]),
        ("swarm init a.csv ", ["<file>"]),
        ("swarm init --from ", ["<file>"]),
        ("swarm sandbox --store ", ["<file>"]),
        ("swarm upload c.ini -m el", ["elec"]),
        ("swarm c.ini --meter ", ["gas", "elec"]),
        ("swarm none.ini --meter ", []),
        ("swarm --meter ", []),
    ],
)
def test_completions(workspace: Workspace, line: str, expected: list[str]) -> None:
    """Commands, options, their values, meters of the INI and files are offered."""
    # bash would split the third ID, or take it for a pattern of file names.
    meters = {"gas": "g.csv", "elec": "e.csv", "elec 1 [kWh]": "f.csv", "elec*": "h.csv"}
    workspace.ini("sandbox", meters, name="c.ini")
    assert expected == offered(workspace, line)


def test_every_command_is_offered(workspace: Workspace) -> None:
    """With nothing typed yet, all commands are offered."""
    assert {"upload", "check", "init", "sandbox"} <= set(offered(workspace, "swarm "))


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_in_bash(tmp_path: Path) -> None:
    """The line from the manual sets up bash, and the function it defines completes words."""
    (tmp_path / "swarm").write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m swarm "$@"\n'
    )
    (tmp_path / "swarm").chmod(0o755)
    script = (
        'eval "$(_SWARM_COMPLETE=bash_source swarm)"; complete -p swarm; '
        'COMP_WORDS=(swarm --dry); COMP_CWORD=1; _swarm_completion swarm; echo "${COMPREPLY[@]}"'
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
    )
    assert [
        "complete -o nosort -F _swarm_completion swarm",
        "--dry-run",
    ] == done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells(workspace: Workspace, shell: str) -> None:
    """Zsh and fish have scripts of their own."""
    done = workspace.run(env={"_SWARM_COMPLETE": f"{shell}_source"})
    assert (0, True) == (done.code, "_swarm_completion" in done.out)
