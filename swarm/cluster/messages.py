"""The messages between the command and a seat: plain data, pickled.

What goes through the cluster's scheduler is opaque bytes in a `Sealed` object, which nothing can
show: Dask logs the arguments of a call that fails.
"""

import pickle
from typing import Any, NamedTuple

from swarm.collector.transport.base import Access
from swarm.config.options import Upload
from swarm.run.worker import Message


class Sealed:
    """Bytes that may hold secrets; no text form shows them."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __repr__(self) -> str:
        """Return a text without the content."""
        return f"<{len(self.data)} bytes>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Sealed, (self.data,)


class Opening(NamedTuple):
    """The settings of a seat: the run's ID, options, and the access of each set of credentials."""

    run: str
    upload: Upload
    accesses: tuple[Access, ...]


class Hello(NamedTuple):
    """The reply of a worker that was asked to open a seat; ``obstacle`` says why it can't.

    ``clock`` is its reading of `boottime`, ``monotonic`` of the monotonic clock, in seconds.
    """

    host: str
    clock: float
    monotonic: float
    obstacle: str = ""


class Write(NamedTuple):
    """A write to the file of a stream's ledger; with ``data`` None, the file is cut there."""

    stream: str
    offset: int
    data: bytes | bytearray | None


#: The number of a call without an answer.
UNANSWERED = -1


class Call(NamedTuple):
    """A request of a stream's job to the command, which answers it with its number."""

    number: int
    operation: str
    stream: str
    arguments: tuple[Any, ...]


class Facts(NamedTuple):
    """A seat's facts about the collector; ``answered`` is how long ago it answered last (s).

    ``detail`` is the reason why it can't be reached, empty if it can be. ``congested`` counts
    answers that ask for fewer requests, and lost requests.
    """

    answered: float
    detail: str
    congested: int
    accepted: frozenset[int]
    refused: frozenset[int]


class Report(NamedTuple):
    """The report of a seat: writes and calls in their order, messages for the pool, facts."""

    clock: float
    monotonic: float
    items: list[Write | Call]
    messages: list[Message]
    facts: Facts


class Answer(NamedTuple):
    """The answer to a `Call`: its result, or the error to raise."""

    number: int
    result: Any


class Order(NamedTuple):
    """The orders for a seat: messages of the pool, answers, and facts of other seats."""

    messages: list[Any]
    answers: list[Answer]
    refused: frozenset[int]
    rate_limit: float | None


def seal(content: object) -> Sealed:
    """Return a message, ready to be sent."""
    return Sealed(pickle.dumps(content, protocol=5))


def unseal(sealed: Sealed) -> Any:
    """Return the content of a message from the same run; raises what `pickle` raises."""
    return pickle.loads(sealed.data)  # noqa: S301 - both sides run this swarm's own code
