"""The facts about a file's rows that a stream's ledger has, for the check of the file."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from itertools import chain, islice, takewhile
from pathlib import Path

from swarm.checkpoint.ledger import ACKNOWLEDGED, Ledger
from swarm.checkpoint.settled import LedgerSummary
from swarm.csv import Row, SentRows
from swarm.errors import StateError
from swarm.packet import body, digest


def sent_rows(
    path: Path, stream: str, known: LedgerSummary | None, periods: Sequence[tuple[int, int]]
) -> SentRows:
    """Return the recorded rows of some periods (ms), which do not overlap."""
    found: dict[int, set[int]] = {}
    oldest: int | None = None
    newest: int | None = None
    # An instant is in a period if an odd number of the periods' bounds is at or before it.
    bounds = sorted(bound for period in periods for bound in period)
    # Damage of the ledger is reported by the upload.
    with suppress(StateError), _ledger(path, stream, known) as ledger:
        for instants, digests in _recorded(ledger, bounds[0] - 1) if ledger else ():
            first, last = min(instants), max(instants)
            oldest = first if oldest is None else min(first, oldest)
            newest = last if newest is None else max(last, newest)
            before = bisect_right(bounds, first)
            if before % 2 or bisect_right(bounds, last) > before:
                for instant, row_digest in zip(instants, digests, strict=True):
                    if bisect_right(bounds, instant) % 2:
                        found.setdefault(instant, set()).add(row_digest)
    return SentRows(found, oldest, newest)


def has_begun(
    path: Path, stream: str, registers: tuple[str, ...], padding: Row, first: Row
) -> bool:
    """Return True if a stream has begun without the padding packet that its files now ask for.

    That is so if the packet after it, or any at or before its instant, was acknowledged.
    """
    with suppress(StateError), _ledger(path, stream) as ledger:
        start = takewhile(
            lambda entry: entry.instant <= first.instant, ledger.entries() if ledger else ()
        )
        known = [(row.instant, row.digest) for row in start if row.kind == ACKNOWLEDGED]
        itself = padding.instant, digest(body(registers, padding.cells))
        return itself not in known and any(
            instant <= padding.instant or instant == first.instant for instant, _ in known
        )
    return False


@contextmanager
def _ledger(path: Path, stream: str, known: LedgerSummary | None = None) -> Iterator[Ledger | None]:
    """Open a ledger to read, with a summary of its first records; None if there is none."""
    ledger = Ledger.view(path, stream, known)
    with closing(ledger) if ledger else nullcontext():
        yield ledger


def _recorded(ledger: Ledger, after: int) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """Yield instants (ms) and digests of a ledger's oldest row, and of all after an instant."""
    for oldest in islice(ledger.entries(), 1):
        yield [oldest.instant], [oldest.digest]
    for records in chain.from_iterable(ledger.runs(after)):
        yield records.instants, records.digests
    # Rows that an earlier run may have sent keep their fold as well.
    if ledger.in_doubt:
        instants, digests, *_ = zip(*ledger.in_doubt, strict=True)
        yield instants, digests
