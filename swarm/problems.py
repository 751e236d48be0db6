"""Problems of a file, by line and column."""

import re
from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

#: What can be wrong with a CSV; the words are those of the reference, "Problems".
Kind = Literal[
    "ambiguous time",
    "cells",
    "conflict",
    "encoding",
    "file",
    "file changed",
    "header",
    "line",
    "no value",
    "nonexistent time",
    "nul",
    "number",
    "quote",
    "timestamp",
]
#: How many problems of one file are told; the rest are counted.
MOST_PROBLEMS = 20


_COMMENT = re.compile(r"\s[#;]|^[#;]\s")


@dataclass(frozen=True)
class Problem:
    """One problem of a CSV; ``column`` counts cells from 1."""

    file: str
    line: int
    column: int
    kind: Kind
    message: str

    def __str__(self) -> str:
        """Return the problem as ``FILE:LINE:COLUMN: message``."""
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


@dataclass
class Problems:
    """The problems of one file: the first `MOST_PROBLEMS` in its order, and how many there are."""

    file: str
    found: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, line: int, column: int, kind: Kind, message: str) -> None:
        """Note a problem."""
        self.count += 1
        if len(self.found) < MOST_PROBLEMS or (line, column) < _place(self.found[-1]):
            insort(self.found, Problem(self.file, line, column, kind, message), key=_place)
            del self.found[MOST_PROBLEMS:]

    def lead(self, kind: Kind, message: str) -> None:
        """Note a problem of the file as a whole: it is told ahead of all others."""
        self.count += 1
        self.found.insert(0, Problem(self.file, 1, 1, kind, message))
        del self.found[MOST_PROBLEMS:]

    def include(self, others: "Problems") -> None:
        """Note the problems of the same file that were found in another way."""
        self.count += others.count
        self.found = sorted([*self.found, *others.found], key=_place)[:MOST_PROBLEMS]


def _place(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column


def shown(text: str, longest: int = 60) -> str:
    """Return a cell as it may stand in a message: printable, quoted, cut.

    >>> shown("1,5")
    "'1,5'"
    """
    cut = text if len(text) <= longest else text[:longest] + "..."
    return f"'{cut}'" if cut.isprintable() else ascii(cut)


def comment_hint(text: str) -> str | None:
    """Return what to say of a wrong value that seems to end in a comment."""
    return "comments stand on lines of their own" if _COMMENT.search(text) else None


def told(problems: Iterable[Problem], count: int) -> list[str]:
    """Return problems as lines, and a last one for those that were only counted."""
    lines = [str(problem) for problem in problems]
    if count > len(lines):
        lines.append(f"... and {count - len(lines)} more problems")
    return lines
