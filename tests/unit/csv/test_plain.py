"""The fast path against the slow one: the same rows, problems and texts of any block."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.config.settings import CsvRules
from swarm.csv import rows as rows_module
from swarm.csv.file import Block
from swarm.csv.plain import PlainBlocks
from swarm.csv.problems import Problem, Problems
from swarm.csv.rows import Row, RowReader
from swarm.packet import REGISTERS

_DATES = [f"2023-01-0{day}" for day in range(1, 4)]
_CLOCKS = ["00:00:00", "12:30:00", "23:59:59"]
_CELLS = st.sampled_from(["1", "-0.50", "12.345", "7", "", "null", "N/A", "-", "x", '"3"', "1e3"])
_NUMBERS = st.sampled_from(["1", "-0.50", "12.345", "", "null"])
_LAYOUTS = [
    (("value",), (1,)),
    (("value",), (1, 2)),
    (("value",), (2,)),
    (("-", "value"), (2,)),
    (("-", "value", "-"), (2, 3)),
    (("value", "-"), (3,)),
    (("aP_1", "aP_2", "pC_1"), (1,)),
    (("aP_2", "aP_1"), (1,)),
    (("aP_1", "-", "aP_2"), (1,)),
    (("-", "aP_1", "aP_2"), (1, 2)),
    (("aP_1", "aP_2"), (2,)),
    (("aP_1", "aP_2"), (3, 4)),
    (("aP_1", "aP_2"), (2, 1)),
    (REGISTERS, (1,)),
    (REGISTERS, (22,)),
    (REGISTERS, (1, 2)),
]


@contextmanager
def slow() -> Iterator[None]:
    """Turn the fast path off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PlainBlocks, "read", lambda *_: None)
        yield


def read(
    rules: CsvRules, text: str
) -> tuple[list[Row], list[Problem], int, tuple[str, ...] | None]:
    """Return what is read of a block."""
    problems = Problems("m.csv")
    reader = RowReader(rules, problems)
    batch = reader.read(Block(1, text.encode()))
    return batch.rows(), problems.found, reader.rows, reader.columns


@st.composite
def blocks(draw: st.DrawFn) -> tuple[CsvRules, str]:
    """Return rules, and a block that mostly fits them."""
    columns, stamps = draw(st.sampled_from(_LAYOUTS))
    named = columns if draw(st.booleans()) or len(columns) not in {1, 21} else None
    missing = draw(st.sampled_from([None, frozenset({"null", "n/a", "-"})]))
    least, most = draw(st.sampled_from([(None, None), (("0",), None), (None, ("7",))]))
    rules = CsvRules(
        "UTC",
        columns=named,
        timestamp_columns=stamps,
        missing=missing,
        minimum=least,
        maximum=most,
    )
    cells = draw(st.sampled_from([_CELLS, _NUMBERS, st.just("5")]))
    lines = []
    for _ in range(draw(st.integers(1, 6))):
        date, clock = draw(st.sampled_from(_DATES)), draw(st.sampled_from(_CLOCKS))
        parts = [f"{date} {clock}"] if len(stamps) == 1 else [date, clock]
        others = iter([draw(cells) for _ in columns])
        lines.append(
            ",".join(
                parts[stamps.index(number)] if number in stamps else next(others)
                for number in range(1, len(columns) + len(stamps) + 1)
            )
        )
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return rules, end.join(lines) + draw(st.sampled_from(["", end]))


@given(blocks())
def test_a_block_is_read_as_line_by_line(made: tuple[CsvRules, str]) -> None:
    """Rows with their texts, problems, and what is counted are the same."""
    rules, text = made
    with slow():
        expected = read(rules, text)
    assert expected == read(rules, text)


@pytest.mark.parametrize(
    ("columns", "stamps", "line"),
    [
        (None, (1,), "2023-01-01 00:00:00,1"),
        (None, (1, 2), "2023-01-01,00:00:00,1"),
        (("-", "value", "-"), (2,), "meter 7,2023-01-01 00:00:00,1,kWh"),
        (("value", "-"), (2, 3), "1,2023-01-01,00:00:00,ok"),
        (("aP_1", "pC_1"), (1,), "2023-01-01 00:00:00,,1"),
        (REGISTERS, (22,), f"1{',' * 21}2023-01-01 00:00:00"),
    ],
)
def test_usual_forms_take_the_fast_path(
    columns: tuple[str, ...] | None,
    stamps: tuple[int, ...],
    line: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """None of their lines is read by itself."""
    monkeypatch.setattr(rows_module.RowReader, "_line", None)
    words = frozenset({"null"})
    rules = CsvRules("UTC", columns=columns, timestamp_columns=stamps, missing=words)
    rows, problems, count, _ = read(rules, f"{line}\n" * 3)
    assert (3, [], 3) == (len(rows), problems, count)
    assert line == rows[0].text
