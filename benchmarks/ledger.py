"""What one acknowledgement costs in the checkpoint."""

import time
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench, side_by_side
from benchmarks.results import MICROSECONDS, Result, at_most
from swarm.checkpoint.ledger import ACKNOWLEDGED, MOST_NOTES, Ledger
from swarm.checkpoint.ledger_format import Note

_PACKETS = 200_000
_STEP_MS = 300_000


def ledger(bench: Bench) -> list[Result]:
    """Measure the note before a packet and the record after it, on one thread."""
    folder = bench.room("ledger")
    packets = bench.plan.size(_PACKETS)
    (times,) = side_by_side(bench.plan.pairs, partial(_microseconds, folder, packets))
    return [Result("one acknowledgement in the checkpoint", times, MICROSECONDS, at_most(10))]


def _microseconds(folder: Path, packets: int) -> float:
    """Return the time on the clock for one packet, syncs included."""
    book = Ledger.create(folder / "stream.ledger", "stream-000")
    started = time.perf_counter()
    for start in range(0, packets, MOST_NOTES):
        rows = [
            Note(number * _STEP_MS, number, number, 1)
            for number in range(start, min(start + MOST_NOTES, packets))
        ]
        book.note(rows)
        for row in rows:
            book.mark_in_flight()
            book.record(row.instant, row.digest, ACKNOWLEDGED)
    seconds = time.perf_counter() - started
    book.close()
    return seconds / packets * 1e6
