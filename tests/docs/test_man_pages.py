"""The man pages: one for each command and one for the INI, with all options, and well formed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from swarm.cli.main import swarm
from swarm.config import credentials, meters
from swarm.config.load import SCHEMA
from tests.docs.test_reference import COMMANDS, flags
from tests.docs.test_site import build

#: The files of the commands.
PAGES = {"swarm.1": swarm, **{f"swarm-{name}.1": swarm.commands[name] for name in COMMANDS}}
INI = "swarm.ini.5"
#: Remarks about what the writer of man pages makes of every page, without an effect.
_HARMLESS = "skipping paragraph macro: sp after S"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the man pages."""
    return build("man", tmp_path_factory.mktemp("man"))


def text(page: Path) -> str:
    """Return the text of a man page, without requests and fonts."""
    plain = page.read_text(encoding="utf-8").replace("\\-", "-").replace("\\(aq", "'")
    return re.sub(r"\\f[A-Z]|\\f\[\w*\]|\\&", "", plain)


def test_there_is_a_page_for_each_command_and_the_ini(folder: Path) -> None:
    """No other files are built; each page names its command and what it does."""
    assert {*PAGES, INI} == {path.name for path in folder.iterdir() if path.is_file()}
    for name in (*PAGES, INI):
        title = name.rpartition(".")[0]
        assert re.search(
            rf'^\.SH "?NAME"?\n{re.escape(title)} - [a-z]', text(folder / name), re.MULTILINE
        )


@pytest.mark.parametrize("name", PAGES)
def test_every_option_is_on_the_page_of_its_command(folder: Path, name: str) -> None:
    """The entries of the page are exactly the options of the command."""
    options = text(folder / name).partition(".SH OPTIONS")[2].partition("\n.SH ")[0]
    entries = re.findall(r"^\.TP\n\.?B? ?(-.*)$", options, re.MULTILINE)
    listed = {word for entry in entries for word in re.findall(r"(?<![\w-])--?[a-z][\w-]*", entry)}
    assert flags(PAGES[name]) == listed


def test_every_setting_of_the_ini_is_on_its_page(folder: Path) -> None:
    """The page has the sections of the INI and their options."""
    page = text(folder / INI)
    assert {kind.rstrip(":") for kind in SCHEMA} <= set(
        re.findall(r"^\.SS \[(\w+)", page, re.MULTILINE)
    )
    entries = re.findall(r"^\.TP\n\.B (.*)$", page, re.MULTILINE)
    listed = {word for entry in entries for word in re.findall(r"\w+", entry)}
    known = {
        *credentials.OPTIONS,
        *meters.OPTIONS,
        *(o for some in SCHEMA.values() for o in some or ()),
    }
    assert known <= listed


@pytest.mark.parametrize("name", [*PAGES, INI])
@pytest.mark.parametrize(
    ("program", "package", "options"),
    [
        # A URL can't be broken into lines.
        ("groff", "groff", ["-man", "-Tutf8", "-ww", "-Wbreak", "-z"]),
        ("mandoc", "mandoc", ["-T", "lint", "-W", "warning"]),
    ],
)
def test_a_page_is_well_formed(
    folder: Path, name: str, program: str, package: str, options: list[str]
) -> None:
    """Programs that show man pages have no complaint."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed; on Debian: apt-get install {package}")
    done = subprocess.run(
        [program, *options, name], cwd=folder, capture_output=True, text=True, check=False
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert not [line for line in lines if _HARMLESS not in line]
