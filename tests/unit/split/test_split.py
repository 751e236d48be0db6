"""Splits of any table: the CSVs of the meters have exactly its cells."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.csv.problems import Problems
from swarm.split import source
from swarm.split.folder import csv_paths
from swarm.split.layout import Form, Layout, layout_of, with_beginning
from swarm.split.rows import RowSplitter
from swarm.split.source import Chunk
from swarm.split.split import split

STAMP = "2023-01-01 {:02}:{:02}:00"
#: Cells as they are written: empty, blank, plain, or quoted, with all that a quoted cell may hold.
PLAIN = st.text("0123456789.-+eé x|", max_size=6)
QUOTED = st.text('0123456789;,é "', max_size=6).map(lambda t: '"' + t.replace('"', '""') + '"')
CELLS = st.one_of(PLAIN, PLAIN, QUOTED, QUOTED.map(lambda cell: f" {cell} "))
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=30)
)


def is_empty(cell: str) -> bool:
    """Return True if a cell, as it is written, has no content."""
    return not cell.strip(' \t"')


def stamps(count: int) -> list[str]:
    """Return timestamps, one of them in quotes."""
    found = [STAMP.format(*divmod(number, 60)) for number in range(count)]
    return [f'"{found[0]}"', *found[1:]]


@pytest.fixture(params=[64, 1024 * 1024], ids=["small chunks", "one chunk"])
def chunk_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read files in pieces of this size."""
    monkeypatch.setattr(source, "CHUNK_BYTES", request.param)
    monkeypatch.setattr("swarm.split.layout._LINES", 2)


@pytest.mark.usefixtures("chunk_bytes")
@given(TABLES, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_a_wide_table_can_be_joined_again(table: list[list[str]], end: str, ends: bool) -> None:
    """Timestamps and cells are those of the table, to the character; only empty cells are gone."""
    times = stamps(len(table))
    names = [f"m {at}" for at in range(len(table[0]))]
    rows = [["t", *names], *([time, *row] for time, row in zip(times, table, strict=True))]
    text = end.join(";".join(row) for row in rows) + (end if ends else "")
    joined = {
        name: [
            f"{time};{row[at]}"
            for time, row in zip(times, table, strict=True)
            if not is_empty(row[at])
        ]
        for at, name in enumerate(names)
    }
    expected = {name: rows for name, rows in joined.items() if rows}
    assert expected == parts(text, Form(delimiter=";", skip_rows=1))


@pytest.mark.usefixtures("chunk_bytes")
@given(TABLES, st.data())
def test_a_long_table_can_be_joined_again(table: list[list[str]], data: st.DataObject) -> None:
    """Each row is in the CSV of its meter, in order, without the column of the meter."""
    times = stamps(len(table))
    meters = st.sampled_from(["a", "b c", "ü"])
    keys = data.draw(st.lists(meters, min_size=len(table), max_size=len(table)))
    expected: dict[str, list[str]] = {}
    lines = []
    for time, key, row in zip(times, keys, table, strict=True):
        expected.setdefault(key, []).append(";".join([time, *row]))
        spelt = data.draw(st.sampled_from([key, f'"{key}"', f" {key} "]))
        lines.append(";".join([*row, spelt, time]))
    width = len(table[0])
    form = Form(by=str(width + 1), stamps=(width + 2,), delimiter=";", skip_rows=0)
    assert expected == parts("\n".join(lines), form)


def parts(text: str, form: Form) -> dict[str, list[str]]:
    """Split a text; return the lines of each meter's CSV."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "export.csv"
        path.write_bytes(f"{text}\n".encode())
        done = split([path], folder / "data", form)
        if [problem.message.partition(":")[0] for problem in done.problems] == ["no rows"]:
            return {}
        assert [] == list(done.lines())
        found = {each.name: each.read_bytes().decode() for each in (folder / "data").iterdir()}
    names = ["a", "b c", "ü", *(f"m {at}" for at in range(4))]
    ids = {path.name: each for path, each in zip(csv_paths(Path(), names), names, strict=True)}
    assert all(each.endswith("\n") for each in found.values())
    return {ids[name]: each[:-1].split("\n") for name, each in found.items()}


@given(TABLES, st.booleans())
def test_the_fast_way_finds_what_the_slow_one_finds(table: list[list[str]], is_long: bool) -> None:
    """If it takes a chunk, it finds the same rows, and the other has no problem with them."""
    width = len(table[0]) + 2
    rows = ([time, "m", *row] for time, row in zip(stamps(len(table)), table, strict=True))
    chunk = Chunk(1, "\n".join(";".join(row) for row in rows))
    layout = Layout(";", 0, width, (0,), meters=tuple((at, f"m{at}") for at in range(1, width)))
    if is_long:
        layout = Layout(";", 0, width, (0,), by=1, values=tuple(range(2, width)))
    problems = Problems("export.csv")
    splitter = RowSplitter(layout, problems)
    fast = splitter._split_regular(chunk)
    assert fast in (None, splitter._split_lines(chunk))
    assert 0 == problems.count


def test_the_fast_way_is_taken() -> None:
    """Plain lines are split as a whole, quoted or not."""
    problems = Problems("export.csv")
    for text in ("1;a;2\n1;b;3", '"1";"a";"2"\n1;"b";""'):
        splitter = RowSplitter(Layout(";", 0, 3, (0,), by=1, values=(2,)), problems)
        assert splitter._split_regular(Chunk(1, text))
        wide = Layout(";", 0, 3, (0,), meters=((1, "a"), (2, "b")))
        assert RowSplitter(wide, problems)._split_regular(Chunk(1, text))


@pytest.mark.parametrize(
    "text",
    [
        "1;a;2\n1;b",
        "1;a;2\n1;b;3;4",
        '1;a;2\n1;b;"3',
        '1;a;2\n1;b;"3"4',
        "1;a;2\n;b;3",
        '1;a;2\n"";b;3',
        "1;a;2\n1;b;\0",
        "1;a;2\n\n1;b;3",
    ],
)
def test_the_fast_way_is_not_taken(text: str) -> None:
    """Any other line is read by itself, so that its problem has a place."""
    problems = Problems("export.csv")
    for layout in (
        Layout(";", 0, 3, (0,), by=1, values=(2,)),
        Layout(";", 0, 3, (0,), meters=((1, "a"), (2, "b"))),
    ):
        assert RowSplitter(layout, problems)._split_regular(Chunk(1, text)) is None


@pytest.mark.usefixtures("chunk_bytes")
@pytest.mark.parametrize(
    "line", ["2023-01-01 00:00:00;1", "2023-01-01 00:00:00;1;\udcff", "2023-01-01 00:00:00;1;\0"]
)
def test_the_place_of_a_problem_in_any_chunk(tmp_path: Path, line: str) -> None:
    """Lines are counted from the beginning of the file."""
    path = tmp_path / "export.csv"
    lines = ["t;a;b", *["2023-01-01 00:00:00;1;2"] * 49, line, "2023-01-01 00:00:00;1;2", ""]
    path.write_bytes("\r\n".join(lines).encode("utf-8", "surrogateescape"))
    done = split([path], tmp_path / "data", Form())
    assert [(51, 3)] == [(problem.line, problem.column) for problem in done.problems]


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("t;a;b\n2023-01-01 00:00;1,5;2,5\n", Form(), (";", 1, (0,))),
        ("t,a\n2023-01-01 00:00,1\n", Form(), (",", 1, (0,))),
        ("t\ta\n2023-01-01 00:00\t1\n", Form(), ("\t", 1, (0,))),
        ("m|t|v\na|2023-01-01 00:00|1\n", Form(by="m"), ("|", 1, (1,))),
        ("a;31/01/2023 10:00;1,5\n", Form(by="1"), (";", 0, (1,))),
        ("t,a;b\n2023-01-01 00:00,1\n", Form(), (",", 1, (0,))),
        ("a;b\nm;t;v\n;;kW\na;2023-01-01 00:00;1\n", Form(by="m"), (";", 3, (1,))),
    ],
)
def test_layouts(text: str, form: Form, expected: tuple[str, int, tuple[int, ...]]) -> None:
    """Delimiter, lines before the rows and columns of the timestamp are detected."""
    problems = Problems("export.csv")
    found = layout_of(Chunk(1, text), form, problems)
    assert [] == problems.found
    assert found is not None
    assert expected == (found.delimiter, found.skip_rows, found.stamps)


def test_the_first_chunk_has_the_first_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout is detected from more than a piece of a line."""
    monkeypatch.setattr("swarm.split.layout._LINES", 3)
    chunks = [Chunk(number, str(number)) for number in range(1, 8)]
    assert [Chunk(1, "1\n2\n3\n4"), *chunks[4:]] == list(with_beginning(chunks))
    assert [Chunk(1, "1\n2")] == list(with_beginning(chunks[:2]))
