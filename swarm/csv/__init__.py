"""A meter's files -> checked rows in order of time ("The CSV" in docs/reference.md).

`check_files` checks files, `MeterReader` reads them for sending, as the check found them; import
both from here. The modules in reading order: `check` and `result`, `settled` (what need not be read
again), `scan` (one file), `reader` and `sort` (order of time), `rows` (a block's rows: `plain` is
the fast path, `cells`, `timestamps` and `values` are the slow one), `numbers`, `file` (blocks,
verified when they are sent), `folds` and `sent_folds` (repeated hours), `zones` (signs of a wrong
zone), `gaps`, `quality`, `statistics` and `sums` (for pictures), `skipped`, `problems`, and for
dates `days` and `guessed_formats`.
"""

from swarm.csv.check import check_files
from swarm.csv.gaps import Gap
from swarm.csv.quality import Quality
from swarm.csv.reader import MeterReader, SettledPart, Window, verified_here
from swarm.csv.result import CheckResult
from swarm.csv.rows import Batch, Row
from swarm.csv.sent_folds import SentRows
from swarm.csv.settled import CheckState, load_state

__all__ = [
    "Batch",
    "CheckResult",
    "CheckState",
    "Gap",
    "MeterReader",
    "Quality",
    "Row",
    "SentRows",
    "SettledPart",
    "Window",
    "check_files",
    "load_state",
    "verified_here",
]
