"""The first and the last question to the collector: what it held before, and what it holds now."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from swarm.collector import Last
from swarm.events import Verified
from swarm.exchange import Exchange
from swarm.stream import Down, Ended, Halted, Item, Patience, RowItem, Task

#: The instants (ms) of which the collector's last packet can be, each with its row where it is at
#: hand. They are two after rows were sent late: some collectors tell the last by time, others the
#: last that came.
Expected = dict[int, Item | None]

_TRIES = 3
_FIRST_WAIT = 0.5


def first(task: Task, exchange: Exchange, items: Iterable[RowItem]) -> Last | None:
    """Without a checkpoint, ask before anything is sent; return what ``--adopt`` goes by.

    Where the collector's last packet is one of ``items``, all rows of the file, the stream ends:
    only its user knows what was sent.
    """
    if not task.survey.ends:
        return None
    last = exchange.ask(Patience(task.upload.retry_for), None).last
    if last is None or task.upload.adopt:
        return last
    if _may_hold(task, last.instant):
        known = next((item for item in items if item.instant >= last.instant), None)
        if known is not None and known.is_same(last):
            message = (
                "the collector already holds this row, but no checkpoint says what was sent: "
                "--adopt goes on behind it, --restart sends all from the first row"
            )
            exchange.stop("no checkpoint", message, 3, known.where)
    return None


def _may_hold(task: Task, instant: int) -> bool:
    """Tell whether a file may have a row of an instant; not known of rows that are filtered."""
    is_open = task.upload.since is None and task.upload.until is None
    ends = task.survey.ends
    return not is_open or ends[0].instant <= instant <= ends[-1].instant


def adopted(last: Last, items: Iterable[RowItem]) -> Iterator[tuple[int, int]]:
    """Yield instant and digest of all rows up to the collector's last packet."""
    for item in items:
        if item.instant > last.instant:
            return
        yield item.instant, item.digest


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
