"""Parsers for the values of flags, environment variables and INI options.

A parser takes the text of an option; its ValueError says what was expected.
"""

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from swarm.localtime import wall_of

Parser = Callable[[str], Any]

_PART = r"(\d{1,9}(?:\.\d{1,3})?)"
_DURATION = re.compile(rf"(?:{_PART}d)?(?:{_PART}h)?(?:{_PART}m)?(?:{_PART}s)?", re.ASCII)
_SECONDS = (86_400, 3600, 60, 1)
#: The longest duration (s), about 100 years: threads can't wait much longer.
LONGEST = 36_500 * 86_400
_TRUE = frozenset({"1", "yes", "true", "on"})
_FALSE = frozenset({"0", "no", "false", "off"})

#: Sentinel for an option that was given but could not be parsed.
INVALID: Final = object()

FOREVER: Final = float("inf")
AUTO: Final = "auto"
#: The scheduler that swarm starts itself, for one run; and no cluster.
LOCAL: Final = "local"
NO_CLUSTER: Final = "none"
#: The address of a scheduler: protocol, host and port.
ADDRESS: Final = re.compile(r"(tls|tcp)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


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
    """Return the seconds of a duration that is not zero.

    Raises ValueError, with what was expected.
    """
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


def count_or_auto(text: str) -> int | str:
    """Return a whole number of at least 1, or ``auto``."""
    if text.strip().lower() == AUTO:
        return AUTO
    try:
        return count(text)
    except ValueError as error:
        raise ValueError(f"{error}, or {AUTO}") from None


def whole(text: str) -> int:
    """Return a whole number, zero included."""
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()):
        raise ValueError("a whole number such as 0 or 1")
    return int(text)


def boolean(text: str) -> bool:
    """Return True for yes, true, on and 1, False for no, false, off and 0.

    Raises ValueError, with what was expected.
    """
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("yes or no")
    return word in _TRUE


def level(text: str) -> int:
    """Return the verbosity of the log: 0, 1 or 2."""
    if text.strip() not in {"0", "1", "2"}:
        raise ValueError("0, 1 or 2")
    return int(text)


def local_time(text: str) -> int:
    """Return the wall time (ms) of an ISO 8601 date, or date and time, without offset."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        time = None
    if time is None or time.tzinfo is not None:
        raise ValueError("a local date, or date and time, such as 2023-01-31 or 2023-01-31T12:30")
    return wall_of(time)


def port(text: str) -> int:
    """Return the number of a TCP port, 0 for a free one."""
    if not (text.isascii() and text.isdecimal() and int(text) <= 65_535):
        raise ValueError("a port number from 0 to 65535")
    return int(text)


def output_file(text: str) -> Path:
    """Return the path of a file to write."""
    if not text.strip():
        raise ValueError("the path of a file")
    try:
        return Path(text.strip()).expanduser()
    except RuntimeError:
        raise ValueError("a path whose ~ names a home folder") from None


def one_of(*words: str, any_case: bool = True) -> Callable[[str], str]:
    """Return a parser that accepts one of several words, in any letter case by default."""
    expected = f"{', '.join(words[:-1])} or {words[-1]}"

    def parse(text: str) -> str:
        word = text.strip().lower() if any_case else text
        if word not in words:
            raise ValueError(expected)
        return word

    return parse


def scheduler(text: str) -> str:
    """Return the address of a scheduler, ``local`` or ``none``."""
    word = text.strip()
    if word.lower() in {LOCAL, NO_CLUSTER}:
        return word.lower()
    match = ADDRESS.fullmatch(word)
    if match is None or not 0 < int(match[3]) < 65_536:
        raise ValueError(f"tls://HOST:PORT, {LOCAL} or {NO_CLUSTER}")
    return word
