"""Split exports into one CSV a meter, all or none."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swarm.csv.problems import MOST_PROBLEMS, Problem, Problems
from swarm.init.writer import GeneratedIni
from swarm.split.folder import NewFiles, new_files
from swarm.split.ini import ini_for
from swarm.split.layout import Form, Layout, layout_of, with_beginning
from swarm.split.rows import RowSplitter
from swarm.split.source import Chunk, Source
from swarm.text import pluralize, quoted

_EMPTY = "no rows: found no row with a value, expected at least one"


@dataclass
class Split:
    """The result of a split: the INI, or problems.

    ``problems`` are the first ones of all files, ``problem_count`` is the number of all.
    ``meters`` and ``rows`` are counts of what was written. ``empty`` are the IDs of columns without
    a value, which get no file. ``held_back`` are files whose last line was left out.
    """

    ini: GeneratedIni = field(default_factory=lambda: GeneratedIni(""))
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    meters: int = 0
    rows: int = 0
    empty: list[str] = field(default_factory=list)
    held_back: list[Path] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield a line for each problem that is shown, and one for the others."""
        yield from map(str, self.problems)
        if more := self.problem_count - len(self.problems):
            yield f"and {pluralize(more, 'more problem')}"


def split(files: Sequence[Path], folder: Path, form: Form, timezone: str | None = None) -> Split:
    """Write the rows of each meter of ``files`` to a CSV of its own in ``folder``.

    The rows of several files follow one another in the order of the files. Every CSV takes its
    place when all are complete; if there is a problem, none does. Raises `SettingsError` if the
    folder can't be written, or ``timezone`` (that of the INI, given by the user) is not a zone.
    """
    result = Split()
    with new_files(folder) as new:
        reader = _Reader(form, new, result)
        for path in files:
            reader.read(path)
        if result.problem_count or not new.rows or reader.layout is None:
            return result
        result.ini = ini_for(reader.layout, new.paths(), new.targets(), timezone)
        new.replace(files)
    result.meters, result.rows = len(new.rows), new.rows.total()
    result.empty = [meter for meter in reader.columns if meter not in new.rows]
    return result


class _Reader:
    """The reader of all files of a split; ``layout`` is that of the first one."""

    def __init__(self, form: Form, new: NewFiles, result: Split) -> None:
        self.layout: Layout | None = None
        self.columns: dict[str, None] = {}
        self._first = ""
        self._form = form
        self._new = new
        self._result = result

    def read(self, path: Path) -> None:
        """Add the rows of a file to the new files, or its problems to the result."""
        problems = Problems(str(path))
        source = Source(path, self._form.encoding, problems)
        source.delimiter = self._form.delimiter
        rows = self._new.rows.total()
        splitter: RowSplitter | None = None
        for chunk in with_beginning(source.chunks()):
            if splitter is None:
                if (layout := self._layout_of(path, chunk, problems)) is None:
                    break
                splitter = RowSplitter(layout, problems)
                source.delimiter = layout.delimiter
            for meter, texts in splitter.split(chunk).items():
                self._new.add(meter, texts)
        result = self._result
        if source.held_back:
            result.held_back.append(path)
        elif not problems.count and self._new.rows.total() == rows:
            problems.add_first("file", _EMPTY)
        result.problem_count += problems.count
        result.problems += problems.found[: MOST_PROBLEMS - len(result.problems)]

    def _layout_of(self, path: Path, first: Chunk, problems: Problems) -> Layout | None:
        """Return the layout of a file; None, and a problem, if it does not fit the first file's."""
        layout = layout_of(first, self._form, problems)
        if layout is None:
            return None
        known = self.layout
        if known is None:
            self.layout, self._first = layout, str(path)
        elif layout.delimiter != known.delimiter:
            message = (
                f"cells with {quoted(layout.delimiter)} between them: expected "
                f"{quoted(known.delimiter)}, as in {self._first}; split the files into two folders"
            )
            problems.add(layout.skip_rows + 1, 1, "header", message)
            return None
        elif len(layout.values) != len(known.values) or layout.names != known.names:
            found, expected = (_listed(each) for each in (layout, known))
            message = (
                f"other columns of measurements: found {found}, expected {expected}, as in "
                f"{self._first}; split the files into two folders"
            )
            problems.add(max(layout.skip_rows, 1), 1, "header", message)
            return None
        self.columns.update((meter, None) for _, meter in layout.meters)
        return layout


def _listed(layout: Layout) -> str:
    """Return the columns of measurements of a long file for a message."""
    names = ", ".join(map(quoted, layout.names))
    return names or f"{pluralize(len(layout.values), 'column')} without names"
