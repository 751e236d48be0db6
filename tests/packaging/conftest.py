"""Fixtures: the two packages, built once for all tests of a worker."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_SECONDS = 120


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the source distribution and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    # The build writes into the folder of the sources, which other tests use at the same time.
    source = tmp_path_factory.mktemp("source") / "swarm"
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().split()]
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".git", *ignored))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    command.append(str(source))
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    return folder


@pytest.fixture
def wheel(packages: Path) -> Path:
    """Return the wheel."""
    (path,) = packages.glob("*.whl")
    return path


@pytest.fixture
def sdist(packages: Path) -> Path:
    """Return the source distribution."""
    (path,) = packages.glob("*.tar.gz")
    return path
