"""``swarm init --from``: an INI of the original app, converted, sends the same packets."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.config.load import load
from swarm.config.settings import Settings
from swarm.errors import SettingsError
from swarm.init.migrate import migrate
from swarm.packet import REGISTERS
from tests.support.collector import Collector
from tests.support.workspace import Workspace, rows
from tests.unit.config.test_legacy import OPTIONS, text

CHANGES: Sequence[Mapping[str, str | None]] = [
    {},
    {"MinutesShift": None, "MinutesInSlot": None},
    {"MinutesShift": "0"},
    {"ChannelType": "fake_electricity"},
    {"ChannelType": "fake_electricity", "MinutesShift": None, "MinutesInSlot": "7"},
    {"ChannelType": "real_electricity", "MinutesShift": None},
    {"URL": "https://collector.example.com:8443/unifiedjson"},
    {"ChannelReference": "gas: [kWh]", "Filename": " ~/a b[1]*.csv "},
    {"Password": "a%%b;c #d$e=f:g", "Username": "x=y"},
]


def both(folder: Path, ini: str) -> tuple[Settings, Settings, str]:
    """Return the settings of an INI and of the converted one in another folder, and its text."""
    old, new = folder / "old.ini", folder / "new" / "new.ini"
    old.write_text(ini, encoding="utf-8")
    written = migrate(old)
    new.parent.mkdir(exist_ok=True)
    new.write_text(written.text, encoding="utf-8")
    return load(old, {}), load(new, {}), written.text


@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("logs", ["Level=INFO", "Level=DEBUG\nFilename=x.log", "# none"])
def test_the_settings_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: Mapping[str, str | None], logs: str
) -> None:
    """Collector, user, password, meter, files, rules and log are the same, wherever the INI is."""
    monkeypatch.chdir(tmp_path)
    old, new, _ = both(tmp_path, text(changes, logs))
    (before,), (after,) = old.meters, new.meters
    assert before.credentials == after.credentials
    assert (before.id, old.url, before.rules) == (after.id, new.url, after.rules)
    assert (old.collector, old.state, old.upload) == (new.collector, new.state, new.upload)
    assert old.log_file == new.log_file
    assert [path.name for path in before.files] == [
        path.name.replace("[[]", "[").replace("[*]", "*") for path in after.files
    ]


PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1)


@given(PLAIN, PLAIN.filter(lambda name: "=" not in name and name.strip()[:1] not in "#;"))
def test_any_password(
    tmp_path_factory: pytest.TempPathFactory, password: str, reference: str
) -> None:
    """Any password and reference of the original INI are preserved."""
    if not password.strip() or not reference.strip():
        return
    changes = {
        "Password": password.replace("%", "%%"),
        "ChannelReference": reference.replace("%", "%%"),
    }
    old, new, _ = both(tmp_path_factory.getbasetemp(), text(changes))
    assert old.meters[0].credentials == new.meters[0].credentials
    assert old.meters[0].id == new.meters[0].id


def test_an_environment_goes_by_its_name(tmp_path: Path) -> None:
    """A URL of a known environment is written as the environment's name."""
    assert "environment = production\n" in both(tmp_path, text())[2]


@pytest.mark.parametrize("reference", ["a=b", "#1", ";1"])
def test_an_id_that_cannot_be_written(tmp_path: Path, reference: str) -> None:
    """An ID that an INI can't hold is refused in one line and not changed."""
    path = tmp_path / "old.ini"
    path.write_text(text({"ChannelReference": reference}))
    with pytest.raises(SettingsError, match="ChannelReference: an ID with"):
        migrate(path)


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose name would break the INI's lines is refused."""
    folder = tmp_path / "a\nb"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "old.ini").write_text(text())
    with pytest.raises(SettingsError, match="a folder whose name an INI can't contain"):
        migrate(Path("old.ini"))


def test_other_inis_are_refused(workspace: Workspace) -> None:
    """A swarm INI, a missing INI or one with problems gives exit 2, and no secret is shown."""
    own = workspace.ini("production", {"m": "m.csv"})
    broken = workspace.folder / "broken.ini"
    broken.write_text(text({"Password": "hunter2%"}))
    for path, words in ((own, "not an INI of the original app"), (broken, "a single '%'")):
        done = workspace.run("init", "--from", path)
        assert (2, "", True) == (done.code, done.out, words in done.err)
        assert "hunter2" not in done.err
    missing = workspace.run("init", "--from", "none.ini")
    assert (2, 1) == (missing.code, len(missing.err.splitlines()))
    assert 2 == workspace.run("init", "--from", broken, "m.csv").code


ELECTRICAL = [f"{row.partition(',')[0]}{',1.50' * len(REGISTERS)}" for row in rows(4)]
KINDS: Mapping[str, tuple[Mapping[str, str | None], list[str]]] = {
    "other": ({}, rows(4)),
    "fake_electricity": ({"ChannelType": "fake_electricity", "MinutesInSlot": "7"}, rows(4)),
    "real_electricity": ({"ChannelType": "real_electricity", "MinutesShift": None}, ELECTRICAL),
}


@pytest.mark.parametrize("kind", KINDS)
def test_both_send_the_same_packets(workspace: Workspace, kind: str) -> None:
    """Dry runs print the same, and both send the same packets byte for byte."""
    changes, lines = KINDS[kind]
    assert OPTIONS["MinutesShift"] == "15"
    workspace.csv("data.csv", lines)
    sent = []
    for form in ("old", "new"):
        with Collector() as collector:
            old = workspace.folder / "old.ini"
            old.write_text(text({**changes, "URL": collector.url}, logs=""))
            old.chmod(0o600)
            path = old
            if form == "new":
                made = workspace.run("init", "--from", "old.ini")
                assert (0, 1) == (made.code, len(made.err.splitlines())), made.err
                assert "s3cr" not in made.err
                path = workspace.folder / "inis" / "new.ini"
                path.parent.mkdir()
                path.write_text(made.out)
            dry = workspace.run(path, "--dry-run").out
            done = workspace.run(path)
            assert 0 == done.code, done.err
            users = {request.headers["authorization"] for request in collector.requests}
            sent.append((dry, collector.bodies("gas-01"), users))
    assert sent[0] == sent[1]
    assert 4 + (kind != "real_electricity") == len(sent[0][1])
