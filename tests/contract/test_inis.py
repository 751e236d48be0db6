"""Each rule of section 3 of the contract by its name: an INI that follows it, one that does not."""

from pathlib import Path

import pytest

from swarm.config.load import load
from swarm.errors import SettingsError
from tests.contract.inis import EVERY_PROBLEM, EVERYTHING_WRONG, RULES, Rule
from tests.support.collector import Collector
from tests.support.ini import ini_text, loaded, problems
from tests.support.workspace import Workspace

by_name = pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a home folder with a file in it, and a variable with a password."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/two.txt").write_text("two\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RULES_PASSWORD", "one")


@by_name
def test_rule_kept(tmp_path: Path, rule: Rule) -> None:
    """The INI is accepted without a warning, and sets what it should."""
    settings = loaded(tmp_path, ini_text(**rule.kept))
    assert rule.expected == rule.shows(settings)
    assert () == settings.warnings


@by_name
def test_rule_broken(tmp_path: Path, rule: Rule) -> None:
    """Each problem is reported in full, with line, section and option, and no other problem is."""
    expected = [problem.format(folder=tmp_path) for problem in rule.problems]
    found = problems(tmp_path, ini_text(**rule.broken))
    assert expected == found
    assert "hunter2" not in "".join(found)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encoding_kept(tmp_path: Path, mark: str, end: str) -> None:
    """UTF-8 with or without a BOM and with LF or CRLF is read."""
    text = mark + ini_text(meters="Zähler = gas.csv").replace("\n", end)
    assert ["Zähler"] == [meter.id for meter in loaded(tmp_path, text).meters]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("[swarm]\nx = é\n".encode("latin-1"), ":2: not UTF-8; save the file as UTF-8"),
        (b"[swarm]\n\nx = \0\n", ":3: a NUL byte; save the file as UTF-8"),
        (
            None,
            (
                ": can't be read: No such file or directory; give the path of an INI, or create "
                "one: swarm init FILE.csv ... > meters.ini"
            ),
        ),
    ],
    ids=["Latin-1", "NUL byte", "missing"],
)
def test_encoding_broken(tmp_path: Path, data: bytes | None, message: str) -> None:
    """A file that can't be read is one problem, with the line if there is one."""
    path = tmp_path / "x.ini"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(SettingsError) as caught:
        load(path, {})
    assert (f"{path}{message}",) == caught.value.problems


def test_every_problem_in_one_go(workspace: Workspace) -> None:
    """The command prints all problems on stderr, nothing on stdout, and exits with 2."""
    path = workspace.folder / "x.ini"
    path.write_text(EVERYTHING_WRONG)
    done = workspace.run(path)
    assert [f"{path}:{problem}" for problem in EVERY_PROBLEM] == done.err.splitlines()
    assert (2, "") == (done.code, done.out)


def test_no_section_is_there(tmp_path: Path) -> None:
    """An empty INI lacks every required setting, and all of them are reported."""
    assert [
        (
            "[swarm] environment: missing; set it to one of production, development, demo, local, "
            "sandbox, or set url = https://..."
        ),
        "[meters]: no meter; add a line such as gas-meter-01 = gas.csv",
        "[credentials]: missing; give username and password",
    ] == problems(tmp_path, "")


APP = """[Web DC]
URL={url}
Username=acme
Password=s3cr%%et
[General]
Filename=app.csv
ChannelType={kind}
ChannelReference=gas
MinutesShift={shift}
MinutesInSlot=15
"""


@pytest.mark.parametrize(
    ("kind", "shift", "csv"),
    [
        (
            "fake_electricity",
            "15",
            (
                "2023-07-01 00:00:00,1.5\n2023-07-01 00:15:00,2\n",
                [
                    '"2023-07-01T00:00:00.000+00:00","aP_1":8,"pC_1":2}',
                    '"2023-07-01T00:15:00.000+00:00","aP_1":6,"pC_1":1.5}',
                    '"2023-07-01T00:30:00.000+00:00","aP_1":8,"pC_1":2}',
                ],
            ),
        ),
        (
            "real_electricity",
            "",
            (
                f"2023-07-01 00:00:00,1{',' * 20}2.50\n",
                ['"2023-07-01T00:00:00.000+00:00","aP_1":1,"v_23":2.50}'],
            ),
        ),
    ],
)
def test_original_app_kept(
    workspace: Workspace, collector: Collector, kind: str, shift: str, csv: tuple[str, list[str]]
) -> None:
    """The app's INI runs unchanged: paths from the current folder, UTC, shift and padding."""
    (workspace.folder / "inis").mkdir()
    rows, expected = csv
    workspace.csv("app.csv", rows)
    path = workspace.folder / "inis/app.ini"
    path.write_text(APP.format(url=collector.url, kind=kind, shift=shift))
    done = workspace.run(path)
    assert 0 == done.code, done.err
    head = '{"id":"gas","tsISO8601":'
    assert [f"{head}{rest}" for rest in expected] == [b.decode() for b in collector.bodies("gas")]


def test_original_app_broken(workspace: Workspace, collector: Collector) -> None:
    """An INI with real_electricity and MinutesShift is refused (exit 2), and nothing is sent."""
    path = workspace.folder / "app.ini"
    path.write_text(APP.format(url=collector.url, kind="real_electricity", shift="15"))
    done = workspace.run(path)
    assert (
        f"{path}:9: [General] MinutesShift: can't be used with real_electricity; remove the option"
    ) == done.err.strip()
    assert (2, []) == (done.code, collector.requests)
