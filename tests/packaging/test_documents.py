"""The changelog by Keep a Changelog, and what a release relies on."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from swarm.version import VERSION
from tests.packaging.conftest import ROOT

CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
UNRELEASED = "Unreleased"


def test_the_changelog_has_the_version_and_what_is_not_released() -> None:
    """Versions go down from the present one; what is not released is above them."""
    headings = re.findall(r"(?m)^## (.*)$", CHANGELOG)
    assert headings[0] == UNRELEASED
    versions = []
    for heading in headings[1:]:
        match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)(?: - \d{4}-\d{2}-\d{2})?", heading)
        assert match, heading
        versions.append(tuple(map(int, match.groups())))
    assert versions == sorted(set(versions), reverse=True)
    assert tuple(map(int, VERSION.split("."))) == versions[0]


def test_the_changelog_groups_changes_by_their_kind() -> None:
    """Each kind is one of the six, at most once in a version, and has a list of changes."""
    for section in re.split(r"(?m)^## ", CHANGELOG)[1:]:
        kinds = re.findall(r"(?m)^### (.*)$", section)
        assert kinds == [kind for kind in KINDS if kind in kinds], section[:20]
        for group in re.split(r"(?m)^### ", section)[1:]:
            assert re.search(r"(?m)\A\w+\n\n\* \S", group), group[:40]
    for address in ("https://keepachangelog.com/", "https://semver.org/"):
        assert address in CHANGELOG


@pytest.mark.parametrize("name", ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_of_the_documents_lead_somewhere(name: str) -> None:
    """Every file that a document links to exists."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (ROOT / target).exists(), target


def test_the_check_list_names_commands_that_exist() -> None:
    """Each session of nox, and each module that is run, exists."""
    text = (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")
    sessions = set(re.findall(r"nox -s (\w+)", text))
    assert sessions
    assert sessions <= set(
        re.findall(r"(?m)^def ([a-z]\w*)\(", (ROOT / "noxfile.py").read_text(encoding="utf-8"))
    )
    for module in set(re.findall(r"python -m ([\w.]+)", text)) - {"venv"}:
        assert (ROOT / module.replace(".", "/") / "__main__.py").exists(), module


def test_the_extras_are_documented() -> None:
    """The table of the installation has each extra, with the packages that it installs."""
    page = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| `?(\w+)`? \| .* \| (.*) \|$", page)[1:]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = {"none": project["dependencies"], **project["optional-dependencies"]}
    assert lists.keys() == {extra for extra, _ in rows}
    for extra, packages in rows:
        if extra not in {"dev", "test"}:
            needed = [Requirement(each) for each in lists[extra]]
            names = {each.name for each in needed if not each.marker or each.marker.evaluate()}
            assert names == set(packages.split(", ")), extra
