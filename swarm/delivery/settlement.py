"""Unsettled outcomes: finds out whether a packet whose answer never came was stored.

Source: "Unsettled" in docs/reference.md.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from swarm.checkpoint.ledger_format import WITH_THE_STREAM, Begun, Note
from swarm.collector.client import LastPacket, LastPacketReply, Outcome
from swarm.collector.retry import RetryBudget
from swarm.delivery.exchange import Exchange
from swarm.delivery.result import Tally
from swarm.delivery.task import Item, is_noted


@dataclass(frozen=True)
class RetryPolicy:
    """The rules of asking, and of going on where the answer settles nothing; times in seconds."""

    settle: float
    on_ambiguous: Literal["resend", "stop"]
    retry_for: float


class SettledRows(NamedTuple):
    """The outcome of rows in doubt: the first ones are ``stored``.

    The others are not, but for the ``doubtful`` ones, of which the collector's answer, the
    ``question``, does not tell.
    """

    stored: int
    doubtful: tuple[Note, ...]
    reply: LastPacketReply


class Settlement:
    """Finds out what became of packets, by asking for the stream's last one."""

    def __init__(self, exchange: Exchange, terms: RetryPolicy, tally: Tally) -> None:
        self._exchange = exchange
        self._terms = terms
        self._tally = tally
        #: What the collector held before the stream was begun anew says nothing of its rows.
        self.baseline = WITH_THE_STREAM

    def reconcile(self, item: Item, outcome: Outcome, ended: float, patience: RetryBudget) -> bool:
        """Tell what became of a packet; False to send it again.

        ``ended`` is when its exchange did, on the monotonic clock.
        """
        self._exchange.wait(outcome, patience, item.where)
        self._exchange.pause(ended + self._terms.settle - time.monotonic())
        question = self._exchange.ask_last_packet(patience, item.where)
        last = question.last
        if last is not None and item.is_same(last) and not self._is_held(last):
            return True
        if question.is_known and (last is None or last.instant < item.instant):
            return False
        self._stop_if_told(question)
        self._tally.possible_duplicates += 1
        return False

    def reconcile_earlier_run(self, notes: Sequence[Note], opened: float) -> SettledRows:
        """Return how many of the noted rows an earlier run has stored: the first ones, in order.

        That run has ended: at the latest when its ledger was ``opened`` (monotonic).
        """
        self._exchange.pause(opened + self._terms.settle - time.monotonic())
        question = self._exchange.ask_last_packet(RetryBudget(self._terms.retry_for), None)
        last = question.last
        if last is None:
            doubtful = () if question.is_known else tuple(notes)
        else:
            for place, note in enumerate(() if self._is_held(last) else notes):
                if is_noted(note, last):
                    return SettledRows(place + 1, (), question)
            # Rows go out in order of time: none that is newer than the last packet is there.
            doubtful = tuple(note for note in notes if note.instant <= last.instant)
        if doubtful:
            self._stop_if_told(question)
        return SettledRows(0, doubtful, question)

    def _is_held(self, last: LastPacket) -> bool:
        """Tell whether a packet is, or may be, one from before the stream was begun anew."""
        held = self.baseline.held
        return self.baseline.begun is Begun.ANEW or (held is not None and is_noted(held, last))

    def _stop_if_told(self, question: LastPacketReply) -> None:
        if self._terms.on_ambiguous == "stop":
            message = (
                f"it can't be settled whether the packet was stored: {_ambiguity(question)}; "
                "--on-ambiguous resend sends it again"
            )
            self._exchange.end_stream("ambiguous", message, 5)


def _ambiguity(question: LastPacketReply) -> str:
    if question.last is None:
        return f"the collector does not tell its last packet ({question.outcome.detail})"
    return f"the collector's last packet is of {question.last.fields.get('tsISO8601')}"
