"""One measurement on its way: posted, settled and tried again until it has its final answer.

The library's way into the engine that also sends files: the same `Exchange`, `Settlement` and
`Patience`, so the same rules ("Delivery" in docs/reference.md). Without a checkpoint nothing is
stopped here: what is refused for good has its answer, and its stream goes on.
"""

import logging
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

from swarm.agent.handlers import Response
from swarm.agent.queue import QueuedMeasurement, StreamQueue
from swarm.agent.sessions import IdleSessions
from swarm.agent.thread_log import ThreadLog
from swarm.collector.client import CollectorClient, Outcome
from swarm.collector.retry import RetryBudget, Verdict
from swarm.collector.transport.base import Access
from swarm.config.options import RetryPolicy
from swarm.delivery.context import StopRequested, StreamEnded
from swarm.delivery.exchange import Exchange
from swarm.delivery.result import Tally
from swarm.delivery.settlement import Settlement
from swarm.delivery.task import Item, Target
from swarm.packet import packet
from swarm.scheduler import Event

_log = ThreadLog(logging.getLogger(__name__))

_STORED = Response(200, "its answer never came; the collector holds it")
_TRIED_AGAIN = frozenset({Verdict.UNSETTLED, Verdict.THROTTLED, Verdict.UNREACHABLE})
_NO_OUTCOME = Outcome(Verdict.UNREACHABLE)


class SlotOwner(Protocol):
    """An object that gives places to streams."""

    def slot_released(self, stream: StreamQueue) -> AbstractContextManager[None]:
        """Give this sender's place to others for a while."""


@dataclass(frozen=True)
class SenderConfig:
    """Facts of all measurements of an agent; ``halted`` tells that no packet may be sent."""

    retry_policy: RetryPolicy
    sessions: IdleSessions
    slot_owner: SlotOwner
    halted: Event


class Sender:
    """One measurement's exchanges: their loop, and an `ExchangeContext` for them."""

    def __init__(self, setup: SenderConfig, stream: StreamQueue, entry: QueuedMeasurement) -> None:
        self._setup = setup
        self._stream = stream
        self._entry = entry
        config, self._policy = entry.config, setup.retry_policy
        if config.retry_for is not None:
            self._policy = replace(self._policy, retry_for=config.retry_for)
        self._patience = RetryBudget(self._policy.retry_for)
        target = Target(entry.measurement.id, config.url, config.access, credential=0)
        self._exchange = Exchange(target, self._policy, self)
        self._last = _NO_OUTCOME
        self._is_unreachable = False

    def run(self) -> tuple[Response | None, bool]:
        """Return the final answer, and whether the collector took the measurement.

        Raises `Halted` when the agent is ended first.
        """
        try:
            return self._posted()
        except StreamEnded as end:
            return self._refused(end.problem.kind)
        except StopRequested:
            raise
        except Exception:
            # The sender lives on: a bug that one measurement meets must not stop the others.
            _log.exception("Could not send %s: a bug in swarm", self._entry.measurement)
            return None, False
        finally:
            self._exchange.release_slot()

    def _posted(self) -> tuple[Response | None, bool]:
        entry, exchange = self._entry, self._exchange
        item = Item(entry.instant, entry.measurement.body)
        data = packet(entry.measurement.id, entry.instant, entry.offset, item.body)
        while True:
            exchange.wait_until_allowed()
            outcome = exchange.post(data)
            ended = time.monotonic()
            if outcome.verdict is Verdict.ACKNOWLEDGED:
                return _response(outcome), True
            if outcome.verdict is Verdict.REJECTED:
                return self._refused("rejected")
            if outcome.verdict in _TRIED_AGAIN:
                _log.warning(
                    "Could not send %s, trying again: %s", entry.measurement, outcome.detail
                )
            if outcome.verdict is not Verdict.UNSETTLED:
                exchange.recover(outcome, self._patience, None)
            elif self._is_stored(item, outcome, ended):
                return _STORED, True

    def _is_stored(self, item: Item, outcome: Outcome, ended: float) -> bool:
        tally = Tally()
        settlement = Settlement(self._exchange, self._policy, tally)
        is_stored = settlement.reconcile(item, outcome, ended, self._patience)
        if tally.possible_duplicates:
            _log.warning(
                "It can't be settled whether the collector holds %s: it may be sent twice",
                self._entry.measurement,
            )
        return is_stored

    def _refused(self, kind: str) -> tuple[Response | None, bool]:
        how = f", given up after {self._policy.retry_for:g} s" if kind == "temporary" else ""
        _log.error("Could not send %s%s: %s", self._entry.measurement, how, self._last.detail)
        return _response(self._last), False

    # What the exchanges need: `swarm.delivery.context.ExchangeContext`

    def acquire_slot(self, access: Access) -> CollectorClient:
        """Return a session; the place is this sender's already."""
        return self._setup.sessions.take(access)

    def release_slot(self, link: CollectorClient) -> None:
        """Bring the session back."""
        self._setup.sessions.bring(link)

    def wait_for_turn(self, _credential: int) -> None:
        """Wait if the collector was out of reach; raises `Halted` when the agent is ended."""
        if self._is_unreachable:
            self.sleep(self._patience.next_wait(None))
        elif self._setup.halted.is_set():
            raise StopRequested

    def sleep(self, seconds: float, _credential: int = 0) -> None:
        """Wait, with the place lent to others."""
        with self._setup.slot_owner.slot_released(self._stream):
            if self._setup.halted.wait(seconds):
                raise StopRequested

    def record_outcome(self, outcome: Outcome, _credential: int) -> None:
        """Remember how the last exchange went."""
        self._last = outcome
        self._is_unreachable = outcome.verdict is Verdict.UNREACHABLE

    def is_outage(self, _retry_for: float) -> bool:
        """Tell that each measurement is given up by itself."""
        return False

    def refuse_credential(self, _credential: int) -> None:
        """Do nothing: a refused credential concerns this measurement alone."""


def warn_of_late(stream: StreamQueue, entry: QueuedMeasurement) -> None:
    """Warn of a measurement that is not newer than one of its stream that was sent."""
    if stream.newest is None or entry.instant > stream.newest:
        return
    if entry.instant < stream.newest:
        _log.warning("%s is older than one that was sent before it", entry.measurement)
    else:
        _log.warning(
            "%s has the time of one that was sent before it: packets carry milliseconds",
            entry.measurement,
        )


def _response(outcome: Outcome) -> Response | None:
    return None if outcome.status is None else _answer(outcome.status, outcome.detail)


@lru_cache(maxsize=64)
def _answer(status: int, words: str) -> Response:
    return Response(status, words or f"HTTP {status}")
