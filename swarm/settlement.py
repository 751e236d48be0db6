"""Unsettled outcomes: was a packet stored whose answer never came? (contract, section 5)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from swarm.collector import Outcome, Question
from swarm.events import Tally
from swarm.exchange import Exchange
from swarm.ledger import Pending
from swarm.stream import Item, Patience


@dataclass(frozen=True)
class Terms:
    """How questions are asked, and what happens where they settle nothing; times in seconds."""

    settle: float
    on_ambiguous: Literal["resend", "stop"]
    retry_for: float


class Settlement:
    """Finds out what became of packets, by asking for the stream's last one."""

    def __init__(self, exchange: Exchange, terms: Terms, tally: Tally) -> None:
        self._exchange = exchange
        self._terms = terms
        self._tally = tally

    def is_stored(self, item: Item, outcome: Outcome, sent_at: float, patience: Patience) -> bool:
        """Tell what became of a packet sent at ``sent_at`` (monotonic); False to send it again."""
        self._exchange.wait(outcome, patience, item.where)
        self._exchange.pause(sent_at + self._terms.settle - time.monotonic())
        question = self._exchange.ask(patience, item.where)
        return self._place([item], question) is not None

    def stored_of(self, pending: Pending, items: Sequence[Item]) -> int:
        """Return how many of the items an earlier run has stored: the first ones, in order.

        They are those that it can have sent without a record; without any, nothing is asked.
        """
        if not items:
            return 0
        # Clocks are set, and machines are started anew: never longer than `settle` from now.
        self._exchange.pause(min(pending.sent_at - time.time(), 0.0) + self._terms.settle)
        question = self._exchange.ask(Patience(self._terms.retry_for), items[0].where)
        place = self._place(items, question)
        return 0 if place is None else place + 1

    def _place(self, items: Sequence[Item], question: Question) -> int | None:
        """Return which item the collector's last packet is; None to send from the first on.

        Where that can't be settled, ``on_ambiguous`` decides.
        """
        last = question.last
        if question.is_known and (last is None or last.instant < items[0].instant):
            return None
        if last is not None:
            for place, item in enumerate(items):
                if item.is_same(last):
                    return place
        if self._terms.on_ambiguous == "stop":
            message = (
                f"it can't be settled whether the packet was stored: {_ambiguity(question)}; "
                "--on-ambiguous resend sends it again"
            )
            self._exchange.stop("ambiguous", message, 5, items[0].where)
        self._tally.possible_duplicates += 1
        return None


def _ambiguity(question: Question) -> str:
    if question.last is None:
        return f"the collector does not tell its last packet ({question.outcome.words})"
    return f"the collector's last packet is of {question.last.fields.get('tsISO8601')}"
