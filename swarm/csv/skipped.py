"""Lines ahead of the data that ``skip_rows`` leaves out, and rows among them."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from swarm.config.settings import CsvRules
from swarm.csv.cells import CellReader
from swarm.csv.file import LONGEST_LINE, READ_ERRORS, OpenFile, open_csv
from swarm.csv.problems import Problems
from swarm.csv.values import ValueReader
from swarm.text import pluralize, quoted

#: A timestamp has at least so many digits, a name fewer.
_DIGITS_OF_A_TIME = 6
#: So many lines are looked at.
_MOST_LINES = 1000
_BOM = b"\xef\xbb\xbf"


def is_like_data(cells: Sequence[str], width: int, rules: CsvRules) -> bool:
    """Tell whether cells look like a row of so many, though perhaps a damaged one."""
    first, *others = cells
    digits = sum(character.isdigit() for character in first)
    if len(cells) != width or not first[:1].isdigit():
        return False
    filled = [cell for cell in others if cell]
    numbers = sum(map(ValueReader(rules, Problems("")).is_number, filled))
    return numbers > 0 or (digits >= _DIGITS_OF_A_TIME and not filled)


def notices(path: Path, rules: CsvRules, columns: int) -> Iterator[str]:
    """Yield what to say of skipped lines that look like rows of so many measurements."""
    if not (rules.skip_rows and columns):
        return
    try:
        with open_csv(path) as file:
            lines = list(islice(_lines(file), min(rules.skip_rows, _MOST_LINES)))
    except READ_ERRORS:
        return
    reader = CellReader(rules, Problems(""))
    found = [
        (number, line)
        for number, line in enumerate(lines, 1)
        if line.strip() and is_like_data(reader.cells(number, line) or [line], columns + 1, rules)
    ]
    if found:
        number, line = found[0]
        others = f", as {pluralize(len(found) - 1, 'line')} after it" if found[1:] else ""
        yield (
            f"{path}:{number}: a line that skip_rows = {rules.skip_rows} leaves out looks like "
            f"data{others}: {quoted(line)}; set skip_rows = {number - 1} if it is a row to send"
        )


def _lines(file: OpenFile) -> Iterator[str]:
    while line := file.readline(LONGEST_LINE):
        yield line.removeprefix(_BOM).decode("utf-8", "replace").rstrip("\r\n")
