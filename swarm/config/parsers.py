"""Text -> value, for flags, variables and INI alike.

A parser takes the text of an option and raises ValueError with what was expected.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from swarm.localtime import wall_of

Parser = Callable[[str], Any]

_PART = r"(\d{1,9}(?:\.\d{1,3})?)"
_DURATION = re.compile(rf"(?:{_PART}d)?(?:{_PART}h)?(?:{_PART}m)?(?:{_PART}s)?", re.ASCII)
_SECONDS = (86_400, 3600, 60, 1)
#: Threads can't wait for much longer than this (s): about 100 years.
LONGEST = 36_500 * 86_400
_TRUE = frozenset({"1", "yes", "true", "on"})
_FALSE = frozenset({"0", "no", "false", "off"})

#: What stands for a value that was given and is wrong: it is neither used nor missing.
INVALID: Final = object()

FOREVER: Final = float("inf")


def duration(text: str) -> float:
    """Return the seconds of ``90s``, ``15m``, ``2h`` or ``1h30m``."""
    match = _DURATION.fullmatch(text.strip())
    if not match or not match[0]:
        raise ValueError("a duration such as 90s, 15m, 2h or 1h30m")
    parts = zip(match.groups(), _SECONDS, strict=True)
    seconds = sum(float(part) * unit for part, unit in parts if part)
    if seconds > LONGEST:
        raise ValueError("a duration of at most 36500d")
    return seconds


def positive_duration(text: str) -> float:
    """Return the seconds of a duration that is not zero."""
    seconds = duration(text)
    if seconds == 0:
        raise ValueError("a duration above zero, such as 30s")
    return seconds


def minutes(text: str) -> float:
    """Return the minutes of a duration that is not zero."""
    return positive_duration(text) / 60


def give_up_after(text: str) -> float:
    """Return the seconds of a duration, or infinity for ``forever``."""
    if text.strip().lower() == "forever":
        return FOREVER
    try:
        return duration(text)
    except ValueError as error:
        raise ValueError(f"{error}, or forever") from None


def count(text: str) -> int:
    """Return a whole number of at least 1."""
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()) or int(text) < 1:
        raise ValueError("a whole number of at least 1")
    return int(text)


def whole(text: str) -> int:
    """Return a whole number, zero included."""
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()):
        raise ValueError("a whole number such as 0 or 1")
    return int(text)


def rate(text: str) -> float:
    """Return a number of requests a second, above zero."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text.strip()) or float(text) <= 0:
        raise ValueError("a number of requests a second above zero, such as 100 or 0.5")
    return float(text)


def boolean(text: str) -> bool:
    """Return the truth of yes/no, true/false, on/off or 1/0."""
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("yes or no")
    return word in _TRUE


def level(text: str) -> int:
    """Return how much is logged: a whole number from 0 to 2."""
    if text.strip() not in {"0", "1", "2"}:
        raise ValueError("0, 1 or 2")
    return int(text)


def local_time(text: str) -> int:
    """Return the wall time (ms) of an ISO 8601 date, or date and time, without offset."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is not None:
        raise ValueError("a local date, or date and time, such as 2023-01-31 or 2023-01-31T12:30")
    return wall_of(moment)


def one_of(*words: str) -> Callable[[str], str]:
    """Return a parser that takes one of the words."""
    expected = f"{', '.join(words[:-1])} or {words[-1]}"

    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in words:
            raise ValueError(expected)
        return word

    return parse
