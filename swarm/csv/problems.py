"""Problems of a CSV file, by line and column."""

from bisect import insort
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Literal

#: The kinds of problems of a CSV: those of "Problems" in docs/reference.md.
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
    "range",
    "timestamp",
]


#: The number of problems of one file that are reported; further ones are only counted.
MOST_PROBLEMS = 20

_POSITION = attrgetter("line", "column")


@dataclass(frozen=True)
class Problem:
    """One problem of a CSV; ``line`` counts from 1, ``column`` counts cells from 1."""

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
    """The problems of one file.

    ``found`` are the first `MOST_PROBLEMS` by line and column, ``count`` is the number of all.
    """

    file: str
    found: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, line: int, column: int, kind: Kind, message: str) -> None:
        """Add a problem.

        Lines and columns count from 1. Of many problems, the first in the file are kept.
        """
        self.count += 1
        if len(self.found) < MOST_PROBLEMS or (line, column) < _POSITION(self.found[-1]):
            insort(self.found, Problem(self.file, line, column, kind, message), key=_POSITION)
            del self.found[MOST_PROBLEMS:]

    def add_first(self, kind: Kind, message: str) -> None:
        """Add a problem of the file as a whole; it is reported before all others."""
        self.count += 1
        self.found.insert(0, Problem(self.file, 1, 1, kind, message))
        del self.found[MOST_PROBLEMS:]

    def include(self, others: "Problems") -> None:
        """Add problems of the same file that were collected separately."""
        self.count += others.count
        self.found = sorted([*self.found, *others.found], key=_POSITION)[:MOST_PROBLEMS]
