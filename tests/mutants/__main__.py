"""Applies each patch of this folder to a copy of the project, and checks that the suite fails.

    python -m tests.mutants [NAME...]

The first line of a patch says what it breaks, the second which tests must notice. The command exits
with 1 if a mutant survives.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FOLDER = Path(__file__).parent
_LEFT_OUT = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build")


def tests_of(patch: Path) -> list[str]:
    """Return the tests that must notice a mutant."""
    return patch.read_text().splitlines()[1].removeprefix("Tests: ").split()


def failing(folder: Path, tests: list[str]) -> tuple[bool, str]:
    """Run tests in a copy; return True if they fail, and the first that does."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "2", "-p", "no:cacheprovider"]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [*command, *tests], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    if done.returncode and not failed:
        raise SystemExit(f"the tests could not be run:\n{done.stdout}{done.stderr}")
    return bool(failed), (failed or ["-"])[0][:120]


def killed(patch: Path | None, tests: list[str]) -> tuple[bool, str]:
    """Run tests with a patch applied, or without one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        shutil.copytree(ROOT, folder, ignore=_LEFT_OUT)
        if patch is not None:
            command = ["git", "apply", "--recount", str(patch)]
            subprocess.run(command, cwd=folder, check=True)
        return failing(folder, tests)


def main(names: list[str]) -> int:
    """Run the mutants with these names, or all."""
    patches = sorted(p for p in FOLDER.glob("*.patch") if not names or p.stem in names)
    every = sorted({test for patch in patches for test in tests_of(patch)})
    fails, first = killed(None, every)
    print(f"without a patch: {'FAILS ' + first if fails else 'passes'}", flush=True)
    survivors = int(fails)
    for patch in patches:
        dead, first = killed(patch, tests_of(patch))
        survivors += not dead
        print(f"{patch.stem}: {'killed by ' + first if dead else 'SURVIVES'}", flush=True)
    print(f"{len(patches)} mutants, {survivors} survivors")
    return int(survivors > 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
