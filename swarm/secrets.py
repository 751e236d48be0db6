"""Where a password comes from: the INI, a variable, a file or a command. Never the command line."""

import os
import shlex
import subprocess
from pathlib import Path

SOURCES = ("password", "password_env", "password_file", "password_command")

_COMMAND_SECONDS = 60


class SecretError(Exception):
    """A password that can't be had; the text shows nothing of it."""


def password(source: str, value: str, folder: Path) -> str:
    """Return the password that one of `SOURCES` leads to; paths are relative to ``folder``."""
    if source == "password":
        return value
    if source == "password_env":
        return _from_environment(value)
    if source == "password_file":
        return _from_file(folder / Path(value).expanduser())
    return _from_command(value, folder)


def _from_environment(name: str) -> str:
    found = os.environ.get(name)
    if not found:
        raise SecretError(f"the environment variable {name} is not set")
    return found


def _from_file(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SecretError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretError(f"{path}: not UTF-8") from None
    return _first_line(text, str(path))


def _from_command(command: str, folder: Path) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the INI's owner names the command
            shlex.split(command),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except (OSError, ValueError) as error:
        raise SecretError(f"the command can't be run: {error}") from None
    except subprocess.TimeoutExpired:
        raise SecretError(f"the command took more than {_COMMAND_SECONDS} s") from None
    if done.returncode:
        raise SecretError(f"the command ended with status {done.returncode}")
    return _first_line(done.stdout.decode("utf-8", "replace"), "the command's output")


def _first_line(text: str, origin: str) -> str:
    lines = text.splitlines()
    if not lines or not lines[0]:
        raise SecretError(f"{origin}: the first line is empty")
    return lines[0]
