"""Find the columns of a CSV that make the timestamp, and timestamps that can't be read."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from swarm.csv.cells import split_cells
from swarm.csv.guessed_formats import count_form, forms, has_hour, is_clock

_FIRST = (1,)
#: The number of lines whose timestamps are compared.
_LINES = 300
#: A row with more times of day is the header of a file with a row for each day.
_MOST_CLOCKS = 12
_SERIAL = re.compile(r"[2-6]\d{4}[.,]\d{2,}", re.ASCII)
_ZONE = re.compile(r"(?P<time>.*\d(?: ?[AaPp][Mm])?) (?P<zone>[A-Z]{2,5})")
_EXCEL_DAY_0 = datetime(1899, 12, 30)


def stamp_of(cells: Sequence[str], stamps: Sequence[int]) -> str:
    """Return the timestamp of a row; empty if the row is too short."""
    return split_cells(cells, stamps)[0] if max(stamps) <= len(cells) else ""


def is_stamped(cells: Sequence[str], stamps: Sequence[int]) -> bool:
    """Return True if cells have a timestamp at the given places, and other cells."""
    stamp = stamp_of(cells, stamps)
    return len(cells) > len(stamps) and bool(forms(stamp) or count_form(stamp))


def find(lines: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """Return the numbers of the columns that make the timestamp, counted from 1; none if unknown.

    Of several columns of timestamps, such as the beginning and the end of each interval, the first
    one is taken whose times differ. Numbers are counts of seconds only in a file without dates, and
    if they differ.
    """
    found = _found(lines, _candidates)
    if not found:
        counts = _found(lines, _counts)
        found = {stamps: texts for stamps, texts in counts.items() if len({*texts}) == len(texts)}
    if not found:
        return ()
    most = max(map(len, found.values()))
    often = {stamps: texts for stamps, texts in found.items() if 2 * len(texts) >= most}
    different = [stamps for stamps, texts in often.items() if len(set(texts)) > 1]
    return min(different or often, key=lambda stamps: (min(stamps), -len(stamps)))


def _found(
    lines: Sequence[Sequence[str]],
    candidates: Callable[[Sequence[str]], Iterator[tuple[int, ...]]],
) -> Mapping[tuple[int, ...], Sequence[str]]:
    """Return the timestamps of lines in each of the columns that may make the timestamp."""
    found: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for cells in lines[:_LINES]:
        for stamps in candidates(cells):
            found[stamps].append(stamp_of(cells, stamps))
    return found


def _counts(cells: Sequence[str]) -> Iterator[tuple[int, ...]]:
    """Yield the columns with a count of seconds."""
    for number, cell in enumerate(cells, 1):
        if len(cells) > 1 and count_form(cell):
            yield (number,)


def _candidates(cells: Sequence[str]) -> Iterator[tuple[int, ...]]:
    """Yield the columns that may make the timestamp of a row.

    The time of day of a date is in the next column of times, or else in the one before.
    """
    if len(cells) < 2:
        return
    for number, cell in enumerate(cells, 1):
        if not cell[:1].isdigit() or not (known := forms(cell)):
            continue
        if number > 1 and cell.isdigit() and not cell.startswith(("19", "20")):
            continue
        clocks = []
        if not has_hour(known[0]):
            clocks = [place for place, text in enumerate(cells, 1) if is_clock(text)]
            clocks.sort(key=lambda place: (place < number, abs(place - number)))
        if clocks and len(cells) > 2:
            yield number, clocks[0]
        else:
            yield (number,)


def by_day(lines: Sequence[Sequence[str]]) -> str:
    """Return what is wrong with a file that has a row for each day, empty for other files."""
    if any(cells[:2] == ["100", "NEM12"] for cells in lines[:_LINES]):
        return (
            "NEM12: a line for each day, with a cell for each interval; convert it to rows of "
            "time and value, with a program such as nemreader"
        )
    wide = [cells for cells in lines[:_LINES] if len(cells) > _MOST_CLOCKS]
    if any(sum(map(_is_slot, cells)) > _MOST_CLOCKS for cells in wide):
        return (
            "a row for each day, with a column for each time of day: expected a row for each "
            "time, such as 2023-01-31 10:15:00,12.5; export it as a list, or convert it"
        )
    return ""


def _is_slot(cell: str) -> bool:
    """Return True if a text is a time of day, or a range of two."""
    return is_clock(cell.partition("-")[0].strip())


def refusal(lines: Sequence[Sequence[str]]) -> str:
    """Return what is wrong with timestamps that can't be read, empty if that is not clear."""
    votes: Counter[str] = Counter()
    for cells in lines[:_LINES]:
        votes.update({kind for cell in cells if len(cells) > 1 and (kind := _kind(cell))})
    if not votes:
        return ""
    kind = votes.most_common(1)[0][0]
    text = next(cell for cells in lines for cell in cells if _kind(cell) == kind)
    return _REFUSALS[kind].format(text=text, same=_same(kind, text))


_REFUSALS = {
    "serial": "the times are numbers of days, as spreadsheets count them: give the cells a format "
    "of date and time and save the CSV again; '{text}' is {same}",
    "zone": "the times end in the name of a zone: found '{text}', expected '{same}' with the "
    "option timezone, or an offset such as +01:00; export them in this form",
}


def _kind(cell: str) -> str:
    """Return the kind of a text that means a time but can't be read, empty for other texts."""
    if not cell[:1].isdigit():
        return ""
    if _SERIAL.fullmatch(cell):
        return "serial"
    if (match := _ZONE.fullmatch(cell)) and forms(match["time"]):
        return "zone"
    return ""


def _same(kind: str, text: str) -> str:
    """Return the time that such a text means, in a form that can be read."""
    if kind == "zone":
        match = _ZONE.fullmatch(text)
        return match["time"] if match else ""
    days = timedelta(days=float(text.replace(",", ".")))
    return f"{_EXCEL_DAY_0 + days:%Y-%m-%d %H:%M:%S}"
