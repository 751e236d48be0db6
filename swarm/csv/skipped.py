"""Lines before the data that ``skip_rows`` skips; a notice if some of them look like rows."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from swarm.config.settings import CsvRules
from swarm.csv.cells import CellReader, split_cells
from swarm.csv.file import LONGEST_LINE
from swarm.csv.problems import Problems
from swarm.csv.source import READ_ERRORS, OpenSource
from swarm.csv.values import ValueReader
from swarm.text import pluralize, quoted

#: A timestamp has at least this many digits, the name of a column fewer.
_DIGITS_OF_A_TIME = 6
#: The number of skipped lines that are checked.
_MOST_LINES = 1000
_BOM = b"\xef\xbb\xbf"


def is_like_data(cells: Sequence[str], width: int, rules: CsvRules) -> bool:
    """Return True if cells look like a row of ``width`` cells, even a damaged one."""
    first, others = split_cells(cells, rules.timestamp_columns)
    digits = sum(character.isdigit() for character in first)
    if len(cells) != width or not first[:1].isdigit():
        return False
    filled = [cell for cell in others if cell]
    numbers = sum(map(ValueReader(rules, Problems("")).is_number, filled))
    return numbers > 0 or (digits >= _DIGITS_OF_A_TIME and not filled)


def notices(path: Path, rules: CsvRules, columns: int) -> Iterator[str]:
    """Yield a notice if skipped lines of a file look like rows of ``columns`` measurements."""
    if not (rules.skip_rows and columns):
        return
    most = min(rules.skip_rows, _MOST_LINES)
    try:
        with OpenSource(path, rules.encoding) as file:
            lines = list(islice(iter(partial(file.readline, LONGEST_LINE), b""), most))
    except READ_ERRORS:
        return
    problems = Problems("")
    reader = CellReader(rules, problems)
    found = []
    for number, raw in enumerate(lines, 1):
        line = reader.text(number, raw.removeprefix(_BOM).rstrip(b"\r\n")) or ""
        cells = (reader.cells(number, line) or [line]) if line.strip() else []
        if cells and is_like_data(cells, columns + len(rules.timestamp_columns), rules):
            found.append((number, line))
    for problem in problems.found:
        if problem.kind == "encoding":
            yield f"{path}:{problem.line}: in a line that skip_rows leaves out: {problem.message}"
    if found:
        number, line = found[0]
        others = f", like {pluralize(len(found) - 1, 'line')} after it" if found[1:] else ""
        yield (
            f"{path}:{number}: a line that skip_rows = {rules.skip_rows} leaves out looks like "
            f"data{others}: {quoted(line)}; set skip_rows = {number - 1} if it is a row to send"
        )
