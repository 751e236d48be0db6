"""Find lines after the data of a CSV, such as totals."""

from collections import deque
from functools import partial
from itertools import islice
from pathlib import Path

from swarm.csv.cells import CellReader
from swarm.csv.file import LONGEST_LINE
from swarm.csv.guessed_formats import is_midnight, moment
from swarm.csv.problems import Problems
from swarm.csv.source import READ_ERRORS, OpenSource
from swarm.init.dialect import Dialect
from swarm.init.stamps import stamp_of
from swarm.text import pluralize, quoted

#: The number of lines at the end of a file that are looked at.
_LINES = 30


def note(path: Path, dialect: Dialect, form: str) -> str:
    """Return a note about the lines after the data of a file, empty if there are none.

    ``form`` is the format of the timestamps.
    """
    last: deque[tuple[int, bytes]] = deque(maxlen=_LINES)
    try:
        with OpenSource(path, dialect.encoding.name) as file:
            lines = enumerate(iter(partial(file.readline, LONGEST_LINE), b""), 1)
            last.extend(islice(lines, dialect.skip_rows, None))
    except READ_ERRORS:
        return ""
    reader = CellReader(dialect.rules, Problems(""))
    found: list[tuple[int, str]] = []
    for number, raw in reversed(last):
        text = reader.text(number, raw.rstrip(b"\r\n")) or ""
        if not text.strip():
            continue
        cells = reader.cells(number, text) or [text]
        stamp = stamp_of(cells, dialect.stamps)
        is_time = moment(stamp, form) is not None or is_midnight(stamp)
        if is_time and len(cells) == dialect.width:
            break
        found.append((number, text))
    else:
        # No row among the last lines: they are no footer, or something else is wrong.
        return ""
    if not found:
        return ""
    number, text = found[-1]
    more = f" and {pluralize(len(found) - 1, 'line')} after it" if found[1:] else ""
    return (
        f"line {number}{more}: not a row of data but a footer: {quoted(text)}; 'swarm check' "
        "rejects it: remove it from the file"
    )
