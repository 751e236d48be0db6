"""A collector in memory: it stores, loses answers, is slow, and gets packets from other sources."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from swarm.collector.transport.base import Answer
from swarm.errors import Unanswered, Unreachable
from swarm.packet import instant_of

#: The ways in which a request fails.
Fault = Literal[
    "reset before storing",
    "reset after storing",
    "reset, stored later",
    "slow handshake, reset, stored later",
    "500 before storing",
    "500 after storing",
    "408 after storing",
    "503",
    "429",
    "unreachable",
    "garbage",
    "cut",
]
#: The longest time (seconds) until a packet is stored after its connection was reset.
STORED_LATER = 1.9
_HANDSHAKE = 9.0


@dataclass(frozen=True)
class Stored:
    """A packet that was stored; ``run`` is the number of the run that sent it, None for others."""

    instant: int
    fields: dict[str, Any]
    run: int | None

    @property
    def value(self) -> float:
        """The measured value."""
        return float(self.fields["value"])


class Clock:
    """A clock that only advances when code sleeps; it replaces the module `time`."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        """Return the Unix time in seconds."""
        return self.now

    def monotonic(self) -> float:
        """Return the time in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Advance the clock."""
        self.now += max(seconds, 0.0)


class Collector:
    """The collector of one stream.

    ``tells`` says which packet it reports as the last: the newest, or the one received last.
    ``rejects`` has the instants that it refuses permanently; ``failed`` counts the requests of a
    run that failed.
    """

    def __init__(
        self, clock: Clock, *, tells: Literal["newest", "latest"], quotes: bool, rejects: set[int]
    ) -> None:
        self.stored: list[Stored] = []
        self.failed = 0
        self._run = 0
        self._faults: Mapping[int, Fault] = {}
        self._requests = 0
        self._clock = clock
        self._tells = tells
        self._quotes = quotes
        self._rejects = rejects
        self._coming: list[tuple[float, Stored]] = []

    @property
    def last(self) -> Stored | None:
        """The packet that it reports as the last."""
        if self._tells == "latest":
            return self.stored[-1] if self.stored else None
        # Of several at one instant, the one received last.
        return max(reversed(self.stored), key=lambda each: each.instant, default=None)

    def begin_run(self, number: int, faults: Mapping[int, Fault]) -> None:
        """Start receiving the packets of a run; ``faults`` are by the number of the request."""
        self._run, self._faults, self._requests, self.failed = number, faults, 0, 0

    def arrive(self) -> None:
        """Store the delayed packets whose time has come."""
        due = [each for each in self._coming if each[0] <= self._clock.now]
        self._coming = [each for each in self._coming if each[0] > self._clock.now]
        self.stored += [packet for _, packet in due]

    def get_elsewhere(self, packet: dict[str, Any]) -> None:
        """Store a packet from another source."""
        self.stored.append(Stored(instant_of(packet["tsISO8601"]), packet, None))

    def post(self, body: bytes) -> Answer:
        """Receive a packet."""
        self.arrive()
        fields = json.loads(body)
        packet = Stored(instant_of(fields["tsISO8601"]), fields, self._run)
        fault = self._fault()
        if fault == "slow handshake, reset, stored later":
            self._clock.sleep(_HANDSHAKE)
        if fault in {"unreachable", "429", "503", "reset before storing", "500 before storing"}:
            return self._failed(fault)
        if packet.instant in self._rejects:
            return Answer(400, b"not plausible")
        if fault in {"reset, stored later", "slow handshake, reset, stored later"}:
            self._coming.append((self._clock.now + STORED_LATER, packet))
            raise Unanswered("the connection was reset")
        self.stored.append(packet)
        return Answer(200) if fault is None else self._failed(fault)

    def get(self) -> Answer:
        """Return the last packet."""
        self.arrive()
        fault = self._fault()
        if fault == "garbage":
            return Answer(200, b"<html>sorry</html>")
        if fault is not None:
            return self._failed(fault)
        last = self.last
        if last is None:
            return Answer(404)
        fields = dict(last.fields)
        if self._quotes:
            fields["value"] = str(float(fields["value"]))
        return Answer(200, json.dumps({**fields, "received": "x"}).encode())

    def _fault(self) -> Fault | None:
        fault = self._faults.get(self._requests)
        self._requests += 1
        self.failed += fault is not None
        return fault

    def _failed(self, fault: Fault) -> Answer:
        if fault == "unreachable":
            raise Unreachable("connection refused")
        if fault == "429":
            return Answer(429, retry_after="3")
        if fault == "cut":
            return Answer(500, b"", is_cut=True)
        status = fault.partition(" ")[0]
        if status.isdigit():
            return Answer(int(status))
        raise Unanswered("the connection was reset")


class Session:
    """A `Session` to the collector; ``step`` is called for each request and may raise."""

    def __init__(self, collector: Collector, step: Callable[[], None]) -> None:
        self._collector = collector
        self._step = step

    def post(self, _url: str, packet: bytes) -> Answer:
        """Post one packet."""
        self._step()
        try:
            return self._collector.post(packet)
        finally:
            self._step()

    def get(self, _url: str) -> Answer:
        """Get the last packet."""
        self._step()
        return self._collector.get()

    def close(self) -> None:
        """Do nothing."""
