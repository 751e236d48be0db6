"""A format of timestamps in parts: the date and the time of day, each of which many rows share."""

import re
from typing import NamedTuple

from swarm.config.settings import DEFAULT_TIMESTAMP
from swarm.timestamp_format import UNIX

_DATE, _CLOCK = "%[YymdjbB]", "%[HIMSp]"
_FORM = re.compile(
    rf"(?P<date>{_DATE}(?:[^%]*{_DATE})*)"
    rf"(?:(?P<joint>[^%]*)(?P<clock>{_CLOCK}(?:[^%]*{_CLOCK})*))?"
    r"(?P<tail>(?:[^%]|%[fz])*)"
)
_NUMBERS = "%[YymdjHIMS]"
_ADJACENT = re.compile(_NUMBERS * 2)
_TOKEN = re.compile(r"%.|[^%]+")
_PATTERNS = {"%Y": "[0-9]{4}", "%y": "[0-9]{2}", "%j": "[0-9]{3}", "%p": "[AaPp][Mm]"}
_PATTERNS |= dict.fromkeys(("%b", "%B"), "[A-Za-z]{3,9}")
#: The most digits of a count of seconds up to the year 2286.
_SECONDS = 10
#: The default format, more strictly: that is faster.
_DEFAULT = ("[0-9]{4}-[0-9]{2}-[0-9]{2}", "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]")


class SplitFormat(NamedTuple):
    """The formats of the date and the time of day, the ``joint`` between them, and the ``tail``.

    The tail is what follows the time of day: a fraction, an offset, a word. The patterns match a
    date and a time of day, but do not prove that `datetime.strptime` reads what they match. A count
    of seconds is a date without a time of day.
    """

    date: str
    joint: str
    clock: str
    tail: str
    date_pattern: str
    clock_pattern: str


def split_format(form: str) -> SplitFormat | None:
    """Return the parts of a strptime format; None if it does not have them in this order.

    >>> split_format("%d.%m.%Y %H:%M")[:4]
    ('%d.%m.%Y', ' ', '%H:%M', '')
    >>> split_format("%Y-%m-%dT%H:%M:%S.%f%z")[:4]
    ('%Y-%m-%d', 'T', '%H:%M:%S', '.%f%z')
    """
    if form in UNIX:
        # As long as the year has four digits. A fraction needs a closer look.
        digits = f"[0-9]{{1,{_SECONDS + UNIX[form]}}}"
        return SplitFormat(form, "", "", "", digits, "")
    match = None if form.endswith("*") else _FORM.fullmatch(form)
    if match is None:
        return None
    date, joint, clock, tail = (part or "" for part in match.groups())
    if tail[:1].isalnum() or tail[:2] == "%f":
        # It is not clear where the time of day ends.
        return None
    digits = "[0-9]{2}" if _ADJACENT.search(form) else "[0-9]{1,2}"
    patterns = (_pattern(date, digits), _pattern(clock, digits))
    if form == DEFAULT_TIMESTAMP:
        patterns = _DEFAULT
    return SplitFormat(date, joint, clock, tail, *patterns)


def _pattern(form: str, digits: str) -> str:
    """Return a pattern of what fits a part; ``digits`` is that of a number of two digits."""
    tokens = _TOKEN.findall(form)
    return "".join(_PATTERNS.get(t, digits) if t[0] == "%" else re.escape(t) for t in tokens)
