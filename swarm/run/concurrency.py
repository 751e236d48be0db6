"""The controller of ``--connections auto``: how many streams are sent at the same time.

It doubles the number while that raises the rate, as TCP's slow start does (RFC 5681, 3.1), and
halves the step where the collector has shown its limit. Answers that ask for less lead to a
multiplicative decrease (AIMD: Chiu and Jain, 1989). Unlike the limits of Envoy and of Netflix's
concurrency-limits, which keep a server's latency low, it compares rates: a longer queue costs an
upload nothing, but connections that bring nothing are not kept.

It is a function of the measurements that it is given: it has no clock and no I/O.
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

#: The most connections that ``auto`` opens.
MOST: Final = 256
#: The connections at first. Their TLS handshakes fit into the queue of a slow line.
FIRST: Final = 16
#: Packets that must be acknowledged for each further connection, so that handshakes do not fill a
#: slow line: they are self-clocked, as in TCP's slow start, at a quarter of its pace.
_PACKETS_A_CONNECTION = 4
#: With a rate limit, a connection is opened at first for each so many requests a second.
_REQUESTS_A_CONNECTION = 10
#: The part of its rate limit (requests/s) at which a run is held to be at the limit.
_AT_RATE_LIMIT = 0.95
#: If a number of connections is doubled, the least growth of the rate that makes up for it, and the
#: growth that needs no second look.
_LEAST_GAIN, _CLEAR_GAIN = 0.1, 0.5
#: The shortest time (s) of a measurement, and that of the second one if the first is not clear.
_SHORT, _LONG = 1.0, 2.0
#: Turns of each connection in a measurement.
_TURNS = 2
#: The time (s) that new connections get to begin: at least, and at most. Connecting, TLS, the
#: question before the first packet and the packet itself take five turns.
_SETTLE_LEAST, _SETTLE_MOST, _SETTLE_TURNS = 0.3, 3.0, 5
#: The part of its connections that must have a stream while a rate is measured.
_BUSY = 0.9
#: The collector is held to ask for less if this part of its answers does, and this many do.
_CONGESTED, _FEWEST = 0.02, 3
#: The answers looked at for that: many, or those of the last minute (s).
_MANY, _LONGEST_WATCH = 100, 60.0
_DECREASE = 0.7
#: The time (s) after a decrease before the numbers below the collector's limit are tried.
_PAUSE = 2.0
#: The time (s) before more is tried again: it doubles each time that this brings nothing.
_HOLD, _LONGEST_HOLD = 60.0, 480.0


class Reason(Enum):
    """The reason for the number of connections, as the report shows it."""

    RATE = "--rate-limit allows no more"
    STREAMS = "one for each stream"
    GROWING = "the run ended before more were tried"
    NO_GAIN = "more brought nothing"
    CONGESTED = "the collector asked for fewer (429, 503, timeouts)"
    MOST = "swarm opens no more by itself"
    FILES = "the limit of open files allows no more"


@dataclass(frozen=True)
class Measurement:
    """The state of a run at a ``time`` (s): counts since its start, and streams now.

    ``settled`` counts packets that were acknowledged and streams that have ended, ``congested``
    answers that ask for less and requests without an answer. ``streams`` could send now if they had
    a connection: those that wait before another try do not count.
    """

    time: float
    settled: int
    congested: int
    streams: int
    is_down: bool = False
    rate_limit: float | None = None


class Concurrency:
    """Decides the number of connections, from measurements about ten times a second.

    ``limit`` is the number in force; ``number`` is the one that has proved useful, and less than
    the limit while more are tried. ``reason`` says why there are no more. There are never more than
    ``most``, and at first not more than ``streams``.
    """

    def __init__(self, most: int, streams: int, rate_limit: float | None = None) -> None:
        self.number = self.limit = max(min(first_number(rate_limit), most, streams), 1)
        self.reason = Reason.STREAMS if streams <= self.number else Reason.GROWING
        self._most = most
        self._target = self.number
        #: The rate at ``number``, once it is known.
        self._rate: float | None = None
        #: A number that was too much for the collector.
        self._ceiling: int | None = None
        self._is_ceiling_tried = False
        self._hold = _HOLD
        self._hold_until = -math.inf
        self._rate_limit = rate_limit
        self._start: Measurement | None = None
        #: The time from which a measurement may begin, and its beginning.
        self._settled_at: float | None = None
        self._begin: Measurement | None = None
        #: The beginning of the answers that are looked at for congestion.
        self._watched: Measurement | None = None
        self._is_second = False
        #: The measurement at which more connections were opened last.
        self._opened: Measurement | None = None

    def update(self, now: Measurement) -> int:
        """Return the number of connections from now on."""
        start = self._start = self._start or now
        if now.is_down:
            # An outage says nothing about the number.
            self._settled_at = self._begin = self._watched = self._opened = None
        elif self._settled_at is None:
            if now.settled or now.congested:
                self._settle(now, now.time - start.time)
        elif self._is_congested(now):
            self._give_way(now)
        elif self.limit < self._target:
            self._open_more(now)
        elif self._begin is None:
            if now.time >= self._settled_at:
                self._begin = now
                self._watched = self._watched or now
        elif now.time >= self._hold_until or now.rate_limit != self._rate_limit:
            self._measure(now, self._begin)
        return self.limit

    def _settle(self, now: Measurement, seconds: float | None = None) -> None:
        """Begin the next measurement once the connections have begun to send."""
        if seconds is None:
            seconds = _SETTLE_TURNS * self.number / self._rate if self._rate else 0.0
        self._begin, self._watched, self._is_second = None, None, False
        self._settled_at = now.time + min(max(seconds, _SETTLE_LEAST), _SETTLE_MOST)

    def _open_more(self, now: Measurement) -> None:
        """Raise the limit towards the target, as fast as packets are acknowledged."""
        opened = self._opened = self._opened or now
        more = (now.settled - opened.settled) // _PACKETS_A_CONNECTION
        if more:
            self.limit = min(self.limit + more, self._target)
            self._opened = now
            self._settle(now)

    def _measure(self, now: Measurement, begin: Measurement) -> None:
        """Measure the rate of the present limit, then decide."""
        if now.streams < _BUSY * self.limit:
            # Connections are idle: the rate says nothing about their number.
            self._begin, self._is_second = None, False
            self._settled_at = now.time + _SETTLE_LEAST
            return
        seconds, count = now.time - begin.time, now.settled - begin.settled
        if seconds < _SHORT or count < _TURNS * self.limit:
            return
        rate, self._rate_limit = count / seconds, now.rate_limit
        if self._is_second and seconds < _LONG:
            return
        gain = rate / self._rate - 1 if self._rate else math.inf
        step = self.limit / self.number - 1
        if now.rate_limit is not None and rate >= _AT_RATE_LIMIT * now.rate_limit:
            self.number, self._rate = self.limit, rate
            self._keep(now, Reason.RATE)
        elif not step or gain >= (_LEAST_GAIN if self._is_second else _CLEAR_GAIN) * step:
            if step:
                self._hold, self.reason = _HOLD, Reason.GROWING
            self.number, self._rate = self.limit, rate
            self._try_more(now)
        elif not self._is_second:
            # What the new streams cost at their beginning may be a part of the first measurement.
            self._begin, self._is_second = now, True
        else:
            if gain >= _LEAST_GAIN * step / 3:
                # The best number may lie between both.
                self.number = (self.number + self.limit) // 2
            self._keep(now, Reason.NO_GAIN)

    def _try_more(self, now: Measurement) -> None:
        """Aim at twice the number, or as far as the collector, the streams and the system allow."""
        target = min(2 * self.number, self._most, now.streams)
        if self._ceiling is not None and self._ceiling <= self.number:
            self._ceiling, self._is_ceiling_tried = None, False
        if self._ceiling is not None:
            step = self._ceiling - self.number
            if not self._is_ceiling_tried:
                step //= 2
                if step < max(self.number // 8, 1):
                    self._is_ceiling_tried = True
                    self._keep(now, Reason.CONGESTED)
                    return
            target = min(target, self.number + step)
        if target > self.number:
            self._target, self._opened, self._hold_until = target, None, -math.inf
            self._settle(now)
        elif now.streams <= self.number:
            self._keep(now, Reason.STREAMS)
        else:
            self._keep(now, Reason.MOST if self._most >= MOST else Reason.FILES)

    def _keep(self, now: Measurement, reason: Reason, seconds: float | None = None) -> None:
        """Go back to the number that has proved useful, and try more only after a while."""
        self.limit = self._target = self.number
        self.reason = reason
        if seconds is None:
            seconds, self._hold = self._hold, min(2 * self._hold, _LONGEST_HOLD)
        self._hold_until = now.time + seconds
        self._settle(now)

    def _is_congested(self, now: Measurement) -> bool:
        """Return True if many of the latest answers ask for less."""
        begin = self._watched or self._opened
        if begin is None:
            return False
        congested = now.congested - begin.congested
        answers = now.settled - begin.settled + congested
        if congested >= max(_FEWEST, _CONGESTED * answers):
            return True
        seconds = now.time - begin.time
        if seconds > _LONGEST_WATCH or (seconds > _LONG and answers > _MANY):
            self._watched = self._watched and now
        return False

    def _give_way(self, now: Measurement) -> None:
        """Leave a limit that is too much for the collector."""
        is_known = self._is_ceiling_tried and self.limit > self.number
        self._ceiling = self.limit
        if self.limit == self.number:
            self.number = max(math.floor(self.number * _DECREASE), 1)
            self._is_ceiling_tried = False
        # Soon the numbers in between are tried; if the same was too much before, that comes later.
        self._keep(now, Reason.CONGESTED, None if is_known else _PAUSE)
        self._opened = None


def first_number(rate_limit: float | None) -> int:
    """Return the number of connections at first; ``rate_limit`` is in requests/s."""
    if rate_limit is None:
        return FIRST
    return min(FIRST, max(math.ceil(rate_limit / _REQUESTS_A_CONNECTION), 1))
