"""Unsettled outcomes: was a packet stored whose answer never came? (contract, section 5)."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Literal

from swarm.collector import Outcome, Question
from swarm.events import Tally
from swarm.exchange import Exchange
from swarm.ledger import Pending
from swarm.stream import Item, Patience, RowItem


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

    def settled(self, pending: Pending, items: Iterator[RowItem]) -> Iterator[tuple[RowItem, bool]]:
        """Yield the items, each with whether an earlier run that died has stored it.

        Asks once: when the packet in flight is reached, where it is known, else for as many of the
        next items as can have been sent without a record.
        """
        if pending.digest is None:
            ahead = list(islice(items, pending.window))
            yield from self._marked(pending, ahead)
            yield from ((item, False) for item in items)
            return
        for item in items:
            if (item.instant, item.digest) == (pending.instant, pending.digest):
                yield from self._marked(pending, [item])
                break
            yield item, False
        yield from ((item, False) for item in items)

    def _marked(self, pending: Pending, items: list[RowItem]) -> Iterator[tuple[RowItem, bool]]:
        if not items:
            return iter(())
        # Clocks are set, and machines are started anew: never longer than `settle` from now.
        self._exchange.pause(min(pending.sent_at - time.time(), 0.0) + self._terms.settle)
        question = self._exchange.ask(Patience(self._terms.retry_for), items[0].where)
        place = self._place(items, question)
        stored = 0 if place is None else place + 1
        return chain(
            ((item, True) for item in items[:stored]), ((item, False) for item in items[stored:])
        )

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
