"""A meter's files -> checked rows in order of time ("The CSV" in docs/reference.md).

`check_files` checks files, `MeterReader` reads them for sending, as the check found them; both
are imported from here. In reading order: `check`, `scan` (one file), `reader` and `sort` (order of
time), `rows` (a row: `plain` is the fast way, else `cells`, `timestamps`, `values`), `numbers`,
`file` (blocks, and the file held to what was checked), `folds` (repeated hours) with
`sent_folds`, `zones` (signs of a wrong zone), `gaps`, `quality`, `skipped`, `problems`; `days`
and `timestamp_formats` know dates.
"""

from swarm.csv.check import CheckResult, check_files
from swarm.csv.gaps import Gap
from swarm.csv.quality import Quality
from swarm.csv.reader import MeterReader, Window
from swarm.csv.rows import Row
from swarm.csv.sent_folds import SentRows

__all__ = [
    "CheckResult",
    "Gap",
    "MeterReader",
    "Quality",
    "Row",
    "SentRows",
    "Window",
    "check_files",
]
