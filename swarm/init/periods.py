"""Find the names of files that differ only by a year, a month or a day."""

import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from swarm.config.paths import matching

_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_GAP = "[-_. ]"
_NAMES = (
    "jan(?:uary|uar|vier)?|feb(?:ruary|ruar)?|février|fevrier|mar(?:ch|s)?|märz|maerz|mrz"
    "|apr(?:il)?|avril|may|mai|june?|juni|juin|july?|juli|juillet|aug(?:ust)?|août|aout"
    "|sept?(?:ember|embre)?|oct(?:ober|obre)?|okt(?:ober)?|nov(?:ember|embre)?"
    "|dec(?:ember|embre)?|dez(?:ember)?|décembre"
)
_PERIOD = (
    rf"(?:(?<!\d)(?:{_YEAR}{_GAP}?{_MONTH}{_GAP}?{_DAY}|{_DAY}{_GAP}?{_MONTH}{_GAP}?{_YEAR}"
    rf"|{_YEAR}{_GAP}?{_MONTH}|{_MONTH}{_GAP}{_YEAR}|{_YEAR}{_GAP}?q[1-4]|q[1-4]{_GAP}?{_YEAR}"
    rf"|{_YEAR}{_GAP}?(?:{_NAMES})|{_YEAR})(?!\d)"
    rf"|(?<![^\W\d_])(?:{_NAMES})(?![^\W\d_])(?:{_GAP}?{_YEAR}(?!\d))?)"
)
_TOKEN = re.compile(rf"({_PERIOD}(?:{_GAP}*(?:to|bis|au|until|-){_GAP}*{_PERIOD})?)", re.IGNORECASE)
#: Stands for a period in a name.
_MARK = "\0"
_AROUND = re.compile(rf"({_GAP}*){_MARK}({_GAP}*)")


def without_period(name: str) -> str:
    """Return a name without its periods and the separators at them; it may be empty.

    >>> without_period("gas-2023-01"), without_period("2023_gas_export"), without_period("a_May_b")
    ('gas', 'gas_export', 'a_b')
    """
    text = _AROUND.sub(lambda match: (match[1] or match[2])[:1], _TOKEN.sub(_MARK, name))
    return text.strip("-_. ")


def key_of(path: Path) -> tuple[Path, str]:
    """Return what the files of one meter have in common: the folder, the name without periods."""
    return path.parent, _TOKEN.sub(_MARK, path.name)


def by_period(paths: Iterable[Path]) -> list[list[Path]]:
    """Return paths in groups whose names differ only by periods, each sorted."""
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in paths:
        groups.setdefault(key_of(path), []).append(path)
    return [sorted(group) for group in groups.values()]


def pattern_of(paths: Sequence[Path]) -> str:
    """Return a glob for the names of a group that matches no other file; empty if there is none."""
    parts = [_TOKEN.split(path.name) for path in paths]
    for wild in (_any, _digits):
        pattern = "".join(
            wild(same) if index % 2 else glob.escape(same[0])
            for index, same in enumerate(zip(*parts, strict=True))
        )
        found = matching(pattern, paths[0].parent)
        if sorted(found) == sorted(paths) and pattern == pattern.strip():
            return pattern
    return ""


def _any(_: Sequence[str]) -> str:
    """Return a glob for any texts."""
    return "*"


def _digits(texts: Sequence[str]) -> str:
    """Return a glob for texts of the same form: with a class for each digit."""
    forms = {re.sub(r"\d", "[0-9]", text) for text in texts}
    return forms.pop() if len(forms) == 1 else "*"
