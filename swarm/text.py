"""Names, counts, durations and suggestions, formatted for people."""

import difflib
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain, islice

#: Cutoff for `closest` if the name may be part of a password, which no message may show.
STRICT_CUTOFF = 0.8
_COMMENT = re.compile(r"\s[#;]|^[#;]\s")
#: Number of wrong names that `Names` compares with all known ones.
_FULL_COMPARISONS = 20
#: Number of names that `Names` compares of those that differ by a letter.
_MOST_NEAR = 50


def quoted(text: str, longest: int = 60) -> str:
    """Return a text for a message: printable, in quotes, cut to ``longest`` characters.

    >>> quoted("1,5")
    "'1,5'"
    """
    cut = text if len(text) <= longest else text[:longest] + "..."
    return f"'{cut}'" if cut.isprintable() else ascii(cut)


def comment_hint(text: str) -> str | None:
    """Return a hint for a wrong value that seems to end in a comment, else None."""
    return "comments must be on their own lines" if _COMMENT.search(text) else None


def closest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that is most similar to a name, ignoring case, or None.

    ``cutoff`` is the least similarity, from 0 to 1 (the same name).
    """
    by_lower_case = {word.lower(): word for word in known}
    matches = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=cutoff)
    return by_lower_case[matches[0]] if matches else None


class Names:
    """Many known names, to find the ones similar to many wrong names.

    Comparing each with each would take too long. A known name that differs by one letter is found
    in an index; otherwise only the first few wrong names are compared with all known ones.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = list(known)
        self._by_variant: dict[str, list[str]] = defaultdict(list)
        for name in self._known:
            for variant in _variants(name):
                self._by_variant[variant].append(name)
        self._comparisons_left = _FULL_COMPARISONS

    def closest(self, name: str) -> str | None:
        """Return the known name that is most similar to a name, as `closest` does."""
        variants = _variants(name)
        candidates = chain.from_iterable(
            self._by_variant[variant] for variant in variants if variant in self._by_variant
        )
        near = list(islice(candidates, _MOST_NEAR))
        found = closest(name, [known for known in near if known.lower() in variants] or near)
        if found is None and self._comparisons_left > 0:
            self._comparisons_left -= 1
            found = closest(name, self._known)
        return found


def _variants(name: str) -> dict[str, None]:
    """Return a name in lower case, and the same with each of its letters left out."""
    word = name.lower()
    shorter = (word[:index] + word[index + 1 :] for index in range(len(word)))
    return dict.fromkeys([word, *shorter])


def suggestion(close: str | None) -> str:
    """Return the end of a message that suggests a known name, empty if there is none."""
    return f"; did you mean '{close}'?" if close else ""


def printable(text: str) -> str:
    r"""Return a text with all characters escaped that are not printable, such as control codes.

    >>> printable("a\tb\x1b[2J")
    'a\\tb\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def printable_json(text: str) -> str:
    r"""Return JSON with all characters escaped that are not printable, except line breaks.

    >>> printable_json('{"id": "ü\x9b\U000e0041"}')
    '{"id": "ü\\u009b\\udb40\\udc41"}'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def pluralize(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless the number is 1.

    >>> pluralize(1, "row"), pluralize(2000, "retry")
    ('1 row', '2,000 retries')
    """
    if number != 1:
        noun = noun.removesuffix("y") + "ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number:,} {noun}"


def format_duration(seconds: float) -> str:
    """Return a duration (s), rounded for people.

    >>> format_duration(3.14), format_duration(100), format_duration(7380)
    ('3.1 s', '1 min 40 s', '2 h 03 min')
    """
    minutes, whole_seconds = divmod(round(seconds), 60)
    if not minutes:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {whole_seconds:02} s"


def format_interval(seconds: float) -> str:
    """Return an interval (s) without rounding, to the millisecond.

    >>> format_interval(900), format_interval(5400), format_interval(86400), format_interval(0.5)
    ('15m', '1h30m', '1d', '0.5s')
    """
    minutes, seconds = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{number:g}{unit}" for number, unit in parts if number) or "0s"


def format_time(timestamp: str) -> str:
    """Return the local time of a packet's timestamp, without zero seconds and milliseconds.

    >>> format_time("2023-07-01T00:15:00.000+01:00"), format_time("2023-07-01T00:15:30.000+01:00")
    ('2023-07-01 00:15', '2023-07-01 00:15:30')
    """
    text = timestamp[:23].replace("T", " ").removesuffix(".000")
    return text.removesuffix(":00")
