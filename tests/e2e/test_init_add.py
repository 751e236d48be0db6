"""``swarm init --add``: it adds missing meters to an existing INI."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from swarm.cli.main import swarm
from swarm.config.load import load
from swarm.config.settings import Settings
from tests.e2e.test_init import OFFICE, export
from tests.support.meters import looked_at, written
from tests.support.workspace import Workspace, rows

pytestmark = pytest.mark.usefixtures("own_log")

INI = """\
# of our plant
[swarm]
environment = sandbox
timezone = Europe/Dublin
interval = 15m

[credentials]
username = acme
password_env = NONE_NEEDED

; the meters
[meters]
# in the cellar
gas = data/gas.csv
water = data/water-1.csv
    # another
    data/water-2.csv

# that is all
[meter:gas]
duplicates = last
"""


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with an INI and the files of its meters, on a computer in Dublin."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tzlocal.get_localzone_name", lambda: "Europe/Dublin")
    (tmp_path / "data").mkdir()
    for name in ("gas", "water-1", "water-2", "new"):
        written(tmp_path / "data" / f"{name}.csv", "\n".join(rows(3)))
    written(tmp_path / "meters.ini", INI)
    return tmp_path


def add(*arguments: str | Path, ini: str = "meters.ini") -> Result:
    """Run ``swarm init --add`` in this process."""
    words = ["init", "--add", ini, *map(str, arguments)]
    return CliRunner().invoke(swarm, words, standalone_mode=False)


def added(*arguments: str | Path) -> Settings:
    """Return the settings of the INI after an addition; check that no meter has a problem."""
    done = add(*arguments)
    assert (None, 0, "") == (done.exception, done.return_value, done.stdout), done.output
    settings = load(Path("meters.ini"), {}, secrets=False)
    for meter in settings.meters:
        found = looked_at(*meter.files, **vars(meter.rules))
        assert [] == [str(problem) for problem in found.problems]
    return settings


def text() -> str:
    """Return the text of the INI."""
    return Path("meters.ini").read_bytes().decode()


def test_a_meter_that_is_lacking() -> None:
    """The new meter is below the last one and its files; all else, comments too, is unchanged."""
    settings = added("data/gas.csv", "data/new.csv")
    assert ["gas", "water", "new"] == [meter.id for meter in settings.meters]
    assert INI.replace("water-2.csv\n", "water-2.csv\nnew = data/new.csv\n") == text()


@pytest.mark.parametrize("mark", ["# another", "    # another"])
def test_comments_among_files(workdir: Path, mark: str) -> None:
    """A comment does not separate files from their meter; one after the last meter stays there."""
    form = INI.replace("    # another", mark).replace("\n\n# that", "\n# that")
    written(workdir / "meters.ini", form)
    assert [1, 2, 1] == [len(meter.files) for meter in added("data/new.csv").meters]
    assert form.replace("water-2.csv\n", "water-2.csv\nnew = data/new.csv\n") == text()


def test_messages_of_an_addition() -> None:
    """Stderr says what was added, what was there already, and what was done."""
    lines = add("data/new.csv", "./data/water-2.csv").stderr.splitlines()
    assert [
        "data/water-2.csv: water has it already",
        "meters.ini: added new = data/new.csv",
    ] == lines
    before = text()
    again = add("data/new.csv")
    assert [
        "data/new.csv: new has it already",
        "meters.ini: nothing was added",
    ] == again.stderr.splitlines()
    assert (0, before) == (again.return_value, text())


def test_settings_of_its_own(workdir: Path) -> None:
    """Options that differ from [swarm] are in a section at the end, in both directions."""
    written(workdir / "meters.ini", INI.replace("interval = 15m", "delimiter = ;\ndecimal = ,"))
    for name in ("gas", "water-1", "water-2"):
        written(workdir / "data" / f"{name}.csv", "2023-01-31 10:15:00;1,5\n")
    written(workdir / "data" / "office.csv", OFFICE)
    settings = added("data/new.csv", "data/office.csv")
    assert text().endswith(
        "duplicates = last\n\n[meter:new]\ninterval = 15m\ndelimiter = ,\ndecimal = .\n\n"
        "[meter:office]\n" + text().partition("[meter:office]\n")[2]
    )
    office = text().partition("[meter:office]\n")[2]
    assert ("delimiter" in office, "skip_rows = 1\n" in office) == (False, True)
    assert (";", ",") == (settings.meters[-1].rules.delimiter, settings.meters[-2].rules.delimiter)


def test_options_of_all_meters_are_to_be_checked(workdir: Path) -> None:
    """Columns under [swarm] also apply to the new file, which does not seem to need them."""
    written(workdir / "meters.ini", INI.replace("interval = 15m", "columns = value"))
    told = add("data/new.csv").stderr
    assert "data/new.csv: columns = value, set in [swarm], applies to this file too" in told
    assert "# CHECK: columns = value, set in [swarm]" in text()


def test_another_zone(workdir: Path) -> None:
    """A file that does not fit the INI's zone gets its own, with a message; others do not."""
    export(workdir / "data" / "rome.csv", "Europe/Rome", "2023-10-20", 20)
    export(workdir / "data" / "dublin.csv", "Europe/Dublin", "2023-10-20", 20)
    zones = {
        meter.id: meter.rules.timezone for meter in added("data/rome.csv", "data/dublin.csv").meters
    }
    assert ("Europe/Paris", "Europe/Dublin") == (zones["rome"], zones["dublin"])
    assert "[meter:rome]\n# CHECK: is it the zone" in text()
    assert "[meter:dublin]" not in text()


def test_an_ini_without_a_common_zone(workdir: Path) -> None:
    """If each meter has its own zone, a new one gets its own too, to be checked."""
    zone = "timezone = Europe/Dublin\n"
    own = INI.replace(zone, "").replace("duplicates = last\n", zone)
    written(workdir / "meters.ini", own + f"[meter:water]\n{zone}")
    told = add("data/new.csv").stderr
    assert "timezone = Europe/Dublin: is it the zone of the files' timestamps" in told
    assert "# CHECK: is it the zone" in text().partition("[meter:new]")[2]
    export(workdir / "data" / "rome.csv", "Europe/Rome", "2023-10-20", 20)
    told = add("data/rome.csv", "--timezone", "America/Chicago").stderr
    assert "timezone = America/Chicago: " in told
    assert "repeat 2023-10-29 02:00 to 03:00" in told
    assert "timezone = America/Chicago\n" in text().partition("[meter:rome]")[2]


def test_an_id_that_is_taken(workdir: Path) -> None:
    """Another file of the same name becomes another meter."""
    (workdir / "old").mkdir()
    written(workdir / "old" / "gas.csv", "\n".join(rows(3)))
    assert ["gas", "water", "old-gas"] == [meter.id for meter in added("old/gas.csv").meters]


def test_files_of_a_pattern_are_there_already(workdir: Path) -> None:
    """A file that matches a meter's glob is reported as its file."""
    written(workdir / "meters.ini", INI.replace("data/gas.csv", "data/[gn]*.csv"))
    assert "data/new.csv: gas has it already" in add("data/new.csv").stderr


def test_the_files_of_one_meter_are_added_together(workdir: Path) -> None:
    """A glob if it matches no file of another meter, else a line for each file."""
    for year in (2021, 2022, 2023):
        lines = "\n".join(rows(3, f"{year}-01-01 00:00:00"))
        written(workdir / "data" / f"oil-{year}.csv", lines)
        written(workdir / "data" / f"heat-{year}.csv", lines)
    written(workdir / "meters.ini", INI.replace("data/gas.csv", "data/oil-2021.csv"))
    names = [f"data/{name}-{year}.csv" for name in ("oil", "heat") for year in (2021, 2022, 2023)]
    settings = added(*names)
    assert [1, 2, 2, 3] == [len(meter.files) for meter in settings.meters]
    assert "\noil = data/oil-2022.csv\n    data/oil-2023.csv\nheat = data/heat-*.csv\n" in text()
    assert "heat has it already" in add("data/heat-2023.csv").stderr


def test_the_next_file_of_a_meter(workdir: Path) -> None:
    """A file that no glob of the INI matches, but that is like a file of a meter, is noted."""
    written(workdir / "data" / "gas-2022.csv", "\n".join(rows(3)))
    written(workdir / "data" / "gas-2023.csv", "\n".join(rows(3)))
    written(workdir / "meters.ini", INI.replace("data/gas.csv", "data/gas-2022.csv"))
    told = add("data/gas-2023.csv").stderr
    assert "gas-2023.csv: its name differs only by a period from a file of gas: if it is of" in told
    assert "differs only" not in add("data/new.csv").stderr


def test_from_another_folder(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are given relative to the current folder, and written relative to the INI's."""
    (workdir / "work").mkdir()
    monkeypatch.chdir(workdir / "work")
    assert "added new = data/new.csv" in add("../data/new.csv", ini="../meters.ini").stderr
    assert "\nnew = data/new.csv\n" in (workdir / "meters.ini").read_text()
    whole = written(workdir / "elsewhere.csv", "\n".join(rows(3)))
    add(whole, ini="../meters.ini")
    assert f"\nelsewhere = {whole}\n" in (workdir / "meters.ini").read_text()


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_rights_and_links_stay(workdir: Path, mode: int) -> None:
    """The INI keeps its mode, as it may hold a password, and a link to it stays a link."""
    (workdir / "real").mkdir()
    Path("meters.ini").rename("real/plant.ini")
    (workdir / "real" / "data").symlink_to("../data")
    Path("real/plant.ini").chmod(mode)
    Path("meters.ini").symlink_to("real/plant.ini")
    assert 0 == add("data/new.csv").return_value
    assert Path("meters.ini").is_symlink()
    assert mode == stat.S_IMODE(Path("real/plant.ini").stat().st_mode)
    assert "new = " in Path("real/plant.ini").read_text()
    assert {"plant.ini", "data"} == {path.name for path in (workdir / "real").iterdir()}


@pytest.mark.parametrize(
    "form",
    [
        INI.replace("\n", "\r\n"),
        "\ufeff" + INI,
        INI.rstrip("\n"),
        INI.partition("\n# that")[0].rstrip("\n"),
        INI.replace("[meters]", "  [ meters ]").replace("gas =", "  gas ="),
    ],
)
def test_forms_of_inis(workdir: Path, form: str) -> None:
    """Line ends, a byte order mark, a missing last newline and sections in any order are kept."""
    written(workdir / "meters.ini", form.replace("duplicates = last", "duplicates = last"))
    settings = added("data/new.csv")
    assert ["gas", "water", "new"] == [meter.id for meter in settings.meters]
    assert [1, 2, 1] == [len(meter.files) for meter in settings.meters]
    assert form.count("\r\n") + ("\r\n" in form) == text().count("\r\n")
    assert form.startswith("\ufeff") == text().startswith("\ufeff")
    assert all(line in text() for line in form.splitlines())


def test_a_file_that_cannot_be_guessed(workdir: Path) -> None:
    """A file that can't be guessed is reported (exit 3); the others are added."""
    written(workdir / "data" / "odd.csv", "x\n")
    done = add("data/odd.csv", "data/new.csv")
    assert 3 == done.return_value
    assert "data/odd.csv: no line that begins with a timestamp" in done.stderr
    assert "new = data/new.csv" in text()
    assert "odd" not in text()


def test_inis_that_are_refused(workdir: Path) -> None:
    """The app's INI, one with problems and a missing one are refused and not changed."""
    old = "[Web DC]\nURL = x\n[General]\nFilename = a.csv\n"
    written(workdir / "old.ini", old)
    refused = str(add("data/new.csv", ini="old.ini").exception)
    assert refused.startswith("old.ini: an INI of the original app")
    assert "swarm init --from old.ini" in refused
    assert old == Path("old.ini").read_text()
    wrong = INI.replace("sandbox", "sandbx")
    written(workdir / "meters.ini", wrong)
    assert "environment" in str(add("data/new.csv").exception)
    assert wrong == text()
    assert "can't be read" in str(add("data/new.csv", ini="none.ini").exception)
    for words, advice in (
        (["--add", "meters.ini"], "needs the CSVs"),
        (["--add", "meters.ini", "--from", "x"], "together"),
    ):
        failed = CliRunner().invoke(swarm, ["init", *words])
        assert (2, True) == (failed.exit_code, advice in failed.output)


def test_an_invalid_meter_is_not_added(workdir: Path) -> None:
    """If settings of all meters do not fit the new one, this is reported and the INI is kept."""
    common = "power_from_energy = 15m\ncolumns = value"
    written(workdir / "meters.ini", INI.replace("interval = 15m", common))
    written(workdir / "data" / "three.csv", "Time,aP_1,aP_2\n2023-01-31 10:15:00,1,2\n")
    before = text()
    refused = str(add("data/three.csv").exception)
    assert "meters.ini:" in refused
    assert "power_from_energy" in refused
    assert "nothing was added" in refused
    assert ({"data", "meters.ini"}, before) == ({path.name for path in workdir.iterdir()}, text())


def test_as_a_user_does_it(workspace: Workspace) -> None:
    """``init``, a new file, ``init --add`` and ``check`` work in sequence."""
    workspace.csv("data/a.csv", rows(9))
    made = workspace.run("init", "data/a.csv", "--timezone", "Europe/Dublin")
    (workspace.folder / "meters.ini").write_text(made.out, encoding="utf-8")
    workspace.csv("data/büro.csv", OFFICE)
    done = workspace.run("init", "--add", "meters.ini", "data/a.csv", "data/büro.csv")
    assert (0, "") == (done.code, done.out)
    checked = workspace.run("check", "meters.ini", "--json")
    assert (0, {"a", "büro"}) == (checked.code, set(checked.meters))
