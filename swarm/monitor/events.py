"""The events of a run: one schema for all that shows it. Examples: "Events" in the reference."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar


def now() -> str:
    """Return the time as ISO 8601 in UTC, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def as_line(facts: Mapping[str, Any]) -> str:
    """Return an event as one line of JSON in ASCII, without a line end."""
    return json.dumps(facts)


@dataclass(frozen=True)
class Event:
    """An event; ``time`` is ISO 8601 with its offset."""

    event: ClassVar[str]
    time: str = field(default_factory=now, kw_only=True)

    def as_dict(self) -> dict[str, Any]:
        """Return the event as JSON has it."""
        return {"event": self.event, **vars(self)}


@dataclass(frozen=True)
class Start(Event):
    """The run begins."""

    event: ClassVar[str] = "start"
    swarm: str
    config: str
    collector: str
    meters: int


@dataclass(frozen=True)
class Progress(Event):
    """The run's position, once a second.

    While files are checked, ``checked`` of the meters are; ``rows`` are known once all are.
    ``rate`` is in packets a second over the last seconds; ``eta_seconds`` is None if unknown.
    ``trouble`` is what keeps packets from being acknowledged, empty if nothing does. ``streams``
    are those that changed since the event before; only the page and the metrics get them.
    """

    event: ClassVar[str] = "progress"
    rows: int
    done: int
    rate: float
    eta_seconds: float | None
    streams_active: int
    streams_done: int
    trouble: str
    checked: int
    connections: str
    streams: Mapping[str, "StreamPosition"] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the event without the streams, which may be thousands."""
        return {key: value for key, value in super().as_dict().items() if key != "streams"}

    def with_streams(self) -> dict[str, Any]:
        """Return the event with the streams, each as a list of its position's values."""
        streams = {
            name: [each.rows, each.done, each.retries, each.trouble]
            for name, each in self.streams.items()
        }
        return self.as_dict() | {"streams": streams}


@dataclass(frozen=True)
class StreamPosition:
    """The position of a stream: its rows, those that need nothing more, and its retries."""

    rows: int
    done: int
    retries: int
    trouble: str


@dataclass(frozen=True)
class Problem(Event):
    """A problem of a file, or the reason why a stream has stopped."""

    event: ClassVar[str] = "problem"
    meter: str
    kind: str
    message: str


@dataclass(frozen=True)
class Notice(Event):
    """A notice to the user."""

    event: ClassVar[str] = "notice"
    message: str


@dataclass(frozen=True)
class Stream(Event):
    """A stream has ended; ``last_acknowledged`` is the time of its newest acknowledged row."""

    event: ClassVar[str] = "stream"
    id: str
    state: str
    rows: int
    sent: int
    resumed: int
    filtered: int
    rejected: int
    late: int
    unsent: int
    retries: int
    verified: str
    last_acknowledged: str | None


@dataclass(frozen=True)
class End(Event):
    """The run has ended."""

    event: ClassVar[str] = "end"
    exit_code: int
    seconds: float
    rows: int = 0
    sent: int = 0
    unsent: int = 0
    packets_per_second: float = 0.0
