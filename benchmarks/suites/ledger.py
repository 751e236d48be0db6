"""The cost of one acknowledgement in the checkpoint."""

import time
from functools import partial
from pathlib import Path

from benchmarks.harness.session import Session, side_by_side
from benchmarks.results import MICROSECONDS, Result, at_most
from swarm.checkpoint.ledger import ACKNOWLEDGED, MOST_NOTES, Ledger
from swarm.checkpoint.ledger_format import Note

_PACKETS = 200_000
_STEP_MS = 300_000


def ledger(session: Session) -> list[Result]:
    """Measure the note before a packet and the record after it, in one thread."""
    folder = session.make_folder("ledger")
    packets = session.plan.size(_PACKETS)
    (times,) = side_by_side(session.plan.pairs, partial(_microseconds, folder, packets))
    return [Result("one acknowledgement in the checkpoint", times, MICROSECONDS, at_most(10))]


def _microseconds(folder: Path, packets: int) -> float:
    """Return the elapsed time (microseconds) for one packet, syncs included."""
    checkpoint = Ledger.create(folder / "stream.ledger", "stream-000")
    started = time.perf_counter()
    for start in range(0, packets, MOST_NOTES):
        rows = [
            Note(number * _STEP_MS, number, number, 1)
            for number in range(start, min(start + MOST_NOTES, packets))
        ]
        checkpoint.note(rows)
        for row in rows:
            checkpoint.mark_in_flight()
            checkpoint.record(row.instant, row.digest, ACKNOWLEDGED)
    seconds = time.perf_counter() - started
    checkpoint.close()
    return seconds / packets * 1e6
