"""Guesses of the strptime formats of timestamps, the likeliest first."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import islice, pairwise

from swarm.timestamp_format import TimestampParser

_DATE = re.compile(
    r"(?P<y>\d{4})(?P<a>[-/.])\d{1,2}(?P=a)\d{1,2}"
    r"|\d{1,2}(?P<b>[-/.])\d{1,2}(?P=b)(?:\d{4}|(?<![-])\d\d(?!\d))"
    r"|\d{1,2}(?P<c>[-/ ])[A-Za-z]{3}(?P=c)(?P<long>\d{4}|\d\d(?!\d))"
    r"|(?P<compact>\d{8})",
    re.ASCII,
)
_TIME = re.compile(
    r"\d{1,2}:\d\d(?P<s>:\d\d)?(?:(?P<point>[.,])\d{1,6})?(?P<half>[ ]?[AaPp][Mm])?"
    r"|(?P<compact>\d{4}(?P<cs>\d\d)?)",
    re.ASCII,
)
_OFFSET = re.compile(r"(?P<blank> ?)(?:Z|[+-]\d\d:?[0-5]\d|(?P<utc>UTC|GMT))", re.ASCII)
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?(?: ?[AaPp][Mm])?", re.ASCII)
_RANGE = re.compile(r"(?P<first>.+?\d.*?)(?P<end>\s+(?:-|to|bis|à)\s+).*\d.*", re.IGNORECASE)
_COUNT = re.compile(r"[12]\d{9}(?:(?:\d{3}){1,3}|\.\d{1,6})?", re.ASCII)
_COUNTS = {10: "unix", 13: "unix_ms", 16: "unix_us", 19: "unix_ns"}
_STANDARD = "%Y-%m-%d %H:%M:%S"
_STANDARD_TEXT = re.compile(r"\d{4}-\d\d-\d\d (?!24)\d\d:\d\d:\d\d", re.ASCII)
_DAY = timedelta(days=1)


def forms(text: str) -> tuple[str, ...]:
    """Return the formats that a text can have; empty if it is no timestamp.

    >>> forms("01/02/2023 10:15")
    ('%d/%m/%Y %H:%M', '%m/%d/%Y %H:%M')
    >>> forms("2023-01-31T10:15:00Z")
    ('%Y-%m-%dT%H:%M:%S%z',)
    >>> forms("31.01.2023 10:00 - 31.01.2023 11:00")
    ('%d.%m.%Y %H:%M - *',)
    """
    if match := _RANGE.fullmatch(text):
        return tuple(f"{form}{match['end']}*" for form in forms(match["first"]))
    date = _DATE.match(text)
    time_form = _time_form(text[date.end() :]) if date else None
    if date is None or time_form is None:
        return ()
    dates: Sequence[str] = _date_forms(date)
    if "%p" in time_form:
        # Files with AM and PM mostly have the month first.
        dates = sorted(dates, key=lambda form: not form.startswith("%m"))
    found = (f"{form}{time_form}" for form in dates)
    return tuple(form for form in found if moment(text, form))


def count_form(text: str) -> str:
    """Return the format of a count of seconds since 1970; empty if a text is none.

    Only counts of this century, from 2001 on, are taken for one.
    """
    return _COUNTS[len(text.partition(".")[0])] if _COUNT.fullmatch(text) else ""


def moment(text: str, form: str) -> datetime | None:
    """Return a text parsed by a format, or None if it does not fit; 24:00 is of the next day."""
    try:
        if form == _STANDARD and _STANDARD_TEXT.fullmatch(text):
            return datetime.fromisoformat(text)  # ten times as fast
        return _parser(form).parse(text)
    except (ValueError, OverflowError, re.error):
        return None


@cache
def _parser(form: str) -> TimestampParser:
    return TimestampParser(form, hour_24=True)


def is_clock(text: str) -> bool:
    """Return True if a text is a time of day without a date."""
    return _CLOCK.fullmatch(text) is not None


def has_hour(form: str) -> bool:
    """Return True if a format has a time of day, not only a date."""
    return "%H" in form or "%I" in form


def is_utc(form: str) -> bool:
    """Return True if a format has the name of UTC at its end."""
    return form.endswith(("UTC", "GMT"))


def fitting(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the formats that fit a file's timestamps; texts that fit none are ignored.

    If day and month can be swapped in all of them, the steps between the times may decide: with
    several rows a day, the wrong format makes them leap from month to month.
    """
    texts = list(texts)
    left: Sequence[str] = next(filter(None, map(forms, texts)), ())
    if not left:
        return tuple(islice(filter(None, map(count_form, texts)), 1))
    dates = set()
    for text in texts:
        if len(left) < 2:
            break
        date = _DATE.match(text)
        if date and date[0] not in dates:  # one text a date is enough
            dates.add(date[0])
            left = [form for form in left if moment(text, form)] or left
    if len(left) < 2:
        return tuple(left)
    times = {form: [t for t in (moment(text, form) for text in texts) if t] for form in left}
    shortest = min((b - a for a, b in pairwise(times[left[0]]) if a < b), default=_DAY)
    spans = {form: max(found) - min(found) for form, found in times.items() if found}
    ranked = sorted(left, key=lambda form: spans.get(form, timedelta.max))
    is_clear = shortest < _DAY and spans[ranked[0]] * 2 < spans[ranked[1]]
    return tuple(ranked[:1] if is_clear else left)


def _date_forms(date: re.Match[str]) -> tuple[str, ...]:
    """Return the formats of a matched date; with points as separators, the day is first."""
    if date["compact"]:
        return ("%Y%m%d",)
    if mark := date["a"]:
        return (f"%Y{mark}%m{mark}%d",)
    if mark := date["c"]:
        return (f"%d{mark}%b{mark}{'%Y' if len(date['long']) == 4 else '%y'}",)
    mark = date["b"]
    is_long = len(date[0].rpartition(mark)[2]) == 4
    year = "%Y" if is_long else "%y"
    found = (f"%d{mark}%m{mark}{year}", f"%m{mark}%d{mark}{year}", f"%y{mark}%m{mark}%d")
    return found[:1] if mark == "." else found[: 2 if is_long else 3]


def _time_form(text: str) -> str | None:
    """Return the format of the text that follows the date, or None if it is no time of day."""
    if not text:
        return ""
    joint = text[0] if text[0] in "T " else ""
    text = text[len(joint) :].lstrip() if joint == " " else text[len(joint) :]
    time = _TIME.match(text)
    if not time or (not joint and not time["compact"]):
        return None
    offset = _OFFSET.fullmatch(text, time.end())
    if not offset and time.end() < len(text):
        return None
    if time["compact"]:
        clock = "%H%M%S" if time["cs"] else "%H%M"
    else:
        half = time["half"]
        clock = "%I:%M" if half else "%H:%M"
        clock += ":%S" if time["s"] else ""
        clock += f"{time['point']}%f" if time["point"] else ""
        clock += f"{half[:-2]}%p" if half else ""
    if not offset:
        return f"{joint}{clock}"
    return f"{joint}{clock}{offset['blank']}{offset['utc'] or '%z'}"
