"""Texts in columns of numbers that are none: words for an empty cell, sentinels, thousands."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

#: Words that loggers and spreadsheets write if there is no value.
_KNOWN = frozenset({
    "null", "nil", "nan", "n/a", "na", "#n/a", "n.a.", "n/e", "n.v.", "k.a.", "none", "missing",
    "void", "nodata", "no_data", "bad", "invalid", "error", "err", "fault", "offline",
    "unavailable", "unknown", "-", "--", "---", "----", ".", "..", "?", "*", "x", "fehlt", "fehler",
    "keine", "ungültig", "manquant", "absent", "no data", "not available", "bad data",
    "comm fail", "no value", "keine daten",
})  # fmt: skip
_ERROR = re.compile(r"#[A-Z0-9/]+[!?]?", re.IGNORECASE)
#: Numbers that loggers write if there is no value.
_SENTINEL = re.compile(r"-9{3,}(?:[.,]9+|[.,]0+)?|9{4,}(?:[.,]9+|[.,]0+)?", re.ASCII)
#: A word is a word for an empty cell, even if it is not known, if it has no digits.
_WORD = re.compile(r"[^\W\d][^\d,]{0,30}")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:[.,'\u2019 \u00a0\u202f]\d{3})+(?:[.,]\d+)?", re.ASCII)


class Words(NamedTuple):
    """Texts of columns of numbers: ``missing`` are words for an empty cell.

    ``unknown`` are those of them that may be something else, ``sentinel`` is a number with its
    count, ``grouped`` a number with thousands separators.
    """

    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    sentinel: tuple[str, int] | None = None
    grouped: str = ""


def is_missing(cell: str) -> bool:
    """Return True if a text is a known word for an empty cell."""
    return cell.lower() in _KNOWN or _ERROR.fullmatch(cell) is not None


def is_grouped(cell: str) -> bool:
    """Return True if a text is a number with thousands separators."""
    return _GROUPED.fullmatch(cell) is not None


def words_of(columns: Sequence[Sequence[str]], is_number: Callable[[str], bool]) -> Words:
    """Return the special texts of columns of numbers."""
    others: Counter[str] = Counter()
    sentinels: Counter[str] = Counter()
    for column in columns:
        others.update(cell for cell in column if cell and not is_number(cell))
        own = Counter(cell for cell in column if _SENTINEL.fullmatch(cell))
        sentinels.update({cell: n for cell, n in own.items() if n < len(column) / 2})
    missing = dict.fromkeys(
        cell.lower()
        for cell in others
        if cell.isprintable() and (is_missing(cell) or _WORD.fullmatch(cell))
    )
    grouped = next((cell for cell in others if is_grouped(cell)), "")
    return Words(
        tuple(missing),
        tuple(word for word in missing if not is_missing(word)),
        sentinels.most_common(1)[0] if sentinels else None,
        grouped,
    )
