"""Passwords: their four sources, failures of each, and that no message shows one."""

import shlex
import sys
from pathlib import Path

import pytest

from swarm.config import credentials as secrets
from swarm.config.credentials import SecretError, password
from tests.support.ini import ini_text, loaded, problems

SECRET = "s3cr%et;ü $x"


def command(code: str) -> str:
    """Return a command that runs a piece of Python."""
    return shlex.join([sys.executable, "-c", code])


def test_inline(tmp_path: Path) -> None:
    """A password in the INI is used unchanged."""
    assert SECRET == password("password", SECRET, tmp_path)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\nsecond line\n"])
def test_first_line_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """The password is the first line of a variable, a file or a command's output."""
    monkeypatch.setenv("SITE_B", SECRET + ending)
    (tmp_path / "pw").write_bytes((SECRET + ending).encode())
    code = f"import sys; sys.stdout.buffer.write({(SECRET + ending).encode()!r})"
    assert SECRET == password("password_env", "SITE_B", tmp_path)
    assert SECRET == password("password_file", "pw", tmp_path)
    assert SECRET == password("password_command", command(code), tmp_path)


def test_file_with_bom_and_blanks(tmp_path: Path) -> None:
    """Blanks are part of a password, a byte order mark is not."""
    (tmp_path / "pw").write_bytes(b"\xef\xbb\xbf a b \n")
    assert " a b " == password("password_file", str(tmp_path / "pw"), Path("/"))


def test_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tilde means the home folder, in files and in commands."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "pw").write_text("x1\n", encoding="utf-8")
    assert "x1" == password("password_file", "~/pw", Path("/"))
    assert "x1" == password("password_command", "cat ~/pw", Path("/"))


def test_command_runs_in_the_folder(tmp_path: Path) -> None:
    """A command runs in the INI's folder, without a shell."""
    (tmp_path / "pw").write_text("x1\n", encoding="utf-8")
    assert "x1" == password("password_command", "cat pw", tmp_path)
    assert "$HOME;" == password("password_command", "echo $HOME;", tmp_path)


def test_command_can_not_ask(tmp_path: Path) -> None:
    """A command reads nothing from the terminal."""
    code = "import sys; print('x' + sys.stdin.read())"
    assert "x" == password("password_command", command(code), tmp_path)


FAILURES = [
    (
        "password_env",
        "SITE_B",
        "the environment variable SITE_B is not set; it must hold the password",
    ),
    (
        "password_env",
        "hunter2",
        "the environment variable that it names is not set; it must hold the password",
    ),
    ("password_env", "EMPTY", "the environment variable EMPTY: the first line is empty"),
    ("password_file", "none", "{folder}/none: can't be read: No such file or directory"),
    ("password_file", ".", "{folder}: can't be read: Is a directory"),
    ("password_file", "empty", "{folder}/empty: the first line is empty"),
    ("password_file", "latin", "{folder}/latin: not UTF-8; save the file as UTF-8"),
    ("password_command", "hunter2", "the command can't be run: No such file or directory"),
    ("password_command", "'x", "the command can't be run: a quote is not closed"),
    ("password_command", "true", "the command's output: the first line is empty"),
    ("password_command", "cat latin", "the command's output is not UTF-8"),
    (
        "password_command",
        command("import sys; print('hunter2'); sys.exit('hunter2')"),
        "the command ended with status 1; run it by hand to see why",
    ),
]


@pytest.mark.parametrize(("source", "value", "message"), FAILURES)
def test_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, value: str, message: str
) -> None:
    """Each source fails in one line with its place in the INI, and shows no secret."""
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "empty").touch()
    (tmp_path / "latin").write_bytes(b"hunter2\xe9\n")
    with pytest.raises(SecretError) as caught:
        password(source, value, tmp_path)
    expected = message.format(folder=tmp_path)
    assert expected == str(caught.value)
    text = ini_text(credentials=f"username = acme\n{source} = {value}")
    assert [f"6: [credentials] {source}: {expected}"] == problems(tmp_path, text)
    assert [] == problems(tmp_path, text, secrets=False)


def test_command_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that hangs is stopped after the time limit."""
    monkeypatch.setattr(secrets, "_COMMAND_SECONDS", 0.1)
    with pytest.raises(SecretError, match=r"^the command took more than 0\.1 s$"):
        password("password_command", "sleep 60", tmp_path)


def test_only_what_the_run_needs(tmp_path: Path) -> None:
    """A password that the run does not need is not read."""
    text = ini_text(
        meters="gas = gas.csv\nwater = water.csv",
        rest="[meter:water]\ncredentials = b\n[credentials:b]\nusername = b\npassword_env = NONE",
    )
    message = (
        "14: [credentials:b] password_env: the environment variable NONE is not set; it must hold "
        "the password"
    )
    assert [message] == problems(tmp_path, text)
    assert [message] == problems(tmp_path, text, {"meters": ("water",)})
    for given in ({"meters": ("gas",)}, {"dry_run": True}):
        assert [] == problems(tmp_path, text, given)
    assert [] == problems(tmp_path, text.replace("[meters]", "[upload]\ndry_run = yes\n[meters]"))


def test_asked_once(tmp_path: Path) -> None:
    """A command is run once, however many meters use its password."""
    code = "open('log', 'a').write('x'); print('pw')"
    text = ini_text(
        credentials=f"username = acme\npassword_command = {command(code)}",
        meters="a = a.csv\nb = b.csv\nc = c.csv",
    )
    settings = loaded(tmp_path, text)
    assert ["pw"] * 3 == [m.credentials.password for m in settings.meters if m.credentials]
    assert "x" == (tmp_path / "log").read_text(encoding="utf-8")
