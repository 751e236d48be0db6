"""The mutants fit the code: a patch that does not apply tests nothing."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.mutants import __main__ as mutants

_PATCHES = sorted(mutants.FOLDER.glob("*.patch"))


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("patch", _PATCHES, ids=[patch.stem for patch in _PATCHES])
def test_a_mutant_applies(patch: Path) -> None:
    """The patch applies to the current code, and the tests that must notice it exist."""
    command = ["git", "apply", "--recount", "--check", str(patch)]
    done = subprocess.run(command, cwd=mutants.ROOT, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    assert all(
        (mutants.ROOT / test.partition("::")[0]).exists() for test in mutants.tests_of(patch)
    )
