"""The sending of one measurement: it is posted, settled and tried again until the final answer.

The code that sends files does the same with the same classes, `Exchange`, `Settlement` and
`RetryBudget`, so the same rules apply ("Delivery" in docs/reference.md). But there is no
checkpoint, so no stream is stopped: if a measurement is refused, its stream goes on with the next.
"""

import logging
import time
from dataclasses import dataclass, replace
from functools import lru_cache

from swarm.agent.dispatcher import Dispatcher
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

_STORED = Response(200, "no answer came, but the collector holds the packet")
_TRIED_AGAIN = frozenset({Verdict.UNSETTLED, Verdict.THROTTLED, Verdict.UNREACHABLE})
_NO_OUTCOME = Outcome(Verdict.UNREACHABLE)


@dataclass(frozen=True)
class SenderConfig:
    """The parts of an agent that all its senders use; no packet may be sent after ``stopped``."""

    retry_policy: RetryPolicy
    sessions: IdleSessions
    dispatcher: Dispatcher
    stopped: Event


class Sender:
    """The exchanges of one measurement; also the `ExchangeContext` of them."""

    def __init__(self, config: SenderConfig, stream: StreamQueue, entry: QueuedMeasurement) -> None:
        self._config = config
        self._stream = stream
        self._entry = entry
        own = entry.config.retry_for
        policy = config.retry_policy
        self._policy = policy if own is None else replace(policy, retry_for=own)
        self._budget = RetryBudget(self._policy.retry_for)
        target = Target(entry.measurement.id, entry.config.url, entry.config.access, credential=0)
        self._exchange = Exchange(target, self._policy, self)
        self._last = _NO_OUTCOME
        self._is_unreachable = False

    def run(self) -> tuple[Response | None, bool]:
        """Return the final answer, and whether the collector took the measurement.

        Raises `StopRequested` if the agent ends first.
        """
        try:
            return self._send()
        except StreamEnded as end:
            return self._refused(end.problem.kind)
        except StopRequested:
            raise
        except Exception:
            # A bug that one measurement triggers must not end the sender of all the others.
            _log.exception("Could not send %s: a bug in swarm", self._entry.measurement)
            return None, False
        finally:
            self._exchange.release_slot()

    def _send(self) -> tuple[Response | None, bool]:
        entry, exchange = self._entry, self._exchange
        item = Item(entry.instant, entry.measurement.body)
        data = packet(entry.measurement.id, entry.instant, entry.offset, item.body)
        while True:
            exchange.wait_until_allowed()
            outcome = exchange.post(data)
            ended = time.monotonic()
            if outcome.verdict is Verdict.ACKNOWLEDGED:
                return _response(outcome.status, outcome.detail), True
            if outcome.verdict is Verdict.REJECTED:
                return self._refused("rejected")
            if outcome.verdict in _TRIED_AGAIN:
                _log.warning(
                    "Could not send %s, trying again: %s", entry.measurement, outcome.detail
                )
            if outcome.verdict is not Verdict.UNSETTLED:
                exchange.recover(outcome, self._budget, None)
                continue
            tally = Tally()
            settlement = Settlement(exchange, self._policy, tally)
            is_stored = settlement.reconcile(item, outcome, ended, self._budget)
            if tally.possible_duplicates:
                _log.warning(
                    "Can't find out whether the collector holds %s: it may be sent twice",
                    entry.measurement,
                )
            if is_stored:
                return _STORED, True

    def _refused(self, kind: str) -> tuple[Response | None, bool]:
        how = f", given up after {self._policy.retry_for:g} s" if kind == "temporary" else ""
        _log.error("Could not send %s%s: %s", self._entry.measurement, how, self._last.detail)
        return _response(self._last.status, self._last.detail), False

    # The methods of `swarm.delivery.context.ExchangeContext`

    def acquire_slot(self, access: Access) -> CollectorClient:
        """Return a session; this sender has its slot already."""
        return self._config.sessions.acquire(access)

    def release_slot(self, client: CollectorClient) -> None:
        """Give the session back."""
        self._config.sessions.release(client)

    def is_slot_recalled(self) -> bool:
        """Return False: the number of slots does not change."""
        return False

    def wait_for_turn(self, _credential: int) -> None:
        """Wait if the last exchange did not reach the collector.

        Raises `StopRequested` if the agent ends.
        """
        if self._is_unreachable:
            self.sleep(self._budget.next_wait(None))
        elif self._config.stopped.is_set():
            raise StopRequested

    def sleep(self, seconds: float, _credential: int = 0) -> None:
        """Wait with the slot released; raises `StopRequested` if the agent ends."""
        with self._config.dispatcher.slot_released(self._stream):
            if self._config.stopped.wait(seconds):
                raise StopRequested

    def record_outcome(self, outcome: Outcome, _credential: int) -> None:
        """Keep the outcome of the last exchange."""
        self._last = outcome
        self._is_unreachable = outcome.verdict is Verdict.UNREACHABLE

    def is_outage(self, _retry_for: float) -> bool:
        """Return False: each measurement is given up separately."""
        return False

    def refuse_credential(self, _credential: int) -> None:
        """Do nothing: other measurements are tried with the credential."""


def warn_of_late(stream: StreamQueue, entry: QueuedMeasurement) -> None:
    """Warn if a measurement is not newer than all that were sent of its stream."""
    if stream.newest is None or entry.instant > stream.newest:
        return
    if entry.instant < stream.newest:
        _log.warning("%s is older than a measurement that was sent before it", entry.measurement)
    else:
        _log.warning(
            "%s has the same time, in milliseconds, as a measurement that was sent before it",
            entry.measurement,
        )


@lru_cache(maxsize=64)
def _response(status: int | None, detail: str) -> Response | None:
    return None if status is None else Response(status, detail or f"HTTP {status}")
