"""The tree of errors: one root, the exit code on the class, every error picklable.

An error's text is one line for a person: what was wrong, where, what was found, what to do.
"""

from enum import IntEnum
from typing import ClassVar, Final


class ExitCode(IntEnum):
    """The exit codes of the command. Source: "Exit codes" in docs/reference.md."""

    OK = 0
    #: A bug in swarm.
    BUG = 1
    #: Usage or INI.
    USAGE = 2
    #: Files with problems; rows rejected, late or not verified.
    DATA = 3
    #: The collector refuses: credentials, URL, certificate.
    REFUSED = 4
    #: What passes with time: no clear answer, outage, interruption.
    TEMPORARY = 5
    #: Another run sends the stream.
    LOCKED = 6
    #: The state folder can't be used.
    STATE = 7
    SIGINT = 130
    SIGTERM = 143


#: If several exit codes apply to a run, the first of these is its exit code.
PRECEDENCE: Final = (
    ExitCode.BUG,
    ExitCode.SIGINT,
    ExitCode.SIGTERM,
    ExitCode.STATE,
    ExitCode.REFUSED,
    ExitCode.DATA,
    ExitCode.TEMPORARY,
    ExitCode.LOCKED,
    ExitCode.USAGE,
)


class SwarmError(Exception):
    """An error for the user, in one line, with the exit code that it leads to."""

    exit_code: ClassVar[ExitCode] = ExitCode.BUG


class SettingsError(SwarmError):
    """Usage or INI: nothing was sent. ``problems`` holds one line each."""

    exit_code = ExitCode.USAGE

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)

    @property
    def problems(self) -> tuple[str, ...]:
        """Every problem that was found, one line each."""
        return self.args

    def __str__(self) -> str:
        return "\n".join(self.args)


class FileChangedError(SwarmError):
    """A meter's file is no longer what was checked."""

    exit_code = ExitCode.DATA


class GuessError(SwarmError):
    """A CSV whose settings can't be guessed: it can't be read, or looks like no meter's."""

    exit_code = ExitCode.DATA


class StateError(SwarmError):
    """The checkpoint, lock or rejects file can't be read or written; nothing goes on without it."""

    exit_code = ExitCode.STATE


class TransportFault(SwarmError):  # noqa: N818 - what happened, not who is to blame
    """An exchange with the collector that brought no answer."""

    exit_code = ExitCode.TEMPORARY


class Unreachable(TransportFault):
    """No connection came about (DNS, refused, connect timeout): nothing was sent."""


class Unanswered(TransportFault):
    """The request was sent, in part or whole, and no complete answer header came back.

    Whether the collector stored the packet is unknown.
    """


class Untrusted(TransportFault):
    """The collector's TLS certificate was not accepted: nothing was sent, no credential either."""

    exit_code = ExitCode.REFUSED


class MeasurementError(SwarmError, ValueError):
    """A measurement that can't be sent: its id, its time or a number."""

    exit_code = ExitCode.DATA


class ConfigError(SettingsError, ValueError):
    """Wrong arguments of the library's `Agent` or `Config`; ``problems`` holds one line each."""


class AgentError(SwarmError, RuntimeError):
    """An `Agent` is asked for what it can't do: it is closed, or of another process."""
