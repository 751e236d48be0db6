"""The pip command for an extra."""

import shlex
import sys
from importlib import metadata

import pytest

from swarm.extras import install


@pytest.mark.parametrize("extra", ["fast", "report", "sandbox"])
def test_the_command_names_the_packages(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It installs the packages of the extra into the environment that swarm runs in."""
    monkeypatch.setattr("swarm.extras.are_installed", lambda *_packages: True)
    words = shlex.split(install(extra))
    assert words[:4] == [sys.executable, "-m", "pip", "install"]
    required = metadata.metadata("wattics-swarm").get_all("Requires-Dist") or []
    # Packages that only some interpreters have are left out: the extra works without them.
    mark = f'; extra == "{extra}"'
    assert words[4:] == [each.removesuffix(mark) for each in required if each.endswith(mark)]


def test_from_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without metadata of the distribution, the command names the extra."""

    def unknown(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", unknown)
    monkeypatch.setattr("swarm.extras.are_installed", lambda *_packages: True)
    assert install("fast").endswith(" -m pip install 'wattics-swarm[fast]'")


def test_without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment of uv has no pip of its own."""
    monkeypatch.setattr("swarm.extras.are_installed", lambda *packages: packages != ("pip",))
    words = shlex.split(install("fast"))
    assert words[:5] == ["uv", "pip", "install", "--python", sys.executable]
