"""Where a password comes from: the INI, a variable, a file or a command. Never the command line."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from swarm.filenames import home_expanded, resolved

_COMMAND_SECONDS = 60.0
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


class SecretError(Exception):
    """A password that can't be had; the text shows nothing of it."""


@dataclass(frozen=True)
class _Setting:
    folder: Path
    hidden: frozenset[str]


def password(source: str, value: str, folder: Path, hidden: frozenset[str] = frozenset()) -> str:
    """Return the password that one of `SOURCES` leads to; paths are relative to ``folder``.

    Of a file, a variable and a command's output, the first line counts. ``hidden`` are variables
    that a command does not get to see: other secrets. Raises `SecretError`.
    """
    return SOURCES[source](value, _Setting(folder, hidden))


def _inline(value: str, _setting: _Setting) -> str:
    return value


def _from_environment(name: str, _setting: _Setting) -> str:
    # What looks like no variable may be the password itself, put in the wrong place.
    shown = name if _VARIABLE.fullmatch(name) else "that it names"
    found = os.environ.get(name)
    if found is None:
        raise SecretError(
            f"the environment variable {shown} is not set; it has to hold the password"
        )
    try:
        found.encode()
    except UnicodeEncodeError:
        raise SecretError(f"the environment variable {shown} is not UTF-8") from None
    return _first_line(found, f"the environment variable {shown}")


def _from_file(name: str, setting: _Setting) -> str:
    path = resolved(name, setting.folder)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SecretError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretError(f"{path}: not UTF-8; save the file as UTF-8") from None
    return _first_line(text, str(path))


def _from_command(command: str, setting: _Setting) -> str:
    """Run a command, without a shell; what it writes to stderr is not shown, it may be secret."""
    known = {name: value for name, value in os.environ.items() if name not in setting.hidden}
    try:
        done = subprocess.run(  # noqa: S603 - the INI's owner names the command
            [home_expanded(word) for word in shlex.split(command)],
            cwd=setting.folder,
            env=known,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except OSError as error:
        raise SecretError(f"the command can't be run: {error.strerror}") from None
    except ValueError:
        raise SecretError("the command can't be run: a quote without its end") from None
    except subprocess.TimeoutExpired:
        raise SecretError(f"the command took more than {_COMMAND_SECONDS:g} s") from None
    if done.returncode:
        raise SecretError(
            f"the command ended with status {done.returncode}; run it by hand to see why"
        )
    try:
        return _first_line(done.stdout.decode("utf-8"), "the command's output")
    except UnicodeDecodeError:
        raise SecretError("the command's output is not UTF-8") from None


def _first_line(text: str, origin: str) -> str:
    line = text.partition("\n")[0].removesuffix("\r")
    if not line:
        raise SecretError(f"{origin}: the first line is empty")
    return line


#: The options that a password may stand under.
SOURCES: dict[str, Callable[[str, _Setting], str]] = {
    "password": _inline,
    "password_env": _from_environment,
    "password_file": _from_file,
    "password_command": _from_command,
}
