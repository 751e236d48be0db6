"""The look-up of rows in a ledger, a block at a time, against one row by row."""

import heapq
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarm.checkpoint import cursor
from swarm.checkpoint.cursor import ALTERED, UNKNOWN, LedgerCursor
from swarm.checkpoint.ledger import ACKNOWLEDGED, REJECTED
from swarm.checkpoint.ledger_format import Columns, LedgerEntry

Row = tuple[int, int]

INSTANTS = st.integers(0, 12)
DIGESTS = st.integers(1, 3)
ENTRIES = st.builds(LedgerEntry, INSTANTS, DIGESTS, st.sampled_from([1, 1, 1, REJECTED]))
#: The records of each run, in order of time.
RUNS = st.lists(
    st.lists(ENTRIES, min_size=1, unique_by=lambda entry: entry.instant).map(sorted), max_size=4
)
ROWS = st.dictionaries(INSTANTS, DIGESTS).map(lambda rows: sorted(rows.items()))


class RowCursor:
    """The rules, for one row after the other."""

    def __init__(self, runs: Sequence[Sequence[LedgerEntry]]) -> None:
        self._entries = heapq.merge(*runs, key=lambda entry: entry.instant)
        self._head = next(self._entries, None)

    def lookup(self, instant: int, digest: int) -> int:
        """Return the kind of a row's record; of several values acknowledged the last counts."""
        acknowledged: int | None = None
        rejected: int | None = None
        while (head := self._head) is not None and head.instant <= instant:
            if head.instant == instant:
                if head.kind == ACKNOWLEDGED:
                    acknowledged = head.digest
                elif head.digest == digest:
                    rejected = head.kind
            self._head = next(self._entries, None)
        if acknowledged == digest:
            return ACKNOWLEDGED
        return rejected or (UNKNOWN if acknowledged is None else ALTERED)


def parts(run: Sequence[LedgerEntry], size: int) -> Iterator[Columns]:
    """Yield the records of a run in parts."""
    for start in range(0, len(run), size):
        instants, digests, kinds = zip(*run[start : start + size], strict=True)
        yield Columns(list(instants), list(digests), bytes(kinds))


def found(
    runs: Sequence[Sequence[LedgerEntry]], rows: Sequence[Row], part: int, block: int
) -> list[int]:
    """Return what blocks of rows are found to be."""
    at = LedgerCursor(parts(run, part) for run in runs)
    kinds = []
    for start in range(0, len(rows), block):
        instants, digests = zip(*rows[start : start + block], strict=True)
        kinds += at.lookup(list(instants), list(digests))
    return kinds


@given(RUNS, ROWS, st.integers(1, 5), st.integers(1, 5))
@example([[LedgerEntry(1, 1, 1)], [LedgerEntry(1, 2, 1)]], [(1, 1)], 1, 1)
def test_rows_are_found_as_one_by_one(
    runs: list[list[LedgerEntry]], rows: list[Row], part: int, block: int
) -> None:
    """However ledger and rows are parted."""
    reference = RowCursor(runs)
    assert [reference.lookup(*row) for row in rows] == found(runs, rows, part, block)


@given(RUNS, st.data(), st.integers(1, 5), st.integers(1, 5))
def test_rows_that_were_sent_are_found_as_one_by_one(
    runs: list[list[LedgerEntry]], data: st.DataObject, part: int, block: int
) -> None:
    """Most rows have the values that were acknowledged: blocks are equal as a whole."""
    known = {entry.instant: entry.digest for run in runs for entry in run}
    known |= data.draw(st.dictionaries(INSTANTS, DIGESTS, max_size=2))
    rows = sorted(known.items())
    reference = RowCursor(runs)
    assert [reference.lookup(*row) for row in rows] == found(runs, rows, part, block)


def test_one_part_of_a_ledger_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if it has many more records than there are rows in the same time."""
    compared: list[int] = []
    compare = cursor._compare

    def counted(instants: list[int], digests: list[int], runs: list[Columns]) -> list[int]:
        compared.append(sum(len(run.instants) for run in runs))
        return compare(instants, digests, runs)

    monkeypatch.setattr(cursor, "_compare", counted)
    entries = [LedgerEntry(instant, 1, ACKNOWLEDGED) for instant in range(1000)]
    rows = [(instant, 1) for instant in range(0, 1000, 300)]
    assert [ACKNOWLEDGED] * 4 == found([entries], rows, 10, 4)
    assert max(compared) <= 10
