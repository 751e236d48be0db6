"""Looks rows up in a ledger that is read in step with them, a block at a time."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from swarm.checkpoint.ledger import ACKNOWLEDGED, REJECTED
from swarm.checkpoint.ledger_format import Columns

#: What `LedgerCursor.lookup` returns for a row without a record, other than a record's kinds ...
UNKNOWN = 0
#: ... and for one that was acknowledged with other values than it has.
ALTERED = 3


class LedgerCursor:
    """A cursor over a ledger's runs of records, for rows in order of time.

    In memory it has one part of each run.
    """

    def __init__(self, runs: Iterable[Iterator[Columns]]) -> None:
        self._runs = [_Run(parts) for parts in runs]

    def lookup(self, instants: Sequence[int], digests: Sequence[int]) -> list[int]:
        """Return, for each of the next rows, the kind of its record, `ALTERED` or `UNKNOWN`.

        The rows are in strictly increasing time. If several values were acknowledged at a row's
        instant, the last ones count. They take precedence over rejected ones.
        """
        found: list[int] = []
        while len(found) < len(instants):
            start = len(found)
            self._runs = [run for run in self._runs if run.skip_before(instants[start])]
            if not self._runs:
                return found + [UNKNOWN] * (len(instants) - start)
            # Up to here, all records of all runs are in memory.
            end = bisect_right(instants, min(run.last for run in self._runs), start)
            records = [run.until(instants[end - 1]) for run in self._runs]
            found += _compare(instants[start:end], digests[start:end], records)
        return found


class _Run:
    """Records in order of time, in parts; ``last`` is the last instant of the present part."""

    def __init__(self, parts: Iterator[Columns]) -> None:
        self.last = 0
        self._parts = parts
        self._part = Columns([], [], b"")
        self._start = 0

    def skip_before(self, instant: int) -> bool:
        """Go on to the first record that is not older; return False if there is none."""
        while not self._part.instants or self.last < instant:
            part = next(self._parts, None)
            if part is None:
                return False
            self._part, self._start, self.last = part, 0, part.instants[-1]
        self._start = bisect_left(self._part.instants, instant, self._start)
        return True

    def until(self, instant: int) -> Columns:
        """Return the records of the present part that are not newer."""
        instants, digests, kinds = self._part
        span = slice(self._start, bisect_right(instants, instant, self._start))
        return Columns(instants[span], digests[span], kinds[span])


def _compare(instants: Sequence[int], digests: Sequence[int], runs: Sequence[Columns]) -> list[int]:
    """Return what `LedgerCursor.lookup` does; ``runs`` have the records of the rows' time."""
    acknowledged: dict[int, int] = {}
    rejected: set[tuple[int, int]] = set()
    runs = [run for run in runs if run.kinds]
    for run in runs:
        if run.kinds.count(ACKNOWLEDGED) == len(run.kinds):
            if len(runs) == 1 and (run.instants, run.digests) == (instants, digests):
                return [ACKNOWLEDGED] * len(instants)
            acknowledged.update(zip(run.instants, run.digests, strict=True))
            continue
        for instant, digest, kind in zip(*run, strict=True):
            if kind == ACKNOWLEDGED:
                acknowledged[instant] = digest
            else:
                rejected.add((instant, digest))
    found = []
    for row in zip(instants, digests, strict=True):
        instant, digest = row
        known = acknowledged.get(instant)
        if known == digest:
            found.append(ACKNOWLEDGED)
        elif row in rejected:
            found.append(REJECTED)
        else:
            found.append(UNKNOWN if known is None else ALTERED)
    return found
