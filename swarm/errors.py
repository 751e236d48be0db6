"""The exceptions of swarm: one base class, an exit code on each class, all picklable.

The text of an error is one line for the user: what was wrong, where, what was found, what to do.
"""

from typing import ClassVar


class SwarmError(Exception):
    """An error that is reported to the user; for ``exit_code`` see docs/reference.md."""

    exit_code: ClassVar[int] = 1


class SettingsError(SwarmError):
    """The usage or the INI is wrong, and nothing was sent; ``problems`` has one line for each."""

    exit_code = 2

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

    exit_code = 3


class GuessError(SwarmError):
    """The settings of a CSV can't be guessed: it is unreadable, or not like a meter's file."""

    exit_code = 3


class StateError(SwarmError):
    """A checkpoint, lock or rejects file can't be read or written, so that the run must end."""

    exit_code = 7


class TransportFault(SwarmError):  # noqa: N818 - the name says what happened
    """A request to the collector got no answer."""

    exit_code = 5


class Unreachable(TransportFault):
    """No connection was made (DNS, refused, connect timeout): nothing was sent."""


class Unanswered(TransportFault):
    """The request was sent, in part or whole, and no complete response header was received.

    Whether the collector stored the packet is unknown.
    """


class Untrusted(TransportFault):
    """The collector's TLS certificate was not accepted: nothing was sent, not even a credential."""

    exit_code = 4


class MeasurementError(SwarmError, ValueError):
    """A measurement can't be sent: its ID, its timestamp or a value is wrong."""

    exit_code = 3


class ConfigError(SettingsError, ValueError):
    """An argument of `Agent` or `Config` is wrong; ``problems`` has one line for each."""


class AgentError(SwarmError, RuntimeError):
    """An `Agent` can't do what was called: it is closed, or belongs to another process."""


#: Where several exit codes apply, the first of these wins.
PRECEDENCE = (1, 130, 143, 7, 4, 3, 5, 6, 2)
