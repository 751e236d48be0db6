"""INIs of the original app follow exactly the rules of that app."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from swarm.config.legacy import recognises
from swarm.config.load import load
from swarm.config.settings import CsvRules, Meter, Settings
from swarm.errors import SettingsError
from swarm.packet import REGISTERS
from tests.support.ini import loaded, problems

URL = "https://web-collector.wattics.com/measurements/v2/unifiedjson/"
OPTIONS = {
    "URL": URL,
    "Username": "acme",
    "Password": "s3cr%%et",
    "Filename": "data.csv",
    "ChannelType": "other",
    "ChannelReference": "gas-01",
    "MinutesShift": "15",
    "MinutesInSlot": "15",
}
TYPES = "real_electricity, fake_electricity or other"
VALUE = CsvRules(timezone="UTC", columns=("value",))


def text(changes: Mapping[str, str | None] | None = None, logs: str = "Level=INFO") -> str:
    """Return an INI of the original app; ``None`` leaves an option out.

    [Web DC] is on line 1, [General] on line 5.
    """
    options = {**OPTIONS, **(changes or {})}
    lines = {key: f"{key}={value}\n" for key, value in options.items() if value is not None}
    web = "".join(lines.pop(key, "") for key in ("URL", "Username", "Password"))
    return f"[Web DC]\n{web}[General]\n{''.join(lines.values())}[Logs]\n{logs}\n"


def meter(settings: Settings) -> Meter:
    """Return the only meter of such an INI."""
    (only,) = settings.meters
    return only


def test_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An INI of the app becomes the settings of one meter."""
    monkeypatch.chdir(tmp_path)
    settings = loaded(tmp_path, text(logs="Level=DEBUG\nFilename=logs/swarm.log"))
    only = meter(settings)
    assert ("gas-01", (tmp_path / "data.csv",), URL) == (only.id, only.files, settings.url)
    assert only.credentials is not None
    assert ("acme", "s3cr%et") == (only.credentials.username, only.credentials.password)
    assert "https%3A%2F%2Fweb-collector.wattics.com%2Fmeasurements%2Fv2" == settings.collector
    assert (2, tmp_path / "logs/swarm.log") == (settings.upload.verbose, settings.log_file)
    assert () == settings.warnings


def test_paths_are_relative_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths are relative to the current folder, not the INI's; a tilde is the home folder."""
    (tmp_path / "inis").mkdir()
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    settings = loaded(tmp_path / "inis", text(logs="Filename=x.log"))
    assert (tmp_path / "cwd/data.csv",) == meter(settings).files
    assert tmp_path / "cwd/x.log" == settings.log_file
    home = loaded(tmp_path / "inis", text({"Filename": "~/a b[1]*.csv"}))
    assert (tmp_path / "home/a b[1]*.csv",) == meter(home).files


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"MinutesShift": None, "MinutesInSlot": None}, {}),
        ({"MinutesShift": "0"}, {}),
        ({"MinutesShift": "15"}, {"shift": 900.0, "pad_first": True}),
        ({"MinutesShift": "+015"}, {"shift": 900.0, "pad_first": True}),
        (
            {"ChannelType": "fake_electricity", "MinutesShift": None},
            {"power_from_energy": 15.0},
        ),
        (
            {"ChannelType": "fake_electricity", "MinutesInSlot": "5"},
            {"power_from_energy": 5.0, "shift": 900.0, "pad_first": True},
        ),
        (
            {"ChannelType": "real_electricity", "MinutesShift": None},
            {"columns": REGISTERS},
        ),
    ],
)
def test_rules(tmp_path: Path, changes: Mapping[str, str | None], expected: dict[str, Any]) -> None:
    """Type, shift and slot become the CSV's rules; times are UTC; a shift of 0 is no shift."""
    whole = {"timezone": "UTC", "columns": ("value",), **expected}
    assert CsvRules(**whole) == meter(loaded(tmp_path, text(changes))).rules


def test_nothing_continues_an_option_without_a_value(tmp_path: Path) -> None:
    """An indented line below it begins a section or an option, or is a problem."""
    ini = text({"MinutesShift": None, "MinutesInSlot": None})
    for below in ("  [Logs]\n", " MinutesInSlot=\n[Logs]\n"):
        bare = ini.replace("[Logs]\n", f"MinutesShift\n{below}")
        assert 0 == meter(loaded(tmp_path, bare)).rules.shift
    (problem,) = problems(tmp_path, ini.replace("[Logs]\n", "MinutesShift\n  15\n[Logs]\n"))
    assert problem.endswith("[General]: a line that is not 'option = value'")


@pytest.mark.parametrize("line", ["MinutesShift", "MinutesShift=", "minutesshift :", "# none"])
def test_unset_shift(tmp_path: Path, line: str) -> None:
    """MinutesShift may have no value, with or without '=', or be missing."""
    found = loaded(tmp_path, text().replace("MinutesShift=15", line))
    assert VALUE == meter(found).rules


@pytest.mark.parametrize("line", ["MinutesInSlot", "MinutesInSlot=", "MinutesInSlot=0", "# none"])
def test_slot_is_needed(tmp_path: Path, line: str) -> None:
    """Only fake_electricity needs MinutesInSlot, and is refused without it."""
    found = text().replace("MinutesInSlot=15", line)
    assert VALUE.columns == meter(loaded(tmp_path, found)).rules.columns
    fake = found.replace("=other", "=fake_electricity")
    line_number = "5" if line == "# none" else "10"
    assert [
        (
            f"{line_number}: [General] MinutesInSlot: fake_electricity needs it: a whole number of "
            "minutes above zero"
        )
    ] == problems(tmp_path, fake)


@pytest.mark.parametrize("minutes", ["10", "0"])
def test_real_electricity_is_never_shifted(tmp_path: Path, minutes: str) -> None:
    """real_electricity with MinutesShift set is refused, as the app's own example would be."""
    changes = {"ChannelType": "real_electricity", "MinutesShift": minutes}
    message = "9: [General] MinutesShift: can't be used with real_electricity; remove the option"
    assert [message] == problems(tmp_path, text(changes))
    bare = text(changes).replace(f"MinutesShift={minutes}", "MinutesShift")
    assert REGISTERS == meter(loaded(tmp_path, bare)).rules.columns


def test_names_and_delimiters(tmp_path: Path) -> None:
    """Options in any letter case, ':' for '=', '%%' for '%', comments, indentation, CRLF, BOM."""
    ini = (
        "\ufeff; the app's\r\n[Web DC]  ; collector\r\n  url: https://x.example/unifiedjson/\r\n"
        "  # user\r\n  USERNAME = a%%b\r\n  password:p=1:2;3#4%%%%\r\n\r\n[General]\r\n"
        "fileName:x:y=z.csv\r\nCHANNELTYPE = other\r\nchannelreference:a:b = %%\r\n"
    )
    settings = loaded(tmp_path, ini)
    only = meter(settings)
    assert only.credentials is not None
    assert ("a%b", "p=1:2;3#4%%") == (only.credentials.username, only.credentials.password)
    assert ("a:b = %", "x:y=z.csv") == (only.id, only.files[0].name)
    assert "https://x.example/unifiedjson/" == settings.url


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"URL": None}, "1: [Web DC] URL: missing"),
        ({"URL": ""}, "2: [Web DC] URL: missing"),
        (
            {"URL": "http://example.com/x/"},
            (
                "2: [Web DC] URL: found 'http://example.com/x/', expected https:// (http:// would "
                "send the password in the clear)"
            ),
        ),
        (
            {"URL": "https://u:hunter2@example.com/x/"},
            (
                "2: [Web DC] URL: found a value that is not shown here (it may contain a "
                "password), expected a URL without user and password"
            ),
        ),
        ({"Username": None}, "1: [Web DC] Username: missing"),
        (
            {"Username": "a:b"},
            "3: [Web DC] Username: contains ':', which basic auth does not allow",
        ),
        ({"Password": None}, "1: [Web DC] Password: missing"),
        ({"Password": ""}, "4: [Web DC] Password: missing"),
        (
            {"Password": "hunter2%"},
            "4: [Web DC] password: a single '%'; write it as %% in this kind of INI",
        ),
        (
            {"Password": "%(hunter2)s"},
            "4: [Web DC] password: a single '%'; write it as %% in this kind of INI",
        ),
        (
            {"Password": "hunter2\n  hunter3"},
            (
                "4: [Web DC] Password: takes several lines; begin each option without indentation: "
                "an indented line continues the option above it"
            ),
        ),
        (
            {"Filename": "a.csv\n  b.csv"},
            (
                "6: [General] Filename: takes several lines; begin each option without "
                "indentation: an indented line continues the option above it"
            ),
        ),
        ({"Filename": None}, "5: [General] Filename: missing"),
        ({"ChannelReference": None}, "5: [General] ChannelReference: missing"),
        ({"ChannelType": None}, "5: [General] ChannelType: missing"),
        (
            {"ChannelType": "gas"},
            f"7: [General] ChannelType: found 'gas', expected {TYPES}",
        ),
        (
            {"MinutesShift": "-5"},
            "9: [General] MinutesShift: found '-5', expected a whole number of minutes",
        ),
        (
            {"ChannelType": "real_electricity", "MinutesShift": "x"},
            "9: [General] MinutesShift: found 'x', expected a whole number of minutes",
        ),
        (
            {"ChannelType": "fake_electricity", "MinutesInSlot": "x"},
            "10: [General] MinutesInSlot: found 'x', expected a whole number of minutes",
        ),
    ],
)
def test_problems(tmp_path: Path, changes: Mapping[str, str | None], expected: str) -> None:
    """Each missing or wrong value is reported once with its place, without any password."""
    assert [expected] == problems(tmp_path, text(changes))


def test_all_at_once(tmp_path: Path) -> None:
    """All problems of such an INI are reported together, in order of lines."""
    ini = (
        "hunter2\n[Web DC]\nURL=ftp://x\nPassword\nhunter2\nPassword=hunter2\n  hunter3\n"
        "[General]\nChannelType=x\nFilename=a\nFilename=b\n[General]\n[Logs]\nLevel=loud\n"
    )
    levels = "debug, notset, info, warning, warn, error, critical or fatal"
    assert [
        "1: a line before the first [section]",
        "2: [Web DC] Username: missing",
        (
            "3: [Web DC] URL: found 'ftp://x', expected a URL such as "
            "https://collector.example.com/unifiedjson/"
        ),
        "4: [Web DC] Password: missing",
        "5: [Web DC]: a line that is not 'option = value'",
        "6: [Web DC] password: given twice, first on line 4",
        "8: [General] ChannelReference: missing",
        f"9: [General] ChannelType: found 'x', expected {TYPES}",
        "11: [General] filename: given twice, first on line 10",
        "12: [General]: this section occurs twice, first on line 8; merge the two",
        f"14: [Logs] Level: found 'loud', expected {levels}",
    ] == problems(tmp_path, ini)


def test_unknown_names_are_passed_over(tmp_path: Path) -> None:
    """The app ignored unknown names; swarm ignores them, too, with a warning."""
    ini = text().replace("[Logs]", "MinuteShift=5\n[Notes]\nx=y\n[Logs]")
    ini = ini.replace("Username", "hunter2=x\nUsername")
    settings = loaded(tmp_path, ini)
    path = tmp_path / "x.ini"
    assert (
        f"{path}:13: [Notes]: unknown section; it is ignored",
        f"{path}:3: [Web DC]: unknown option; it is ignored",
        (
            f"{path}:12: [General] minuteshift: unknown option; did you mean 'minutesshift'?; "
            "it is ignored"
        ),
    ) == settings.warnings


def test_flags_win(tmp_path: Path) -> None:
    """Flags override the INI's log level, and are checked as with any INI."""
    assert 1 == loaded(tmp_path, text()).upload.verbose
    assert 0 == loaded(tmp_path, text(), {"quiet": True}).upload.verbose
    assert ["--until: not later than since: no row is between the two"] == problems(
        tmp_path, text(), {"since": 2, "until": 1}
    )
    assert ["--meter gas: no such meter; did you mean 'gas-01'?"] == problems(
        tmp_path, text(), {"meters": ("gas",)}
    )


def test_readable_password(tmp_path: Path) -> None:
    """A password that others can read causes a warning here, too."""
    path = tmp_path / "x.ini"
    path.write_text(text(), encoding="utf-8")
    path.chmod(0o644)
    warning = "other users of this computer can read this password; run: chmod 600"
    assert (f"{path}:4: [Web DC] password: {warning} {path}",) == load(path, {}).warnings


@pytest.mark.parametrize(
    ("ini", "expected"),
    [
        ("[Web DC]", True),
        ("\n  [General]\n", True),
        ("x\n[ Logs ]", True),
        ("# [Web DC]", False),
        ("[swarm]\n[General]", False),
        ("[meters]\n[Logs]", False),
        ("", False),
    ],
)
def test_recognised(ini: str, expected: bool) -> None:
    """Any section of the app marks its INI, unless one of swarm's own is there."""
    assert expected is recognises(ini)


def test_no_traceback_of_configparser(tmp_path: Path) -> None:
    """Text that configparser raises errors for is reported in the same way."""
    with pytest.raises(SettingsError):
        loaded(tmp_path, "[Web DC]\n  x\n y\n=\n:\n[]\n[General\n")


def test_log_file_over_two_lines(tmp_path: Path) -> None:
    """A log file on two lines is a problem, although the option is not required."""
    (found,) = problems(tmp_path, text(logs="Filename=x.log\n  Level=INFO"))
    assert found.startswith("12: [Logs] Filename: takes several lines; ")
