"""``[credentials]`` and its named sets -> who sends a meter's packets."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from swarm.config.document import METERS, Document
from swarm.config.paths import home_expanded, resolved
from swarm.config.settings import Credentials
from swarm.text import closest, suggestion

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


SECTION = "credentials"
OPTIONS = ("username", *SOURCES)


class CredentialSets:
    """All sets of an INI. Their form is checked at once, a password is had when it is needed."""

    def __init__(self, document: Document, *, secrets: bool) -> None:
        self._document = document
        self._secrets = secrets
        unnamed = {"": SECTION} if SECTION in document.sections else {}
        self._sections = unnamed | document.named(SECTION)
        self._sources = {name: self._checked(s) for name, s in self._sections.items()}
        self._had: dict[str, Credentials] = {}

    def of(self, meter: str, *, needed: bool) -> Credentials | None:
        """Return a meter's credentials; without a password where that is not ``needed``."""
        name = self._chosen(meter)
        if name is None or self._sources.get(name) is None:
            return None
        if not needed:
            return Credentials(name, "", "")
        if name not in self._had:
            self._had[name] = self._read(name)
        return self._had[name]

    def _chosen(self, meter: str) -> str | None:
        """Return the name of a meter's set, empty for the default; None if there is no such set."""
        document = self._document
        for section in (f"meter:{meter}", "swarm"):
            if document.entry(section, SECTION):
                return self._named(section)
        if "" in self._sources:
            return ""
        if self._sources:
            document.report(METERS, meter, f"credentials: missing; add [{SECTION}], or name a set")
        else:
            document.report(SECTION, None, "missing; give username and password")
        return None

    def _named(self, section: str) -> str | None:
        name = self._document.text(section, SECTION)
        if name is None or name in self._sources:
            return name
        hint = suggestion(closest(name, filter(None, self._sources)))
        message = f"no section [{SECTION}:NAME] of that name{hint}"
        self._document.report(section, SECTION, message)
        names = ", ".join(f"[{known}]" for known in self._sections.values())
        self._document.hint(section, SECTION, f"there is {names}" if names else "there is none")
        return None

    def _checked(self, section: str) -> str | None:
        """Return where a set's password comes from, None if the set can't be used."""
        document = self._document
        user = document.text(section, "username")
        if not document.entry(section, "username"):
            document.report(section, "username", "missing")
        elif user and ":" in user:
            document.report(section, "username", "holds a ':', which basic auth can't carry")
            user = None
        source = self._source(section)
        return source if user and source and document.text(section, source) else None

    def _source(self, section: str) -> str | None:
        document = self._document
        given = [source for source in SOURCES if document.entry(section, source)]
        if not given:
            expected = ", ".join(SOURCES)
            document.report(section, "password", f"missing; give one of {expected}")
        for other in given[1:]:
            document.report(section, other, f"can't be used together with {given[0]}; remove one")
        return given[0] if len(given) == 1 else None

    def _read(self, name: str) -> Credentials:
        document = self._document
        section, source = self._sections[name], self._sources[name] or ""
        user, value = document.text(section, "username"), document.text(section, source)
        secret = ""
        if self._secrets:
            try:
                secret = password(source, value or "", document.folder, self._variables())
            except SecretError as error:
                document.report(section, source, str(error))
                document.hint(section, source)
        return Credentials(name, user or "", secret)

    def _variables(self) -> frozenset[str]:
        """Return the variables that hold passwords of the INI, whoever uses them."""
        entries = (self._document.entry(s, "password_env") for s in self._sections.values())
        return frozenset(entry.value for entry in entries if entry and entry.value)
