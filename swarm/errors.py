"""The tree of errors: one root, the exit code on the class, every error picklable.

An error's text is one line for a person: what was wrong, where, what was found, what to do.
"""

from typing import ClassVar


class SwarmError(Exception):
    """Anything that swarm tells its user; ``exit_code`` as in "Exit codes" in docs/reference.md."""

    exit_code: ClassVar[int] = 1


class SettingsError(SwarmError):
    """Usage or INI: nothing was sent. ``problems`` holds one line each."""

    exit_code = 2

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

    exit_code = 3


class GuessError(SwarmError):
    """A CSV whose settings can't be guessed: it can't be read, or looks like no meter's."""

    exit_code = 3


class StateError(SwarmError):
    """The checkpoint, lock or rejects file can't be read or written; nothing goes on without it."""

    exit_code = 7


class TransportFault(SwarmError):  # noqa: N818 - what happened, not who is to blame
    """An exchange with the collector that brought no answer."""

    exit_code = 5


class Unreachable(TransportFault):
    """No connection came about (DNS, refused, connect timeout): nothing was sent."""


class Unanswered(TransportFault):
    """The request was sent, in part or whole, and no complete answer header came back.

    Whether the collector stored the packet is unknown.
    """


class Untrusted(TransportFault):
    """The collector's TLS certificate was not accepted: nothing was sent, no credential either."""

    exit_code = 4


class MeasurementError(SwarmError, ValueError):
    """A measurement that can't be sent: its id, its time or a number."""

    exit_code = 3


class ConfigError(SettingsError, ValueError):
    """Wrong arguments of the library's `Agent` or `Config`; ``problems`` holds one line each."""


class AgentError(SwarmError, RuntimeError):
    """An `Agent` is asked for what it can't do: it is closed, or of another process."""


#: Where several exit codes apply, the first of these wins.
PRECEDENCE = (1, 130, 143, 7, 4, 3, 5, 6, 2)
