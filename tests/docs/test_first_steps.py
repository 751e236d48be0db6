"""``docs/first-steps.md``, typed command by command: each prints what the page shows."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.workspace import Workspace

ROOT = Path(__file__).parents[2]
_COMMAND = "    $ "
_MARK = "--- end of a command ---"


def steps() -> list[tuple[str, list[str]]]:
    """Return the page's commands, each with the lines that the page shows below it."""
    found: list[tuple[str, list[str]]] = []
    is_shown = False
    for line in (ROOT / "docs" / "first-steps.md").read_text().splitlines():
        if line.startswith(_COMMAND):
            found.append((line.removeprefix(_COMMAND), []))
            is_shown = True
        elif line and not line.startswith("    "):
            is_shown = False
        elif is_shown:
            found[-1][1].append(line.removeprefix("    "))
    return [(command, _without_end(lines)) for command, lines in found]


def _without_end(lines: list[str]) -> list[str]:
    """Return the lines without the empty ones at the end."""
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


def typed(workspace: Workspace, commands: list[str]) -> list[list[str]]:
    """Run commands in a shell, in a clone; return what each prints on stdout and stderr."""
    clone = workspace.folder / "clone"
    shutil.copytree(ROOT / "sample_data", clone / "sample_data")
    program = clone / ".venv" / "bin" / "swarm"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m swarm "$@"\n')
    program.chmod(0o755)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SWARM_PROGRESS": "none"}
    lines = [f"{command}\ncode=$?; echo '{_MARK}'; (exit $code)" for command in commands]
    done = subprocess.run(
        ["bash", "-c", "exec 2>&1\n" + "\n".join(lines)],
        cwd=clone,
        env={key: value for key, value in env.items() if not key.startswith("COVERAGE_")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    return [_without_end(part.splitlines()) for part in done.stdout.split(f"{_MARK}\n")[:-1]]


def test_each_step_prints_what_the_page_shows(workspace: Workspace) -> None:
    """Each command prints what the page shows; ``...`` there matches any text."""
    walk = steps()
    assert len(walk) > 15
    printed = typed(workspace, [command for command, _ in walk])
    for (command, expected), found in zip(walk, printed, strict=True):
        pattern = "\n".join(re.escape(line).replace(r"\.\.\.", ".*") for line in expected)
        assert re.fullmatch(pattern, "\n".join(found)), (command, "\n".join(found))
