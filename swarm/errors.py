"""The exceptions of swarm: one base class, an exit code on each class, all picklable.

The text of an error is one line for the user: what was wrong, where, what was found, what to do.
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
    """The usage or the INI is wrong, and nothing was sent; ``problems`` has one line for each."""

    exit_code = ExitCode.USAGE

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)

    @property
    def problems(self) -> tuple[str, ...]:
        """All problems that were found, one line each."""
        return self.args

    def __str__(self) -> str:
        return "\n".join(self.args)


class FileChangedError(SwarmError):
    """A meter's file has changed since it was checked."""

    exit_code = ExitCode.DATA


class GuessError(SwarmError):
    """The settings of a CSV can't be guessed: it is unreadable, or not like a meter's file."""

    exit_code = ExitCode.DATA


class StateError(SwarmError):
    """A checkpoint, lock or rejects file can't be read or written, so that the run must end."""

    exit_code = ExitCode.STATE


class TransportFault(SwarmError):  # noqa: N818 - the name says what happened
    """A request to the collector got no answer."""

    exit_code = ExitCode.TEMPORARY


class Unreachable(TransportFault):
    """No connection was made (DNS, refused, connect timeout): nothing was sent."""


class Unanswered(TransportFault):
    """The request was sent, in part or whole, and no complete response header was received.

    Whether the collector stored the packet is unknown.
    """


class Untrusted(TransportFault):
    """The collector's TLS certificate was not accepted: nothing was sent, not even a credential."""

    exit_code = ExitCode.REFUSED


class MeasurementError(SwarmError, ValueError):
    """A measurement can't be sent: its ID, its timestamp or a value is wrong."""

    exit_code = ExitCode.DATA


class ConfigError(SettingsError, ValueError):
    """An argument of `Agent` or `Config` is wrong; ``problems`` has one line for each."""


class AgentError(SwarmError, RuntimeError):
    """An `Agent` can't do what was called: it is closed, or belongs to another process."""
