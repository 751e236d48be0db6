"""The versions of swarm that are measured: this checkout, and optionally one to compare it with."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.harness import commands
from benchmarks.results import NotMeasured


@dataclass(frozen=True)
class Version:
    """A checkout of swarm, and the Python interpreter that has its requirements."""

    name: str
    root: Path
    python: str

    @property
    def swarm(self) -> tuple[str, ...]:
        """The command, without its arguments."""
        return (self.python, "-m", "swarm")

    def run(
        self, arguments: Sequence[str], folder: Path, *, setting: commands.Setting = commands.PLAIN
    ) -> commands.Finished:
        """Run the command in ``folder`` until it ends; raise `NotMeasured` if it fails."""
        return commands.run([*self.swarm, *arguments], folder, setting=setting, root=self.root)

    def has_option(self, option: str) -> bool:
        """Return True if the upload has an option, or if the help mentions a word such as auto."""
        return option in _help(self)


THIS = Version("this commit", commands.ROOT, sys.executable)


def checkout(folder: Path) -> Version:
    """Return the version in a checkout that has its requirements in ``.venv``."""
    root = folder.resolve()
    python = root / ".venv" / "bin" / "python"
    for path in (root / "swarm" / "__main__.py", python):
        if not path.exists():
            raise NotMeasured(f"{path} does not exist; --against takes a checkout with a .venv")
    git = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return Version(f"commit {commit}" if commit else root.name, root, str(python))


@cache
def _help(version: Version) -> str:
    command = [*version.swarm, "upload", "--help"]
    environment = commands.environment(version.root)
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return found.stdout
