"""The first and the last question to the collector: what it held before, and what it holds now."""

from collections.abc import Iterable
from contextlib import suppress

from swarm.collector import Last
from swarm.events import Verified
from swarm.exchange import Exchange
from swarm.ledger import ACKNOWLEDGED, Ledger
from swarm.meterfile import Row
from swarm.stream import Down, Ended, Halted, Item, Patience, RowItem, Task

#: The instants (ms) of which the collector's last packet can be, each with its row where it is at
#: hand. They are two after rows were sent late: some collectors tell the last by time, others the
#: last that came.
Expected = dict[int, Item | None]

_TRIES = 3
_FIRST_WAIT = 0.5


def first(task: Task, exchange: Exchange, items: Iterable[RowItem]) -> Last | None:
    """Without a checkpoint, ask before anything is sent; return what ``--adopt`` goes by.

    Where the collector's last packet is a row of the file, the stream ends: only its user knows
    what was sent.
    """
    if task.upload.restart or not task.survey.ends:
        return None
    last = exchange.ask(Patience(task.upload.retry_for), None).last
    if last is None or task.upload.adopt:
        return last
    if _within(task.survey.ends, last.instant):
        known = next((item for item in items if item.instant >= last.instant), None)
        if known is not None and known.is_same(last):
            message = (
                "the collector already holds this row, but no checkpoint says what was sent: "
                "--adopt goes on behind it, --restart sends all from the first row"
            )
            exchange.stop("no checkpoint", message, 3, known.where)
    return None


def _within(ends: tuple[Row, ...], instant: int) -> bool:
    return ends[0].instant <= instant <= ends[-1].instant


def adopt(ledger: Ledger, last: Last, items: Iterable[RowItem]) -> None:
    """Take the collector's last packet as the checkpoint: all rows up to it are acknowledged."""
    for item in items:
        if item.instant > last.instant:
            break
        ledger.record(item.instant, item.digest, ACKNOWLEDGED)
    ledger.freeze()


def verify(exchange: Exchange, expected: Expected) -> Verified:
    """Ask whether the collector's last packet is one that it may be."""
    verified: Verified = "unknown"
    with suppress(Ended, Halted, Down):
        for attempt in range(_TRIES if expected else 0):
            verified = _compared(exchange, expected)
            if verified != "no":
                break
            if attempt < _TRIES - 1:
                exchange.pause(_FIRST_WAIT * 2**attempt)
    return verified


def _compared(exchange: Exchange, expected: Expected) -> Verified:
    question = exchange.ask_once()
    last = question.last
    if not question.is_known:
        return "unknown"
    if last is None:
        return "no"
    if last.instant in expected:
        item = expected[last.instant]
        return "yes" if item is None or item.is_same(last) else "no"
    return "newer" if last.instant > max(expected) else "no"
