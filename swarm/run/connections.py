"""The connections of an upload: a fixed number, or as many as pay."""

import time
from collections.abc import Mapping
from datetime import datetime

from swarm.config.options import Upload
from swarm.config.parsers import AUTO
from swarm.delivery.result import StreamResult, Tally
from swarm.run.concurrency import Concurrency, Measurement, Reason
from swarm.run.observer import Observer
from swarm.run.pool import Pool
from swarm.run.report import ConnectionUse
from swarm.run.shared import SharedState


class Connections:
    """Follows the streams of an upload, and adjusts the slots of its pool with ``auto``."""

    def __init__(
        self, upload: Upload, pool: Pool, shared: SharedState, streams: int, observer: Observer
    ) -> None:
        self._upload = upload
        self._pool = pool
        self._shared = shared
        self._observer = observer
        self._streams = streams
        self._settled = 0
        self._sent: dict[str, int] = {}
        self._stalled: set[str] = set()
        self._controller: Concurrency | None = None
        if upload.connections == AUTO:
            self._controller = Concurrency(pool.most_slots, streams, shared.rate_limit)
            pool.resize(self._controller.limit)
        self._said = self.use = self._describe()
        self._is_limit_told = False

    def tick(self, changed: Mapping[str, Tally]) -> None:
        """Note the tallies that have changed, about ten times a second; adjust the slots."""
        for stream, tally in changed.items():
            self._count(stream, tally)
        self._follow_limit()
        controller = self._controller
        if controller is None or self._pool.is_stopping:
            return
        before = controller.limit
        limit = controller.update(
            Measurement(
                time=time.monotonic(),
                settled=self._settled,
                congested=self._shared.congested,
                streams=self._streams - len(self._stalled),
                is_down=self._shared.is_down,
                rate_limit=self._shared.rate_limit,
            )
        )
        if limit != before:
            self._pool.resize(limit)
        self.use = self._describe()
        if self.use != self._said and controller.reason is not Reason.GROWING:
            self._said = self.use
            self._observer.connections(str(self.use))

    def _follow_limit(self) -> None:
        """Apply the timetable of the rate limit, and tell its changes."""
        limit = self._upload.rate_limit
        if limit is None or limit.is_constant:
            return
        now = datetime.now()
        rate, change = limit.rate_at(now), limit.next_change(now)
        if self._is_limit_told and rate == self._shared.rate_limit:
            return
        self._is_limit_told = True
        self._shared.set_rate_limit(rate)
        until = f" until {change[0]:%a %H:%M}" if change else ""
        self._observer.notice(f"rate limit: {_limit(rate)}{until}")

    def ended(self, result: StreamResult) -> None:
        """Note the end of a stream."""
        self._count(result.id, result.tally)
        self._stalled.discard(result.id)
        self._streams -= 1
        self._settled += 1

    def _count(self, stream: str, tally: Tally) -> None:
        self._settled += tally.sent - self._sent.get(stream, 0)
        self._sent[stream] = tally.sent
        if tally.stall_reason:
            self._stalled.add(stream)
        else:
            self._stalled.discard(stream)

    def _describe(self) -> ConnectionUse:
        if self._controller is not None:
            return ConnectionUse("auto", self._controller.number, self._controller.reason.value)
        slots = self._pool.most_slots
        if self._streams < slots:
            return ConnectionUse("fixed", self._streams, Reason.STREAMS.value)
        why = "--connections" if slots == self._upload.connections else Reason.FILES.value
        return ConnectionUse("fixed", slots, why)


def _limit(rate: float | None) -> str:
    return "none" if rate is None else f"{rate:,g} requests/s"
