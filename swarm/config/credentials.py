"""``[credentials]`` and its named sets -> the user and the password for a meter's packets."""

import os
import re
import shlex
import subprocess
from pathlib import Path

from swarm.config.document import METERS, Document
from swarm.config.paths import home_expanded, resolved
from swarm.config.settings import Credentials
from swarm.text import closest, suggestion

SECTION = "credentials"
#: The options that can give a password; a set has exactly one of them.
SOURCES = ("password", "password_env", "password_file", "password_command")
OPTIONS = ("username", *SOURCES)

_COMMAND_SECONDS = 60.0
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


class SecretError(Exception):
    """A password that could not be read; the message contains nothing of it."""


def password(source: str, value: str, folder: Path, hidden: frozenset[str] = frozenset()) -> str:
    """Return the password that an option gives: ``source`` is one of `SOURCES`.

    Of a variable, a file and a command's output, only the first line counts. Paths are relative
    to ``folder``. ``hidden`` are variables with other secrets, which a command must not see.
    Raises `SecretError`.
    """
    if source == "password":
        return value
    if source == "password_env":
        # A value that does not look like a variable may be the password itself.
        shown = value if _VARIABLE.fullmatch(value) else "that it names"
        origin, text = f"the environment variable {shown}", os.environ.get(value)
        if text is None:
            raise SecretError(f"{origin} is not set; it must hold the password")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise SecretError(f"{origin} is not UTF-8") from None
    elif source == "password_file":
        path = resolved(value, folder)
        origin = str(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise SecretError(f"{origin}: can't be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SecretError(f"{origin}: not UTF-8; save the file as UTF-8") from None
    else:
        origin, text = "the command's output", _command_output(value, folder, hidden)
    line = text.partition("\n")[0].removesuffix("\r")
    if not line:
        raise SecretError(f"{origin}: the first line is empty")
    return line


def _command_output(command: str, folder: Path, hidden: frozenset[str]) -> str:
    """Run a command without a shell and return its output.

    No message shows its stderr, which may contain the password.
    """
    visible = {name: value for name, value in os.environ.items() if name not in hidden}
    try:
        completed = subprocess.run(  # noqa: S603 - the INI's owner names the command
            [home_expanded(word) for word in shlex.split(command)],
            cwd=folder,
            env=visible,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except OSError as error:
        raise SecretError(f"the command can't be run: {error.strerror}") from None
    except ValueError:
        raise SecretError("the command can't be run: a quote is not closed") from None
    except subprocess.TimeoutExpired:
        raise SecretError(f"the command took more than {_COMMAND_SECONDS:g} s") from None
    if completed.returncode:
        raise SecretError(
            f"the command ended with status {completed.returncode}; run it by hand to see why"
        )
    try:
        return completed.stdout.decode("utf-8")
    except UnicodeDecodeError:
        raise SecretError("the command's output is not UTF-8") from None


class CredentialSets:
    """The credential sets of an INI: all are checked at once, passwords are read when needed.

    Without ``secrets``, no password is read.
    """

    def __init__(self, document: Document, *, secrets: bool) -> None:
        self._document = document
        self._secrets = secrets
        unnamed = {"": SECTION} if SECTION in document.sections else {}
        self._sections = unnamed | document.named(SECTION)
        #: The option that gives the password, for each set without a problem.
        self._sources: dict[str, str] = {}
        self._credentials: dict[str, Credentials] = {}
        for name, section in self._sections.items():
            user = document.text(section, "username")
            if not document.entry(section, "username"):
                document.report(section, "username", "missing")
            elif user and ":" in user:
                document.report(
                    section, "username", "contains ':', which basic auth does not allow"
                )
                user = None
            given = [source for source in SOURCES if document.entry(section, source)]
            if not given:
                message = f"missing; give one of {', '.join(SOURCES)}"
                document.report(section, "password", message)
            for other in given[1:]:
                message = f"can't be used together with {given[0]}; remove one"
                document.report(section, other, message)
            if user and len(given) == 1 and document.text(section, given[0]):
                self._sources[name] = given[0]

    def of(self, meter: str, *, needed: bool) -> Credentials | None:
        """Return a meter's credentials, without user and password unless they are ``needed``.

        Report a set that does not exist; return None for such a set, or for one with a problem.
        """
        name = self._set_name(meter)
        if name is None or name not in self._sources:
            return None
        if not needed:
            return Credentials(name, "", "")
        if name not in self._credentials:
            self._credentials[name] = self._read(name)
        return self._credentials[name]

    def _set_name(self, meter: str) -> str | None:
        """Return the name of a meter's set, empty for the default; None after a problem."""
        document = self._document
        places = (f"meter:{meter}", "swarm")
        section = next((each for each in places if document.entry(each, SECTION)), None)
        if section is not None:
            name = document.text(section, SECTION)
            if name is None or name in self._sections:
                return name
            hint = suggestion(closest(name, filter(None, self._sections)))
            message = f"no section [{SECTION}:NAME] with that name{hint}"
            document.report(section, SECTION, message)
            known = ", ".join(f"[{each}]" for each in self._sections.values())
            document.hint(section, SECTION, f"there is {known}" if known else "there is none")
        elif "" in self._sections:
            return ""
        elif self._sections:
            document.report(
                METERS,
                meter,
                f"credentials: missing; add [{SECTION}], or set it to the name of a set",
            )
        else:
            document.report(SECTION, None, "missing; give username and password")
        return None

    def _read(self, name: str) -> Credentials:
        """Return the credentials of a set; report a password that can't be read."""
        document = self._document
        section, source = self._sections[name], self._sources[name]
        user, value = document.text(section, "username"), document.text(section, source)
        secret = ""
        if self._secrets:
            entries = (document.entry(each, "password_env") for each in self._sections.values())
            hidden = frozenset(entry.value for entry in entries if entry and entry.value)
            try:
                secret = password(source, value or "", document.folder, hidden)
            except SecretError as error:
                document.report(section, source, str(error))
                document.hint(section, source)
        return Credentials(name, user or "", secret)
