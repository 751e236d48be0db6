"""An INI, overridden by flags, becomes settings; all its problems come in one error."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as search
from hypothesis import strategies as st

from swarm.config.load import load
from swarm.config.urls import ENVIRONMENTS, with_route
from swarm.errors import SettingsError
from tests.support.ini import SWARM, ini_text, loaded, meters, problems, users

COMMENTS = "comments must be on their own lines"
HIDDEN = "found a value that is not shown here (it may contain a password)"
PLACES = ("production", "development", "demo", "local", "sandbox")
ANY_PLACE = "production, development, demo, local or sandbox"
SAMPLES = Path(__file__).parents[3] / "sample_configs"


@pytest.mark.parametrize("name", [*ENVIRONMENTS, "Production"])
def test_environments(tmp_path: Path, name: str) -> None:
    """The name of an environment means its URL."""
    text = ini_text(swarm=f"environment = {name}\ntimezone = UTC")
    settings = loaded(tmp_path, text)
    assert ENVIRONMENTS[name.lower()] == settings.url
    assert not settings.sandbox


def test_sandbox(tmp_path: Path) -> None:
    """The run's sandbox has no URL yet and no proxy; a meter keeps its route."""
    swarm = f"{SWARM}\nroute = utc\nproxy = http://proxy.example.com:3128"
    settings = loaded(tmp_path, ini_text(swarm=swarm))
    assert settings.sandbox
    assert ("sandbox", None, "utc") == (settings.collector, settings.url, settings.meters[0].route)
    assert settings.proxy is None


def test_route(tmp_path: Path) -> None:
    """A route of [swarm] applies to all meters without a route of their own."""
    text = ini_text(
        swarm="url = https://h.example/unifiedjson\ntimezone = UTC\nroute = utc",
        meters="a = a\nb = b",
        rest="[meter:b]\nroute = partial",
    )
    settings = loaded(tmp_path, text)
    assert {"a": "unifiedjson_utc/", "b": "unifiedjson_partial/"} == {
        name: with_route(settings.url or "", meter.route).removeprefix("https://h.example/")
        for name, meter in meters(settings).items()
    }
    assert [True, False] == [meter.rules.utc for meter in settings.meters]
    assert ("https%3A%2F%2Fh.example", "https://h.example/unifiedjson/") == (
        settings.collector,
        settings.url,
    )


@pytest.mark.parametrize(
    ("swarm", "expected"),
    [
        (
            "",
            (
                f"1: [swarm] environment: missing; set it to one of {', '.join(PLACES)}, or set "
                "url = https://..."
            ),
        ),
        (
            "environment = demo\nurl = https://h/",
            "3: [swarm] url: can't be used together with environment; remove one",
        ),
        ("environment = prod", f"2: [swarm] environment: found 'prod', expected {ANY_PLACE}"),
        (
            "environment = Sandbx",
            (
                f"2: [swarm] environment: found 'Sandbx', expected {ANY_PLACE}; did you mean "
                "'sandbox'?"
            ),
        ),
        (
            "environment = https://u:hunter2@h/",
            f"2: [swarm] environment: {HIDDEN}, expected {ANY_PLACE}",
        ),
        (
            "url = http://h.example/",
            (
                "2: [swarm] url: found 'http://h.example/', expected https:// (http:// would send "
                "the password in the clear)"
            ),
        ),
        (
            "url = https://u:hunter2@h.example/",
            f"2: [swarm] url: {HIDDEN}, expected a URL without user and password",
        ),
        (
            "url = https://h.example/?key=hunter2",
            (
                f"2: [swarm] url: {HIDDEN}, expected a URL that ends with its path, without query "
                "or fragment"
            ),
        ),
        (
            "environment = demo password = hunter2",
            f"2: [swarm] environment: {HIDDEN}, expected {ANY_PLACE}",
        ),
        ("url =", "2: [swarm] url: empty; give it a value or leave it out"),
        (
            "environment = local\nproxy = http://proxy.example.com",
            (
                "3: [swarm] proxy: would get the password in the clear; expected no proxy, or "
                "https:// as the collector's URL"
            ),
        ),
        (
            "environment = demo\nproxy = proxy.example.com",
            (
                "3: [swarm] proxy: found 'proxy.example.com', expected a proxy such as "
                "http://proxy.example.com:3128"
            ),
        ),
        (
            "environment = demo\nca_bundle = none.pem",
            "3: [swarm] ca_bundle: no such file: {folder}/none.pem",
        ),
    ],
)
def test_collector_refused(tmp_path: Path, swarm: str, expected: str) -> None:
    """There must be exactly one collector, and the password must be safe on the way to it."""
    found = problems(tmp_path, ini_text(swarm=f"{swarm}\ntimezone = UTC"))
    assert [expected.replace("{folder}", str(tmp_path))] == found


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are relative to the INI's folder; a tilde is the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir("/")
    (tmp_path / "ca.pem").touch()
    text = ini_text(
        swarm="environment = demo\ntimezone = UTC\nstate = a b\nlog_file = ~/x.log\n"
        "ca_bundle = ca.pem\nproxy = http://127.0.0.1:3128"
    )
    settings = loaded(tmp_path, text)
    assert (tmp_path / "a b", tmp_path / "home/x.log") == (settings.state, settings.log_file)
    assert (str(tmp_path / "ca.pem"), "http://127.0.0.1:3128") == (
        settings.ca_bundle,
        settings.proxy,
    )


def test_default_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default state folder is the user's own."""
    monkeypatch.setattr("platformdirs.user_state_path", lambda name: tmp_path / name)
    assert tmp_path / "swarm" == loaded(tmp_path, ini_text()).state


def test_proxy_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy variable is not used; a notice names the option, and nothing of its value."""
    monkeypatch.setenv("https_proxy", "http://u:hunter2@proxy.example.com")
    monkeypatch.setenv("NO_PROXY", "x")
    monkeypatch.setenv("ALL_PROXY", "")
    text = ini_text(swarm="environment = demo\ntimezone = UTC")
    warning = "https_proxy is set and not used; to use a proxy, set proxy under [swarm]"
    assert (warning,) == loaded(tmp_path, text).warnings
    proxied = text.replace("timezone", "proxy = http://proxy.example.com\ntimezone")
    for quiet in (proxied, ini_text()):
        assert () == loaded(tmp_path, quiet).warnings
    assert () == loaded(tmp_path, text, secrets=False).warnings
    assert () == loaded(tmp_path, text, {"dry_run": True}).warnings


def test_flags_win(tmp_path: Path) -> None:
    """Flags override [upload], and [upload] overrides the defaults."""
    text = ini_text(rest="[upload]\nconnections = 5\nsettle = 1s\nkeep_going = yes\nquiet = no")
    upload = loaded(tmp_path, text, {"connections": 7, "keep_going": False, "adopt": True}).upload
    assert (7, 1.0, False, True, 30.0) == (
        upload.connections,
        upload.settle,
        upload.keep_going,
        upload.adopt,
        upload.timeout,
    )


@pytest.mark.parametrize(
    ("upload", "given", "expected"),
    [
        (
            "timeout = 30",
            {"timeout": 2.0},
            "10: [upload] timeout: found '30', expected a duration such as 90s, 15m, 2h or 1h30m",
        ),
        (
            "until = 2023-01-01\nsince = 2023-01-01",
            {},
            "10: [upload] until: not later than since: no row is between the two",
        ),
        (
            "until = 1970-01-01",
            {"since": 1},
            "10: [upload] until: not later than since: no row is between the two",
        ),
        (
            "since = 1970-01-02",
            {"until": 1},
            "--until: not later than since: no row is between the two",
        ),
        (
            "quiet = yes\nverbose = 1",
            {},
            "11: [upload] verbose: can't be used together with quiet",
        ),
        (
            "",
            {"quiet": True, "verbose": 1},
            "--verbose: can't be used together with quiet",
        ),
        (
            "",
            {"restart": True, "adopt": True},
            "--adopt: can't be used together with restart",
        ),
    ],
)
def test_upload_refused(
    tmp_path: Path, upload: str, given: Mapping[str, Any], expected: str
) -> None:
    """An invalid option or pair of options is a problem of the INI or of the flags."""
    (found,) = problems(tmp_path, ini_text(rest=f"[upload]\n{upload}"), given)
    assert expected == found.removesuffix("; remove one")


@pytest.mark.parametrize(
    ("upload", "given", "expected"),
    [
        ("verbose = 2", {"quiet": True}, (True, 0)),
        ("quiet = yes", {"verbose": 1}, (False, 1)),
        ("quiet = no\nverbose = 1", {}, (False, 1)),
    ],
)
def test_flag_drops_its_contrary(
    tmp_path: Path, upload: str, given: Mapping[str, Any], expected: tuple[bool, int]
) -> None:
    """A flag overrides the INI's opposite option as it overrides the same option."""
    options = loaded(tmp_path, ini_text(rest=f"[upload]\n{upload}"), given).upload
    assert expected == (options.quiet, options.verbose)


def test_all_problems_by_line(tmp_path: Path) -> None:
    """All problems are reported together, in order of lines, with section and option."""
    text = (
        "[upload]\ntimeout = 1\nlat = send\n[meters]\ngas = gas.csv\nwater = w.csv\n"
        "[meter:water]\nunit = kg\ntimezone = Nowhere\n[credentials]\npassword_env = X\n"
        "[swarm]\nurl = https://h/\nenvironment = demo\n"
    )
    assert [
        "2: [upload] timeout",
        "3: [upload] lat",
        "5: [meters] gas",
        "8: [meter:water] unit",
        "9: [meter:water] timezone",
        "10: [credentials] username",
        "13: [swarm] url",
    ] == [re.split(r"(?<=[a-z]): ", line)[0] for line in problems(tmp_path, text)]


def test_file_is_read_once(tmp_path: Path) -> None:
    """An INI may be a pipe, which can be read only once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    writer = Thread(target=pipe.write_text, args=(ini_text(), "utf-8"))
    writer.start()
    assert ["gas"] == list(meters(load(pipe, {})))
    writer.join()


LINES = st.one_of(
    st.sampled_from(
        [
            *("[swarm]", "[credentials]", "[meters]", "[upload]", "[meter:gas]", "[meter:]"),
            *("[Web DC]", "[General]", "[Logs]", "[credentials:b]", "[swrm]", "[", "[]", "=", ""),
            *("environment = demo", "timezone = UTC", "username = a", "gas = gas.csv", "  x"),
            *("ChannelType: other", "Filename = x", "MinutesShift", "pad_first = yes", "; c"),
        ]
    ),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(
            [
                *("environment", "url", "timezone", "state", "columns", "unit", "gas", "  gas"),
                *("timestamp_format", "interval", "since", "credentials", "password", "URL"),
                *("ca_bundle", "log_file", "delimiter", "Level", "shift", "MinutesInSlot"),
            ]
        ),
        st.sampled_from(["=", " = ", ":", " ", ""]),
        st.text(max_size=20),
    ),
    st.text(max_size=30),
)


@search(deadline=None)
@given(st.lists(LINES, max_size=25))
def test_any_text(lines: list[str]) -> None:
    """Loading any text raises nothing but `SettingsError`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.ini"
        path.write_bytes("\n".join(lines).encode("utf-8", "replace"))
        try:
            load(path, {}, secrets=False)
        except SettingsError as error:
            found = list(error.problems)
        else:
            found = ["no problem"]
    assert found
    assert all(line and "\n" not in line for line in found)


@search(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    """Loading any bytes raises nothing but `SettingsError`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.ini"
        path.write_bytes(b"[swarm]\n" + data)
        with pytest.raises(SettingsError):
            load(path, {})


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.ini")), ids=lambda path: path.stem)
def test_samples(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sample loads without avoidable warnings, and its files exist."""
    for variable in ("WATTICS_PASSWORD", "DUBLIN_PASSWORD", "CHICAGO_PASSWORD"):
        monkeypatch.setenv(variable, "x")
    monkeypatch.chdir(SAMPLES.parent)
    sample.chmod(sample.stat().st_mode & 0o777)
    settings = load(sample, {})
    assert settings.meters
    assert all(file.is_file() for meter in settings.meters for file in meter.files)
    has_inline_password = sample.stem == "original-app"
    assert has_inline_password or () == settings.warnings


def test_quickstart() -> None:
    """The quickstart sends two real meters to its own sandbox."""
    settings = load(SAMPLES / "quickstart.ini", {})
    assert settings.sandbox
    assert {"il-electricity": "demo:demo", "il-gas": "demo:demo"} == users(settings)
    assert {"America/Chicago"} == {meter.rules.timezone for meter in settings.meters}


@pytest.mark.parametrize(
    ("parts", "hints"),
    [
        ({"swarm": "environment = sandbox  # rehearse\ntimezone = UTC"}, [f"2: {COMMENTS}"]),
        ({"rest": "[meter:gas]\ndecimal = ,   ; as here"}, [f"10: {COMMENTS}"]),
        (
            {"rest": "[meter:gas]\ncredentials = a # b\n[credentials:b]"},
            ["10: there is [credentials], [credentials:b]", f"10: {COMMENTS}"],
        ),
        ({"swarm": f"{SWARM}\nca_bundle = a.pem # b"}, [f"4: {COMMENTS}"]),
        ({"credentials": "username = a\npassword_env = NONE # b"}, [f"6: {COMMENTS}"]),
        ({"rest": "[meter:gas]\ndelimiter = ;;"}, []),
        ({"swarm": "timezone = UTC", "rest": "# x ; y # z"}, []),
        (
            {"rest": "[meter:gas]\ncolumns = ap_1, P_1, -, , pC_1"},
            ["10: unknown register: 'ap_1'; did you mean 'aP_1'?", "10: unknown register: 'P_1'"],
        ),
        ({"rest": "[meter:gas]\ncolumns = password=s3cret"}, []),
    ],
)
def test_what_may_help_is_added(tmp_path: Path, parts: dict[str, str], hints: list[str]) -> None:
    """Notes after the problems say which value ends in a comment and which column is unknown."""
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, ini_text(**parts))
    notes = getattr(caught.value, "__notes__", [])
    assert [f"{tmp_path / 'x.ini'}:{hint}" for hint in hints] == notes


@pytest.mark.parametrize("wrong", ["meter-{}x", "meter_{}", "metr-{}"])
def test_many_names_that_are_wrong_are_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """Each wrong name has its hint, and few of them are compared with all known names."""
    compared = 0
    matches = difflib.get_close_matches

    def counted(word: str, known: Iterable[str], **options: Any) -> list[str]:
        nonlocal compared
        candidates = list(known)
        compared += len(candidates)
        return matches(word, candidates, **options)

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    names = [f"meter-{number:04}" for number in range(1000)]
    meters = "\n".join(f"{name} = gas.csv" for name in names)
    sections = "\n".join(
        f"[meter:{wrong.format(name.removeprefix('meter-'))}]\nroute = utc" for name in names
    )
    found = problems(tmp_path, ini_text(meters=meters, rest=sections))
    assert compared <= 80 * len(names)
    assert len(found) == 1000
    hints = [f"did you mean '{name}'?" for name in names]
    assert all(hint in line for hint, line in zip(hints, found, strict=True))
