"""The commands on a system without the file locks of POSIX, such as Windows."""

import pytest

from tests.support.workspace import Workspace, rows

#: Modules that Python has on POSIX systems alone.
_BLOCK = """
import sys
from importlib.abc import MetaPathFinder

names = {"fcntl", "grp", "pwd", "resource", "syslog", "termios", "tty"}

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in names:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Missing())
"""


@pytest.mark.parametrize("command", ["upload", "check", "status", "sandbox"])
def test_a_command_that_can_not_run_says_so(workspace: Workspace, command: str) -> None:
    """In one line that names WSL, and with the exit code of a wrong usage."""
    workspace.csv("a.csv", rows(2))
    config = workspace.ini("sandbox", {"a": "a.csv"})
    arguments = () if command == "sandbox" else (config,)
    run = workspace.run(command, *arguments, env=workspace.first(_BLOCK))
    assert (2, "") == (run.code, run.out)
    (line,) = run.err.splitlines()
    assert line.startswith(f"swarm {command}: needs the file locks of Linux or macOS")
    assert line.endswith("use the Windows Subsystem for Linux (WSL)")


def test_what_can_run_does(workspace: Workspace) -> None:
    """An INI for a CSV, CSVs of an export, the help, the version."""
    workspace.csv("a.csv", rows(200))
    env = workspace.first(_BLOCK)
    run = workspace.run("init", "a.csv", "--timezone", "UTC", env=env)
    assert (0, True) == (run.code, "a = a.csv" in run.out), run.err
    workspace.csv("export.csv", ["t,gas", *rows(2)])
    run = workspace.run("split", "export.csv", "--into", "data", env=env)
    assert (0, True) == (run.code, "gas = data/gas.csv" in run.out), run.err
    for option in ("--help", "--version"):
        assert 0 == workspace.run(option, env=env).code
