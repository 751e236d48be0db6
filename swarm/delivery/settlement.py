"""Finds out whether packets without a clear answer were stored.

Source: "Unsettled" in docs/reference.md.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from swarm.checkpoint.ledger_format import NO_BASELINE, Note, Origin
from swarm.collector.client import LastPacket, LastPacketReply, Outcome
from swarm.collector.retry import RetryBudget
from swarm.config.options import RetryPolicy
from swarm.delivery.context import StreamEnded
from swarm.delivery.exchange import Exchange
from swarm.delivery.result import StreamProblem, Tally
from swarm.delivery.task import Item, is_noted
from swarm.errors import ExitCode


class SettledRows(NamedTuple):
    """The fate of rows in doubt, from the collector's ``reply``: the first ``stored`` are stored.

    The others are not stored, except for those ``in_doubt`` still: the reply does not tell.
    """

    stored: int
    in_doubt: tuple[Note, ...]
    reply: LastPacketReply


class Settlement:
    """Finds out whether packets were stored, by asking for the stream's last packet.

    ``baseline`` is what the collector held before ``--restart``: a packet of that time says
    nothing about the rows of this run.
    """

    def __init__(self, exchange: Exchange, policy: RetryPolicy, tally: Tally) -> None:
        self._exchange = exchange
        self._policy = policy
        self._tally = tally
        self.baseline = NO_BASELINE

    def reconcile(self, item: Item, outcome: Outcome, ended: float, budget: RetryBudget) -> bool:
        """Return True if a packet without a clear answer was stored, False to send it again.

        ``ended`` is the end of its exchange on the monotonic clock.
        """
        self._exchange.wait(outcome, budget, item.place)
        self._exchange.pause(ended + self._policy.settle - time.monotonic())
        reply = self._exchange.ask_last_packet(budget, item.place)
        last = reply.last
        if last is not None and item.is_same(last) and not self._may_predate(last):
            return True
        if reply.is_known and (last is None or last.instant < item.instant):
            return False
        self._end_if_ambiguous(reply)
        self._tally.possible_duplicates += 1
        return False

    def reconcile_earlier_run(self, notes: Sequence[Note], opened: float) -> SettledRows:
        """Return which of the noted rows, in the order of sending, an earlier run has stored.

        That run ended before its ledger was ``opened`` (monotonic clock).
        """
        self._exchange.pause(opened + self._policy.settle - time.monotonic())
        reply = self._exchange.ask_last_packet()
        last = reply.last
        if last is None:
            in_doubt = () if reply.is_known else tuple(notes)
        else:
            for index, note in enumerate(() if self._may_predate(last) else notes):
                if is_noted(note, last):
                    return SettledRows(index + 1, (), reply)
            # Rows are sent in order of time: no row newer than the last packet is stored.
            in_doubt = tuple(note for note in notes if note.instant <= last.instant)
        if in_doubt:
            self._end_if_ambiguous(reply)
        return SettledRows(0, in_doubt, reply)

    def _may_predate(self, last: LastPacket) -> bool:
        """Return True if a packet is, or may be, older than the ``--restart`` of the stream."""
        held = self.baseline.held
        return self.baseline.origin is Origin.RESTARTED or (
            held is not None and is_noted(held, last)
        )

    def _end_if_ambiguous(self, reply: LastPacketReply) -> None:
        if self._policy.on_ambiguous == "resend":
            return
        if reply.last is None:
            why = f"the collector does not return its last packet ({reply.outcome.detail})"
        else:
            why = f"the collector's last packet has the time {reply.last.fields.get('tsISO8601')}"
        message = (
            f"swarm can't find out whether the packet was stored: {why}; "
            "--on-ambiguous resend sends it again"
        )
        raise StreamEnded(StreamProblem("ambiguous", message, ExitCode.TEMPORARY))
