"""Names, counts, durations and suggestions, as people read them."""

import difflib
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain, islice

_COMMENT = re.compile(r"\s[#;]|^[#;]\s")


def quoted(text: str, longest: int = 60) -> str:
    """Return a cell as it may stand in a message: printable, quoted, cut.

    >>> quoted("1,5")
    "'1,5'"
    """
    cut = text if len(text) <= longest else text[:longest] + "..."
    return f"'{cut}'" if cut.isprintable() else ascii(cut)


def comment_hint(text: str) -> str | None:
    """Return what to say of a wrong value that seems to end in a comment."""
    return "comments stand on lines of their own" if _COMMENT.search(text) else None


#: How like a known name (0..1) an unknown one must be to be shown where passwords stand.
_ALIKE = 0.8
#: So many wrong names are compared with all of many known ones.
_COMPARED = 20
#: So many names that are one letter away are compared.
_MOST_NEAR = 50


def closest(name: str, known: Iterable[str], alike: float = 0.6) -> str | None:
    """Return the known name that is close to another, whatever their letter case."""
    by_fold = {word.lower(): word for word in known}
    close = difflib.get_close_matches(name.lower(), by_fold, n=1, cutoff=alike)
    return by_fold[close[0]] if close else None


class Names:
    """Many known names, for many that are wrong: to compare each with each would take too long.

    A name that is one letter away is found at once; of the others, some are compared with all.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = list(known)
        self._near: dict[str, list[str]] = defaultdict(list)
        for name in self._known:
            for form in _forms(name):
                self._near[form].append(name)
        self._left = _COMPARED

    def closest(self, name: str) -> str | None:
        """Return the known name that is close to another, as `closest` does."""
        forms = _forms(name)
        near = [known for known in self._known_as(forms) if known.lower() in forms]
        found = closest(name, near or self._known_as(forms))
        if found is None and self._left > 0:
            self._left -= 1
            found = closest(name, self._known)
        return found

    def _known_as(self, forms: Iterable[str]) -> list[str]:
        found = chain.from_iterable(self._near[form] for form in forms if form in self._near)
        return list(islice(found, _MOST_NEAR))


def _forms(name: str) -> dict[str, None]:
    """Return a name and what is left of it without any one of its letters, in lower case."""
    word = name.lower()
    return dict.fromkeys([word, *(word[:at] + word[at + 1 :] for at in range(len(word)))])


def suggestion(close: str | None) -> str:
    """Return the end of a message that names what was probably meant, if anything."""
    return f"; did you mean '{close}'?" if close else ""


def printable(text: str) -> str:
    r"""Return a text that moves no cursor: control characters are escaped.

    >>> printable("a\tb\x1b[2J")
    'a\\tb\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def printable_json(text: str) -> str:
    r"""Return JSON that moves no cursor: what is not printable is escaped, as JSON has it.

    >>> printable_json('{"id": "ü\x9b\U000e0041"}')
    '{"id": "ü\\u009b\\udb40\\udc41"}'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def pluralize(number: int, noun: str) -> str:
    """Return a number and what it counts.

    >>> pluralize(1, "row"), pluralize(2000, "retry")
    ('1 row', '2,000 retries')
    """
    if number != 1:
        noun = noun.removesuffix("y") + "ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number:,} {noun}"


def format_duration(seconds: float) -> str:
    """Return how long something takes, about.

    >>> format_duration(3.14), format_duration(100), format_duration(7380)
    ('3.1 s', '1 min 40 s', '2 h 03 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def format_interval(seconds: float) -> str:
    """Return an interval exactly.

    >>> format_interval(900), format_interval(5400), format_interval(86400), format_interval(0.5)
    ('15m', '1h30m', '1d', '0.5s')
    """
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number:g}{unit}" for number, unit in parts if number) or "0s"


def format_time(timestamp: str) -> str:
    """Return a packet's local time as people read it, without zeros that say nothing.

    >>> format_time("2023-07-01T00:15:00.000+01:00"), format_time("2023-07-01T00:15:30.000+01:00")
    ('2023-07-01 00:15', '2023-07-01 00:15:30')
    """
    text = timestamp[:23].replace("T", " ").removesuffix(".000")
    return text.removesuffix(":00")
