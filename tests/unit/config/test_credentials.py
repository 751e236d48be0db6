"""The credentials of a meter; no message shows a password, whatever is wrong."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import settings as search
from hypothesis import strategies as st

from swarm.config.load import load
from swarm.errors import SettingsError
from tests.support.ini import CREDENTIALS, SWARM, ini_text, loaded, problems, users


def test_credential_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A meter's own set wins over that of [swarm], and that over the default."""
    monkeypatch.setenv("B", "2")
    text = ini_text(
        credentials="username = a\npassword = 1",
        meters="x = x\ny = y",
        rest="[meter:y]\ncredentials = site b\n[credentials:site b]\nusername = b\n"
        "password_env = B\n[credentials:c]\nusername = c\npassword = 3",
    )
    assert {"x": "a:1", "y": "b:2"} == users(loaded(tmp_path, text))
    other = text.replace("[credentials]", "credentials = c\n[credentials]")
    assert {"x": "c:3", "y": "b:2"} == users(loaded(tmp_path, other))


NO_PASSWORD = (
    "password: missing; give one of password, password_env, password_file, password_command"
)


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        ("password = hunter2", "4: [credentials] username: missing"),
        (
            "username =\npassword = hunter2",
            "5: [credentials] username: empty; give it a value or leave it out",
        ),
        (
            "username = a:hunter2\npassword = hunter2",
            "5: [credentials] username: contains ':', which basic auth does not allow",
        ),
        ("username = a", f"4: [credentials] {NO_PASSWORD}"),
        (
            "username = a\npassword =",
            "6: [credentials] password: empty; give it a value or leave it out",
        ),
        (
            "username = a\npassword = hunter2\n  hunter3",
            (
                "6: [credentials] password: takes several lines; begin each option without "
                "indentation: an indented line continues the option above it"
            ),
        ),
        (
            "username = a\npassword_env = hunter2\npassword = hunter3",
            "6: [credentials] password_env: can't be used together with password; remove one",
        ),
    ],
)
def test_credentials_refused(tmp_path: Path, credentials: str, expected: str) -> None:
    """A set needs a user and exactly one password option; messages show neither value."""
    assert [expected] == problems(tmp_path, ini_text(credentials=credentials))


def test_named_sets_are_checked(tmp_path: Path) -> None:
    """An unknown set is reported with the closest name; each set is checked, even if unused."""
    rest = "[meter:gas]\ncredentials = sitb\n[credentials:siteb]\nusername = b"
    unknown = "no section [credentials:NAME] with that name; did you mean 'siteb'?"
    assert [
        f"10: [meter:gas] credentials: {unknown}",
        f"11: [credentials:siteb] {NO_PASSWORD}",
    ] == problems(tmp_path, ini_text(rest=rest))


def test_no_credentials(tmp_path: Path) -> None:
    """An INI without sets has one problem; if there is a set, each meter without one has one."""
    text = f"[swarm]\n{SWARM}\n[meters]\na = a\nb = b\n[meter:b]\n"
    assert ["[credentials]: missing; give username and password"] == problems(tmp_path, text)
    some = f"{text}credentials = b\n[credentials:b]\n{CREDENTIALS}"
    message = (
        "5: [meters] a: credentials: missing; add [credentials], or set it to the name of a set"
    )
    assert [message] == problems(tmp_path, some)


def test_secrets_are_masked(tmp_path: Path) -> None:
    """The repr of settings shows no password."""
    settings = loaded(tmp_path, ini_text())
    assert {"gas": "acme:s3cr%et"} == users(settings)
    assert "s3cr%et" not in repr(settings)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o600, 0o622])
@pytest.mark.parametrize("secret", ["password = hunter2", "password_file = pw"])
def test_readable_password(tmp_path: Path, mode: int, secret: str) -> None:
    """A password in an INI or a file that others can read causes a warning."""
    (tmp_path / "pw").write_text("x", encoding="utf-8")
    (tmp_path / "pw").chmod(mode)
    path = tmp_path / "x.ini"
    text = ini_text(swarm=SWARM.replace("sandbox", "demo"), credentials=f"username = a\n{secret}")
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    readable = f"{path}:6: [credentials] password"
    inline = (
        f"{readable}: other users of this computer can read this password; run: chmod 600 {path}"
    )
    file = tmp_path / "pw"
    separate = (
        f"{readable}_file: other users of this computer can read this password; "
        f"run: chmod 600 {file}"
    )
    expected = inline if "hunter2" in secret else separate
    assert ((expected,) if mode & 0o044 else ()) == load(path, {}).warnings


PASSWORDS = st.builds(
    "Z{}Z".format,
    st.text(st.characters(categories=["L", "N", "P", "S"], codec="utf-8"), min_size=8, max_size=12),
)
WRONG = st.sampled_from(
    [
        "password = {}",
        "password: {}",
        "password {}",
        "{}",
        "{}==",
        "{} = {}",
        "[{}",
        "  {}",
        "password =\n{}",
        "password = x\npassword = {}",
        "password = {}\npassword = {}",
        "password = {}\n  {}",
        "passwrd = {}",
        "password_env = {}",
        "password_command = {}",
        "username = a:{}",
        "[swarm]\nurl = https://a:{}@h.example/\n[credentials]",
        "[swarm]\nproxy = http://a:{}@h.example/\n[credentials]",
        "[swarm]\nenvironment = https://a:{}@h.example/\n[credentials]",
        "[Web DC]\nURL = https://a:{}@h.example/\nPassword = {}%",
        "[Web DC]\nPassword: {}\nPassword: {}\n{}",
    ]
)


@search(deadline=None)
@given(PASSWORDS, st.lists(WRONG, min_size=1, max_size=4), st.booleans())
def test_no_message_shows_a_password(secret: str, wrong: list[str], is_legacy: bool) -> None:
    """Whatever is wrong around a password, no message and no repr shows it."""
    head = "[Web DC]\nUsername = a\n" if is_legacy else "[credentials]\nusername = a\n"
    text = head + "\n".join(wrong).replace("{}", secret) + "\n"
    if not is_legacy:
        text += "[swarm]\nenvironment = demo\ntimezone = UTC\n[meters]\ngas = gas.csv\n"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.ini"
        path.write_text(text, encoding="utf-8")
        try:
            shown = repr(load(path, {}, secrets="password_command" not in text))
        except SettingsError as error:
            shown = str(error)
    assert secret not in shown
