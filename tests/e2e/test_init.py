"""``swarm init``: it writes a first INI, which ``swarm check`` accepts."""

import gzip
import logging
import re
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from swarm.cli.main import swarm
from swarm.config.load import load
from swarm.config.settings import Settings
from swarm.init.dialect import SAMPLE_BYTES
from swarm.localtime import naive_of
from swarm.packet import REGISTERS
from tests.support.meters import looked_at, written
from tests.support.workspace import Workspace, rows
from tests.unit.csv.test_zones import logged

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("own_log")


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, on a computer in Dublin."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tzlocal.get_localzone_name", lambda: "Europe/Dublin")
    return tmp_path


def init(*arguments: str | Path) -> Result:
    """Run ``swarm init`` in this process."""
    return CliRunner().invoke(swarm, ["init", *map(str, arguments)], standalone_mode=False)


def settings_of(*arguments: str | Path) -> Settings:
    """Return the settings of the written INI; check that no meter has a problem under them."""
    done = init(*arguments)
    assert (None, 0) == (done.exception, done.return_value), done.output
    Path("made.ini").write_bytes(done.stdout_bytes)
    settings = load(Path("made.ini"), {}, secrets=False)
    for meter in settings.meters:
        found = looked_at(*meter.files, **vars(meter.rules))
        assert [] == [str(problem) for problem in found.problems]
    return settings


def test_a_meter_for_each_file(workdir: Path) -> None:
    """The ID is the file's name, the path stays relative, and the sandbox is the collector."""
    (workdir / "data").mkdir()
    written(workdir / "data" / "gas.csv", "\n".join(rows(3)))
    (workdir / "water.csv.gz").write_bytes(gzip.compress("\n".join(rows(3, minutes=60)).encode()))
    settings = settings_of("data/gas.csv", "water.csv.gz", "data/gas.csv")
    assert ["gas", "water"] == [meter.id for meter in settings.meters]
    assert "\ngas = data/gas.csv\nwater = water.csv.gz\n" in Path("made.ini").read_text()
    assert (None, ()) == (settings.url, settings.warnings)
    assert [900.0, 3600.0] == [meter.rules.interval for meter in settings.meters]
    assert {"Europe/Dublin"} == {meter.rules.timezone for meter in settings.meters}


def export(path: Path, zone: str, start: str, days: int, minutes: int = 15) -> Path:
    """Write the export of a logger in a zone, from a moment in UTC."""
    local_times = logged(zone, start, days, minutes)
    lines = (f"{naive_of(local)},{number}\n" for number, local in enumerate(local_times))
    return written(path, "".join(lines))


def test_the_files_of_one_meter(workdir: Path) -> None:
    """Files whose names differ by a period are one meter; a glob finds the next file too."""
    (workdir / "my [data]").mkdir()
    for month in ("01", "02", "03"):
        lines = "\n".join(rows(3, f"2023-{month}-30 00:00:00".replace("02-30", "02-20")))
        written(workdir / "my [data]" / f"gas-2023-{month}.csv", lines)
        written(workdir / f"oil-{month}.csv", lines)
    files = [*sorted(workdir.glob("my*/gas*")), Path("oil-01.csv"), Path("oil-02.csv")]
    settings = settings_of(*files)
    assert ["gas", "oil-01", "oil-02"] == [meter.id for meter in settings.meters]
    assert f"\ngas = {workdir}/my [[]data]/gas-*.csv\n" in Path("made.ini").read_text()
    assert 3 == len(settings.meters[0].files)


@pytest.mark.parametrize(
    ("second", "note"),
    [
        ("2023-01-01 00:00:00,1\n", "their rows begin at the same time"),
        ("2024-01-01 00:00:00;1\n", "only some of them need delimiter"),
        ("2024-01-01T00:00:00,1\n", "only some of them need timestamp_format"),
    ],
)
def test_files_that_only_look_like_one_meter(workdir: Path, second: str, note: str) -> None:
    """Files that need other settings, or begin at the same time, are meters of their own."""
    written(workdir / "a-2023.csv", "2023-01-01 00:00:00,1\n")
    written(workdir / "a-2024.csv", second)
    settings = settings_of("a-2023.csv", "a-2024.csv")
    assert ["a-2023", "a-2024"] == [meter.id for meter in settings.meters]
    told = init("a-2023.csv", "a-2024.csv").stderr
    assert f"a-2023.csv, a-2024.csv: a meter for each file, because {note}" in told


def test_one_file_shows_what_the_others_do_not(workdir: Path) -> None:
    """The order of day and month, and words for empty cells, are those of all files of a meter."""
    written(workdir / "a-2023-01.csv", "02/01/2023 10:00,1\n02/01/2023 11:00,null\n")
    written(workdir / "a-2023-02.csv", "13/02/2023 10:00,1\n13/02/2023 11:00,---\n")
    (meter,) = settings_of("a-2023-01.csv", "a-2023-02.csv").meters
    assert "%d/%m/%Y %H:%M" == meter.rules.timestamp_format
    assert frozenset({"null", "---"}) == meter.rules.missing
    assert "may be" not in init("a-2023-01.csv", "a-2023-02.csv").stderr


def test_files_that_name_utc(workdir: Path) -> None:
    """Each file whose times are in UTC by their text says so, whatever zone is given."""
    for name in "ab":
        written(workdir / f"{name}.csv", "Time (UTC),kWh\n2023-01-31 10:00:00,1\n")
    written(workdir / "c.csv", "2023-01-31 10:00:00 UTC,1\n")
    settings = settings_of("a.csv", "b.csv", "c.csv", "--timezone", "Europe/Rome")
    assert {"Etc/UTC"} == {meter.rules.timezone for meter in settings.meters}
    assert "timezone = Europe/Rome" in Path("made.ini").read_text()


def test_a_zone_that_all_files_show(workdir: Path) -> None:
    """The clock changes of all files of a meter count."""
    for year in (2022, 2023):
        export(workdir / f"a-{year}.csv", "America/Chicago", f"{year}-11-01", 10)
    (meter,) = settings_of("a-2022.csv", "a-2023.csv").meters
    assert ("a", "America/New_York") == (meter.id, meter.rules.timezone)


OFFICE = "Time;kW;Status\r\n13/05/2024 00:00;1,64;ok\r\n13/05/2024 00:30;1,37;ok\r\n"


def test_common_options_are_written_once(workdir: Path) -> None:
    """Options that all files share are under [swarm], the others under the meter."""
    for name in ("a", "b"):
        written(workdir / f"{name}.csv", "\ufeff" + OFFICE)
    settings = settings_of("a.csv", "b.csv")
    text = Path("made.ini").read_text()
    assert 1 == text.count("\ntimestamp_format = %d/%m/%Y %H:%M\n")
    assert "[meter:" not in text
    assert {("value", "-")} == {meter.rules.columns for meter in settings.meters}
    written(workdir / "c.csv", OFFICE.replace(",", "."))
    settings_of("a.csv", "c.csv")
    shared, _, own = Path("made.ini").read_text().partition("[credentials]")
    assert ("decimal" in shared, "decimal = ,\n" in own) == (False, True)
    assert "delimiter = ;" in shared


def test_one_file_keeps_its_options_to_itself(workdir: Path) -> None:
    """A second meter, added by hand, starts from the defaults."""
    written(workdir / "a.csv", OFFICE)
    settings_of("a.csv")
    assert "delimiter" not in Path("made.ini").read_text().partition("[credentials]")[0]


def test_21_columns_with_a_header(workdir: Path) -> None:
    """Register names in a header become the columns, in their order."""
    names = [*REGISTERS[1:], "aP_1"]
    text = f"when,{','.join(names)}\n2023-01-01 00:00:00{',1' * 21}\n"
    written(workdir / "a.csv", text)
    (meter,) = settings_of("a.csv").meters
    assert tuple(names) == meter.rules.columns


def test_offsets_need_no_zone(workdir: Path) -> None:
    """If all timestamps have offsets, no zone is written and the user need not check one."""
    written(workdir / "a.csv", "2023-01-01T00:00:00Z,1\n2023-01-01T00:15:00+01:00,1\n")
    (meter,) = settings_of("a.csv").meters
    assert meter.rules.timezone is None
    assert "" == init("a.csv").stderr
    written(workdir / "b.csv", "\n".join(rows(3)))
    assert {"Europe/Dublin"} == {m.rules.timezone for m in settings_of("a.csv", "b.csv").meters}


def test_the_zone_is_to_be_checked(workdir: Path) -> None:
    """The computer's zone is only a proposal, as both the INI and stderr say."""
    written(workdir / "a.csv", "\n".join(rows(3)))
    done = init("a.csv")
    assert "# CHECK: is it the zone of the files' timestamps" in done.stdout
    assert done.stderr.startswith("timezone = Europe/Dublin: is it the zone")


def test_a_zone_that_cannot_be(workdir: Path) -> None:
    """Clock changes in the files exclude the computer's zone; a zone that fits is used."""
    export(workdir / "a.csv", "America/Chicago", "2023-11-01", 10)
    (meter,) = settings_of("a.csv").meters
    assert "America/New_York" == meter.rules.timezone
    told = init("a.csv").stderr
    assert (
        "The files repeat 2023-11-05 01:00 to 02:00, as clocks do in America/New_York, "
        "America/Chicago, America/Denver and 6"
    ) in told
    assert "more zones, but not in Europe/Dublin; readings sent with a wrong zone" in told


def test_a_zone_that_the_files_confirm(workdir: Path) -> None:
    """The computer's zone is preferred to others that fit the files as well."""
    export(workdir / "a.csv", "Europe/Dublin", "2023-10-20", 20)
    (meter,) = settings_of("a.csv").meters
    assert "Europe/Dublin" == meter.rules.timezone
    said = init("a.csv").stderr
    assert "It is this computer's zone, and the files repeat 2023-10-29 01:00" in said


def test_an_odd_file_among_others(workdir: Path) -> None:
    """Most files determine the zone; one that does not fit gets its own, with a message."""
    for name in "abcd":
        export(workdir / f"{name}.csv", "Europe/Paris", "2023-03-01", 240)
    export(workdir / "logger.csv", "UTC", "2023-03-01", 240)
    export(workdir / "us.csv", "America/Denver", "2023-03-01", 270)
    settings = settings_of(*(f"{name}.csv" for name in ("a", "b", "logger", "c", "us", "d")))
    zones = {meter.id: meter.rules.timezone for meter in settings.meters}
    assert {"Europe/Paris"} == {zones[name] for name in "abcd"}
    assert ("Etc/UTC", "America/New_York") == (zones["logger"], zones["us"])
    text = Path("made.ini").read_text()
    assert 3 == text.count("CHECK: is it the zone of the files' timestamps")
    told = init("a.csv", "b.csv", "logger.csv", "us.csv").stderr
    assert (
        "logger.csv: timezone = Etc/UTC: is it the zone of the files' timestamps (an IANA name)? "
        "Here are rows at 2023-03-26 02:00 to 03:00, but clocks in Europe/Paris skip that hour"
    ) in told
    assert "us.csv: timezone = America/New_York: " in told


def test_a_clock_change_far_into_a_file(workdir: Path) -> None:
    """Clock changes are found however long the file; in a year of minutes they are far in."""
    path = export(workdir / "a.csv", "Europe/Rome", "2023-04-01", 250, minutes=1)
    assert path.stat().st_size > 30 * SAMPLE_BYTES
    (meter,) = settings_of("a.csv").meters
    assert "Europe/Paris" == meter.rules.timezone


def test_a_logger_in_utc_alone(workdir: Path) -> None:
    """A zone in which rows can't exist is not proposed, even if it is this computer's."""
    export(workdir / "a.csv", "UTC", "2023-03-01", 60)
    (meter,) = settings_of("a.csv").meters
    assert "Etc/UTC" == meter.rules.timezone
    assert (
        "but clocks in Europe/Dublin, this computer's zone, skip that hour" in init("a.csv").stderr
    )


@pytest.mark.parametrize("found", [None, "Nowhere/Else", "posix/Europe/Rome", KeyError, OSError])
def test_this_computers_zone_is_unknown(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, found: str | type[Exception] | None
) -> None:
    """If this computer's zone is unknown, UTC is proposed for checking, without a warning."""

    def get_localzone_name() -> str | None:
        logging.getLogger("tzlocal").warning("conflicting files")
        warnings.warn("syntax error", stacklevel=1)
        if found is None or isinstance(found, str):
            return found
        raise found

    monkeypatch.setattr("tzlocal.get_localzone_name", get_localzone_name)
    written(workdir / "a.csv", "\n".join(rows(3)))
    (meter,) = settings_of("a.csv").meters
    assert "Etc/UTC" == meter.rules.timezone
    (line,) = init("a.csv").stderr.splitlines()
    assert line.startswith("timezone = Etc/UTC: is it the zone of the files' timestamps")
    assert "this computer's zone is not known" in line


def test_a_zone_that_is_given(workdir: Path) -> None:
    """A given zone needs no check; an invalid one gives exit 2."""
    written(workdir / "a.csv", "\n".join(rows(3)))
    (meter,) = settings_of("a.csv", "--timezone", "America/Chicago").meters
    assert "America/Chicago" == meter.rules.timezone
    assert "" == init("a.csv", "--timezone", "America/Chicago").stderr
    export(workdir / "b.csv", "Europe/Rome", "2023-10-20", 20)
    told = init("b.csv", "--timezone", "America/Chicago").stderr
    assert told.startswith("timezone = America/Chicago: b: ")
    assert "repeat 2023-10-29 02:00 to 03:00" in told
    wrong = str(init("a.csv", "--timezone", "Dublin").exception)
    assert wrong.startswith("--timezone: found 'Dublin', expected an IANA time zone")


def test_the_real_data() -> None:
    """Two years of two real meters, with their clock changes, are accepted unchanged."""
    names = ("il-electricity-kwh-hourly.csv", "il-gas-therm-hourly.csv")
    assert 2 == len(settings_of(*(ROOT / "sample_data" / name for name in names)).meters)


def test_the_same_name_in_several_folders(workdir: Path) -> None:
    """The folder is put before the name; IDs that are still equal are numbered."""
    for folder in ("a", "b", "x/a", "x/b"):
        (workdir / folder).mkdir(parents=True)
    paths = ["a/m.csv", "b/m.csv", "x/a/m.csv", "x/b-m.csv"]
    for path in paths:
        written(workdir / path, "\n".join(rows(2)))
    assert ["a-m", "b-m", "a-m-2", "b-m-2"] == [meter.id for meter in settings_of(*paths).meters]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("#1.csv", "_1"),
        ("a=b.csv", "a_b"),
        ("~x.csv", "~x"),
        (" gas [1]*.csv ", "gas [1]*"),
        (";.csv", "_"),
        ("a: b?.csv", "a: b?"),
        ("größe.csv", "größe"),
        (".csv", ".csv"),
    ],
)
def test_odd_names(workdir: Path, name: str, expected: str) -> None:
    """A meter has an ID and reads exactly its file, whatever the file's name."""
    written(workdir / name, OFFICE)
    written(workdir / "gas 1.csv", "not of this meter")
    (meter,) = settings_of(name).meters
    assert (expected, (workdir / name,)) == (meter.id, meter.files)


def test_a_file_that_cannot_be_guessed_is_left_out(workdir: Path) -> None:
    """Each such file is a line on stderr (exit 3); the INI has the others and mentions it."""
    written(workdir / "a.csv", "\n".join(rows(3)))
    written(workdir / "b.csv", "x\n")
    written(workdir / "c\nd.csv", "\n".join(rows(3)))
    done = init("a.csv", "b.csv", "none.csv", "c\nd.csv", "--timezone", "UTC")
    assert (3, None) == (done.return_value, done.exception)
    problems = done.stderr.splitlines()
    assert ["b.csv", "none.csv", "c\\nd.csv"] == [line.partition(": ")[0] for line in problems]
    assert "none.csv: no such file" == problems[1]
    assert "\n# Left out: none.csv: no such file\n" in done.stdout
    assert "\na = a.csv\n" in done.stdout
    alone = init("b.csv")
    assert (3, "", 1) == (alone.return_value, alone.stdout, len(alone.stderr.splitlines()))


def test_an_ini_is_no_csv(workdir: Path) -> None:
    """An INI given as a CSV is recognized, and none of its content is shown."""
    written(workdir / "old.ini", "password = hunter2\n")
    assert (
        "old.ini: this is an INI, not a CSV; for an INI of the original app, use --from\n"
        == init("old.ini").stderr
    )


def test_without_files() -> None:
    """Without files a template is written; every option in it is valid."""
    done = init()
    assert (0, None) == (done.return_value, done.exception)
    text = re.sub(r"(?m)^#(?=[a-z_]+ = )", "", done.stdout)
    text = re.sub(r"(?m)^(unit|columns|shift|pad_first) = .*\n", "", text)
    Path("made.ini").write_text(text)
    (meter,) = load(Path("made.ini"), {}, secrets=False).meters
    assert ("your-stream-id", 15.0) == (meter.id, meter.rules.power_from_energy)


def test_as_a_user_does_it(workspace: Workspace) -> None:
    """``swarm init data/*.csv > meters.ini``, ``swarm check`` and a dry run work in sequence."""
    workspace.csv("data/größe.csv", OFFICE)
    made = workspace.run("init", "data/größe.csv", env={"TZ": "UTC", "PYTHONIOENCODING": "ascii"})
    assert 0 == made.code
    assert 2 == len(made.err.splitlines())
    (workspace.folder / "meters.ini").write_text(made.out, encoding="utf-8")
    assert (0, True) == ((done := workspace.run("check", "meters.ini")).code, "sound" in done.out)
    dry = workspace.run("meters.ini", "--dry-run")
    assert '{"id":"größe","tsISO8601":"2024-05-13T00:00:00.000+00:00","value":1.64}' in dry.out
