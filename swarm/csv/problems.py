"""Problems of a file, by line and column."""

from bisect import insort
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
