"""The identity of a packet: against the collector's copy of it, the ledger's note, and its file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.checkpoint.ledger_format import Note
from swarm.config.settings import Credentials
from swarm.csv import Row, Window
from swarm.delivery.task import (
    Item,
    RowItem,
    files_problem,
    is_noted,
    notes_of,
    number_credentials,
)
from swarm.packet import REGISTERS
from tests.support.streams import (
    item,
    items_from,
    items_of,
    last_packet,
    packet_of,
    stored_at,
    task_of,
)
from tests.support.workspace import rows

_TWO_REGISTERS = ("aP_1", "c_1")
_NOON = 43_200_000


def electric(cells: str, registers: tuple[str, ...] = _TWO_REGISTERS) -> RowItem:
    """Return a row of an electricity meter."""
    row = Row(_NOON, 0, cells, 1, 7, cells)
    return packet_of(row, registers, (Path("a.csv"), Path("b.csv")))


# The collector's copy


@pytest.mark.parametrize(
    "fields",
    [
        {"value": 1.5},
        {"value": "1.50"},
        {"value": 1.5, "unit": "kWh", "aP_1": None},
    ],
)
def test_a_packet_is_known_however_the_collector_writes_it(fields: dict[str, Any]) -> None:
    """Numbers may be quoted, and fields may be added."""
    assert item(3, "1.5").is_same(stored_at(item(3).instant, **fields))


@pytest.mark.parametrize(
    ("instant", "fields"),
    [
        (item(4).instant, {"value": 1.5}),
        (item(3).instant, {"value": 1.6}),
        (item(3).instant, {}),
        (item(3).instant, {"value": None}),
        (item(3).instant, {"value": True}),
        (item(3).instant, {"value": "a lot"}),
    ],
)
def test_another_instant_or_other_values_are_another_packet(
    instant: int, fields: dict[str, Any]
) -> None:
    """So is one whose value is missing, or no number."""
    assert not item(3, "1.5").is_same(stored_at(instant, **fields))


def test_a_packet_is_known_although_it_was_rounded_to_a_double() -> None:
    """The row has more digits than the collector gives back."""
    assert item(0, "0.1234567890123456789").is_same(
        stored_at(item(0).instant, value=0.12345678901234568)
    )


def test_every_register_of_a_packet_counts() -> None:
    """All that were sent have to be there with their values; others may be."""
    row = electric("1.50,3")
    assert [True, True, False, False] == [
        row.is_same(stored_at(_NOON, **fields))
        for fields in (
            {"aP_1": 1.5, "c_1": 3},
            {"aP_1": 1.5, "c_1": "3", "v_1": 230},
            {"aP_1": 1.5},
            {"aP_1": 1.5, "c_1": 4},
        )
    ]


def test_a_register_without_a_value_is_not_sent() -> None:
    """So it need not be there."""
    row = electric("1.5,")
    assert '"aP_1":1.5' == row.body
    assert row.is_same(stored_at(_NOON, aP_1=1.5))


def test_a_packet_that_comes_from_no_file_has_no_place() -> None:
    """As those of the library."""
    packet = Item(_NOON, '"value":1')
    assert packet.place is None
    assert packet.is_same(stored_at(_NOON, value=1))


# Rows


def test_a_row_knows_its_place() -> None:
    """The file by its number among the meter's, and the line."""
    assert ("b.csv", 7) == electric("1,2").place


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("1.5", "1.50", True),
        ("1.5", "15e-1", True),
        ("0", "-0.0", True),
        ("1.5", "1.6", False),
        ("0.1", "0.10000000000000001", False),
    ],
)
def test_a_row_is_known_by_its_values_not_their_spelling(
    first: str, second: str, is_same: bool
) -> None:
    """The digest is of exact decimals, not of doubles."""
    assert is_same == (item(0, first).digest == item(0, second).digest)


def test_the_registers_are_part_of_a_rows_identity() -> None:
    """The same number in another column is another measurement."""
    both = electric("1,"), electric(",1")
    assert both[0].digest != both[1].digest
    assert note_of(both[0]).registers != note_of(both[1]).registers


# Notes


def note_of(row: RowItem) -> Note:
    """Return the note of one row."""
    return notes_of([row])[0]


@pytest.mark.parametrize(
    ("fields", "is_same"),
    [
        ({"value": 1.5}, True),
        ({"value": "1.5", "unit": "kWh"}, True),
        ({"value": 1.6}, False),
        ({}, False),
    ],
)
def test_a_noted_row_is_known_without_its_file(fields: dict[str, Any], is_same: bool) -> None:
    """By its instant, and its measurements as doubles."""
    assert is_same == is_noted(note_of(item(3, "1.50")), stored_at(item(3).instant, **fields))
    assert not is_noted(note_of(item(3, "1.50")), stored_at(item(4).instant, **fields))


@given(st.lists(st.sampled_from(["0", "-0", "-0.0", "1.50", "1e3", "1819.130", "-7"]), min_size=1))
def test_the_notes_of_a_batch_are_those_of_its_rows(cells: list[str]) -> None:
    """Rows are noted in batches, each with its own measurements."""
    rows = [item(minute, cell) for minute, cell in enumerate(cells)]
    notes = notes_of(rows)
    assert notes == [note_of(row) for row in rows]
    assert all(
        is_noted(note, last_packet(row, value=float(cell)))
        for note, row, cell in zip(notes, rows, cells, strict=True)
    )


def test_a_note_without_registers_is_known_by_its_instant() -> None:
    """As those of ledgers that an earlier version wrote."""
    note = Note(item(3).instant, 1, 5, 0)
    assert is_noted(note, last_packet(item(3), value="anything"))
    assert not is_noted(note, last_packet(item(4)))


def test_a_note_knows_its_row_as_the_row_does() -> None:
    """With many registers, in whatever order the file has them."""
    registers = tuple(reversed(REGISTERS))
    cells = ",".join(str(number / 3) if number % 2 else "" for number in range(len(registers)))
    row = electric(cells, registers)
    there = last_packet(row)
    changed = last_packet(row, **{registers[1]: 9})
    assert [True, False] == [row.is_same(there), row.is_same(changed)]
    assert [True, False] == [is_noted(note_of(row), there), is_noted(note_of(row), changed)]


# Tasks


def test_rows_come_in_order_of_time_with_their_places(tmp_path: Path) -> None:
    """The task's own window says which of them are sent."""
    lines = rows(4)
    task = task_of(
        tmp_path, lines, window=Window(since=items_of(task_of(tmp_path, lines))[2].instant)
    )
    path = str(tmp_path / "m.csv")
    assert [(path, line) for line in (1, 2, 3, 4)] == [each.place for each in items_of(task)]
    sent = items_from(task, task.reader(task.window))
    assert [(path, 3), (path, 4)] == [each.place for each in sent]


def test_no_row_is_newer_than_the_newest(tmp_path: Path) -> None:
    """A shift moves rows; without rows it is the epoch."""
    task = task_of(tmp_path, rows(4))
    last = items_of(task)[-1].instant
    rules = replace(task.meter.rules, shift=90.0)
    shifted = replace(task, meter=replace(task.meter, rules=rules))
    assert [last, last + 90_000] == [task.newest, shifted.newest]
    assert 0 == replace(task, checked=replace(task.checked, checked_files=())).newest


def test_the_first_problem_of_a_file_keeps_its_stream_from_being_sent(tmp_path: Path) -> None:
    """With its kind, file and line."""
    assert files_problem(task_of(tmp_path, rows(3)).checked) is None
    problem = files_problem(task_of(tmp_path, [*rows(3), "2023-01-02 00:00:00,x"]).checked)
    assert problem is not None
    assert ("number", 3, 4, str(tmp_path / "m.csv")) == (
        problem.kind,
        problem.exit_code,
        problem.line,
        problem.file,
    )


def test_credentials_are_numbered_in_the_order_of_the_meters(tmp_path: Path) -> None:
    """A set that several meters have gets one number; the default has no name."""
    meter = task_of(tmp_path, rows(1)).meter
    sets = [Credentials(name, "u", "p") for name in ("b", "", "b", "a")]
    meters = [replace(meter, id=str(n), credentials=each) for n, each in enumerate(sets)]
    assert {"b": 0, "": 1, "a": 2} == number_credentials(meters)
