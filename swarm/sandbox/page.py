"""The web page at the sandbox's root; it loads nothing from other places."""

import html
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from swarm.sandbox.store import Stream
from swarm.sandbox.validate import Breach, as_text

#: The number of packets as JSON, for programs.
STATUS_PATH: Final = "/status"
#: Only for clients with the key: delete the packets of streams, read the last packets.
FORGET_PATH: Final = "/forget"
LAST_PATH: Final = "/last"

# With more rows, the page would stutter in the browser at every refresh.
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
would, and forwards nothing. Packets go to <code>{url}</code>. Times are UTC.</p>
<h2>{packets} packets in {streams} streams</h2>
{stream_table}
<h2>Last refused requests</h2>
{refusal_table}
</body>
</html>
"""


class Refusal(NamedTuple):
    """A refused request; ``at`` in seconds since the epoch."""

    at: float
    breach: Breach


class Refusals:
    """The most recent refusals of a sandbox, the newest first."""

    def __init__(self, size: int = 20) -> None:
        self._refusals: deque[Refusal] = deque(maxlen=size)

    def note(self, breach: Breach) -> None:
        """Add a refusal, with the current time."""
        self._refusals.appendleft(Refusal(time.time(), breach))

    def last(self) -> list[Refusal]:
        """Return the refusals."""
        return list(self._refusals)


def render(url: str, packets: int, streams: Sequence[Stream], refusals: Sequence[Refusal]) -> str:
    """Return the page; all text from clients is escaped."""
    stream_rows = [
        (stream.id, f"{stream.packets:,}", as_text(stream.first), as_text(stream.last))
        for stream in streams[:_ROWS]
    ]
    more = len(streams) - _ROWS
    note = f"<p>... and {more:,} more streams.</p>" if more > 0 else ""
    refusal_rows = [
        (as_text(int(at * 1000)), breach.stream, str(breach.status), breach.reason)
        for at, breach in refusals
    ]
    refusal_table = _table(("time", "stream", "status", "reason"), refusal_rows)
    return _PAGE.format(
        url=html.escape(url),
        packets=f"{packets:,}",
        streams=f"{len(streams):,}",
        stream_table=_table(("stream", "packets", "first", "last"), stream_rows) + note,
        refusal_table=refusal_table if refusals else "<p>None.</p>",
    )


def _table(names: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = _row("th", names)
    body = "\n".join(_row("td", row) for row in rows)
    return f"<table>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
