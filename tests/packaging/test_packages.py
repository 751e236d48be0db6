"""The source distribution and the wheel: contents, metadata and use."""

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Sequence
from email import message_from_bytes
from email.message import Message
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from swarm.version import VERSION
from tests.packaging.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
_SECONDS = 120
#: What setuptools adds to the source distribution.
_GENERATED = ("PKG-INFO", "setup.cfg", "wattics_swarm.egg-info/")


def described(wheel: Path) -> Message:
    """Return the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(f"wattics_swarm-{VERSION}.dist-info/METADATA"))


def test_the_descriptions_pass_the_check(wheel: Path, sdist: Path) -> None:
    """A package index can show the description of both."""
    run([sys.executable, "-m", "twine", "check", "--strict", wheel, sdist])


def test_the_wheel_has_the_package_alone(wheel: Path) -> None:
    """It has each file of the package, also templates and the mark of types, and no test."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = {path for path in (ROOT / "swarm").rglob("*") if path.is_file()}
    assert names == {path.relative_to(ROOT).as_posix() for path in package if path.suffix != ".pyc"}
    assert {"swarm/py.typed", "swarm/web/templates/base.html"} <= names
    assert wheel.name == f"wattics_swarm-{VERSION}-py3-none-any.whl"


@pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="the files of the repository are known in a clone only"
)
def test_the_source_distribution_has_the_whole_repository(sdist: Path) -> None:
    """The tests can be run from it, and nothing else is in it."""
    tracked = run(["git", "ls-files", "--cached", "--others", "--exclude-standard"])
    expected = {name for name in tracked.splitlines() if (ROOT / name).exists()}
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert expected == {name for name in names if not name.startswith(_GENERATED)}


def test_the_metadata_tell_what_swarm_is(wheel: Path) -> None:
    """They have the version, authors, a home page, keywords, the licence and classifiers."""
    text = described(wheel)
    assert (VERSION, "MIT", ">=3.11") == (
        text["Version"],
        text["License-Expression"],
        text["Requires-Python"],
    )
    assert text["Author"] == "The swarm developers"
    assert text.get_all("Project-URL") == ["Homepage, https://www.wattics.com"]
    assert {"Wattics", "meter readings"} <= set(text["Keywords"].split(","))
    classifiers = text.get_all("Classifier") or []
    for part in ("Intended Audience", "Operating System", "Programming Language", "Topic"):
        assert any(each.startswith(f"{part} ::") for each in classifiers), part
    assert set(PROJECT["optional-dependencies"]) == set(text.get_all("Provides-Extra") or [])


def test_each_requirement_has_a_lower_bound() -> None:
    """So that ``nox -s lowest`` tries it; no bound is above the version that is installed here."""
    lists = (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for requirement in (Requirement(text) for each in lists for text in each):
        if requirement.name == "wattics-swarm":
            continue
        assert [">="] == [each.operator for each in requirement.specifier], requirement
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:  # of another extra or system
            continue
        assert requirement.specifier.contains(version), requirement


def test_the_installed_wheel_runs_in_another_folder(wheel: Path, tmp_path: Path) -> None:
    """In a fresh environment, the command checks a meter and writes a report with its templates.

    The packages that swarm depends on are those of this environment: tests use no network.
    """
    home = tmp_path / "environment"
    run([sys.executable, "-m", "venv", str(home)])
    run([home / "bin" / "pip", "install", "--no-index", "--no-deps", wheel])
    (library,) = (home / "lib").glob("python*/site-packages")
    (library / "dependencies.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")

    swarm = home / "bin" / "swarm"
    assert run([swarm, "--version"], tmp_path) == f"swarm, version {VERSION}\n"
    place = "import swarm; print(swarm.__file__)"
    assert run([home / "bin" / "python", "-c", place], tmp_path) == f"{library}/swarm/__init__.py\n"
    ini = run([swarm, "init", ROOT / "sample_data" / "water-m3-hourly.csv"], tmp_path)
    (tmp_path / "meters.ini").write_text(ini)
    assert "sound" in run([swarm, "check", "meters.ini", "--report", "quality.html"], tmp_path)
    assert "water-m3-hourly" in (tmp_path / "quality.html").read_text(encoding="utf-8")


def run(command: Sequence[str | Path], folder: Path = ROOT) -> str:
    """Run a command, which has to succeed; return what it prints on stdout."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=folder,
        env=env,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
