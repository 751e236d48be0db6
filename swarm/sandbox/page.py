"""The page at the sandbox's root, which needs nothing from anywhere else."""

import html
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from swarm.sandbox.store import Stream
from swarm.sandbox.validate import Breach, as_text

#: The same in short for a program, as JSON.
STATUS_PATH: Final = "/status"
#: For the user who started the sandbox alone: which streams are begun anew, and the last packets.
FORGET_PATH: Final = "/forget"
LAST_PATH: Final = "/last"

# A browser lays out this many rows without stuttering at every refresh.
_ROWS: Final = 1000

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="3">
<meta name="viewport" content="width=device-width">
<title>swarm sandbox: {packets} packets</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 64rem }}
body {{ margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ border-bottom: 1px solid #8886; padding: .2rem .6rem; text-align: left }}
td {{ overflow-wrap: anywhere; font-variant-numeric: tabular-nums }}
:root {{ color-scheme: light dark }}
</style>
</head>
<body>
<h1>swarm sandbox</h1>
<p>A rehearsal collector on this machine: it checks and keeps packets as the Wattics collector
would, and sends nothing on. Packets go to <code>{url}</code>. Times are UTC.</p>
<h2>{packets} packets in {streams} streams</h2>
{stream_table}
<h2>Last refusals</h2>
{refusal_table}
</body>
</html>
"""


class Refusal(NamedTuple):
    """A refused request; ``at`` in seconds since the epoch."""

    at: float
    breach: Breach


class Refusals:
    """The last refusals of a sandbox, the newest first."""

    def __init__(self, kept: int = 20) -> None:
        self._kept: deque[Refusal] = deque(maxlen=kept)

    def note(self, breach: Breach) -> None:
        """Keep a refusal, with the time that it is now."""
        self._kept.appendleft(Refusal(time.time(), breach))

    def last(self) -> list[Refusal]:
        """Return what is kept."""
        return list(self._kept)


def render(url: str, packets: int, streams: Sequence[Stream], refusals: Sequence[Refusal]) -> str:
    """Return the page; every text that came from outside is escaped."""
    return _PAGE.format(
        url=html.escape(url),
        packets=f"{packets:,}",
        streams=f"{len(streams):,}",
        stream_table=_stream_table(streams),
        refusal_table=_refusal_table(refusals),
    )


def _stream_table(streams: Sequence[Stream]) -> str:
    rows = (
        (stream.id, f"{stream.packets:,}", as_text(stream.first), as_text(stream.last))
        for stream in islice(streams, _ROWS)
    )
    more = len(streams) - _ROWS
    note = f"<p>... and {more:,} more streams.</p>" if more > 0 else ""
    return _table(("stream", "packets", "first", "last"), rows) + note


def _refusal_table(refusals: Sequence[Refusal]) -> str:
    rows = (
        (as_text(int(at * 1000)), breach.stream, str(breach.status), breach.reason)
        for at, breach in refusals
    )
    return _table(("time", "stream", "status", "reason"), rows) if refusals else "<p>None.</p>"


def _table(names: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = _row("th", names)
    body = "\n".join(_row("td", row) for row in rows)
    return f"<table>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
