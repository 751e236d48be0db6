"""A model of an upload over lines and collectors of different kinds, in simulated time."""

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from swarm.run.concurrency import Concurrency, Measurement

_TICK = 0.1
#: Turns that a connection takes before its first packet: TCP, TLS, the first question.
_TURNS_TO_CONNECT = 4
#: The time (s) in which a collector that answers 429 lets any number of requests pass.
_BURST = 0.1


@dataclass
class Line:
    """A line and its collector: requests take ``latency`` (s), and more where they queue.

    ``servers`` requests at a time are served, each for ``service`` (s). ``bandwidth`` is in packets
    a second, and a TLS handshake takes as much of it as ``handshake`` packets. More requests than
    ``allowed`` a second are answered 429, and those that take longer than ``timeout`` are lost.
    ``rate_limit`` is the option.
    """

    latency: float
    jitter: float = 0.05
    servers: int = 0
    service: float = 0.0
    bandwidth: float = math.inf
    handshake: float = 12.0
    allowed: float = math.inf
    timeout: float = math.inf
    rate_limit: float | None = None
    down: tuple[float, float] = (math.inf, math.inf)
    _free_at: list[float] = field(default_factory=list)
    _line_free: float = 0.0
    _tokens: float = math.inf
    _refilled: float = 0.0
    _turn: float = 0.0

    def request(self, now: float, rng: random.Random, *, connects: bool) -> tuple[float, bool]:
        """Return the end of a request that begins now, and whether the packet is acknowledged."""
        start = now
        if self.rate_limit is not None:
            self._turn = max(self._turn, now) + 1 / self.rate_limit
            start = self._turn
        turns = 1 + _TURNS_TO_CONNECT * connects
        end = start + turns * self.latency * (1 + self.jitter * rng.expovariate(1))
        if self.bandwidth < math.inf:
            cost = (1 + self.handshake * connects) / self.bandwidth
            self._line_free = max(self._line_free, start) + cost
            end += self._line_free - start
        if self.servers:
            free = self._free_at
            began = max(end, heapq.heappop(free)) if len(free) >= self.servers else end
            end = began + self.service * rng.uniform(0.8, 1.2)
            heapq.heappush(free, end)
        if end - start > self.timeout:
            return start + self.timeout, False
        if self.allowed < math.inf:
            gained = (start - self._refilled) * self.allowed
            self._tokens = min(self._tokens + gained, self.allowed * _BURST)
            self._refilled = start
            if self._tokens < 1:
                return end, False
            self._tokens -= 1
        return end, True


@dataclass
class History:
    """The course of a run: packets acknowledged and connections in force at each tick."""

    settled: list[int] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    congested: int = 0

    def rate(self, begin: float, end: float) -> float:
        """Return the packets a second between two times (s)."""
        first, last = round(begin / _TICK), round(end / _TICK)
        return (self.settled[last] - self.settled[first]) / (end - begin)

    def changes(self, begin: float) -> int:
        """Return how often the number of connections turned between up and down after a time."""
        steps = [b - a for a, b in pairwise(self.limits)]
        signs = [step > 0 for step in steps[round(begin / _TICK) :] if step]
        return sum(a != b for a, b in pairwise(signs))


def play(
    line: Line,
    streams: int,
    seconds: float,
    controller: Concurrency | int,
    *,
    seed: int = 1,
    at: Callable[[float, Line], None] = lambda _now, _line: None,
) -> History:
    """Send endless streams over a line for a while; ``at`` may change the line at each tick."""
    rng = random.Random(seed)
    history = History()
    ready = deque(range(streams))
    events: list[tuple[float, int, str]] = []
    limit = controller if isinstance(controller, int) else controller.limit
    busy = settled = congested = connections = 0
    attempts = [0] * streams

    def begin(now: float) -> None:
        nonlocal busy, connections
        while ready and busy < limit and not line.down[0] <= now < line.down[1]:
            stream = ready.popleft()
            busy += 1
            connects = busy > connections
            connections = max(connections, busy)
            end, is_stored = line.request(now, rng, connects=connects)
            heapq.heappush(events, (end, stream, "stored" if is_stored else "refused"))

    tick = 0.0
    while tick <= seconds:
        while events and events[0][0] <= tick:
            now, stream, what = heapq.heappop(events)
            if what == "waited":
                ready.append(stream)
            elif what == "stored":
                busy, settled = busy - 1, settled + 1
                attempts[stream] = 0
                ready.appendleft(stream)
            else:
                busy, congested = busy - 1, congested + 1
                attempts[stream] += 1
                wait = rng.random() * min(60.0, 0.5 * 2.0 ** attempts[stream])
                heapq.heappush(events, (now + wait, stream, "waited"))
            begin(now)
        begin(tick)
        history.settled.append(settled)
        history.limits.append(limit)
        at(tick, line)
        if isinstance(controller, Concurrency):
            is_down = line.down[0] <= tick < line.down[1]
            limit = controller.update(
                Measurement(tick, settled, congested, len(ready) + busy, is_down, line.rate_limit)
            )
            connections = min(connections, limit)
        tick = round(tick + _TICK, 6)
    history.congested = congested
    return history
