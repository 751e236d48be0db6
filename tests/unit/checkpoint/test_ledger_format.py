"""The bytes of a ledger: what was written is read back, anything else is an error."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.checkpoint import ledger_format as fmt
from swarm.errors import StateError

PATH = Path("/state/m.ledger")
INT64 = st.integers(-(2**63), 2**63 - 1)
UINT64 = st.integers(0, 2**64 - 1)
IN_FLIGHT = st.builds(
    fmt.InFlight,
    number=INT64,
    noted=UINT64,
    synced=UINT64,
    boot=st.binary(min_size=16, max_size=16),
    is_clean=st.booleans(),
)


def test_the_parts_follow_one_another() -> None:
    """Header and in-flight block are in the first 128 bytes, which a disk writes atomically."""
    sizes = (fmt.HEADER_BYTES, fmt.IN_FLIGHT_AT, fmt.IN_FLIGHT_BYTES, fmt.NOTES_AT, fmt.NOTE_BYTES)
    assert (64, 64, 64, 4096, 32) == sizes
    assert (24, {1: 128, 2: 4096 + 2048 * 32}) == (fmt.RECORD_BYTES, fmt.RECORDS_AT)


@given(st.integers(0, 2**40), INT64, UINT64, UINT64, st.integers(0, 2**32 - 1))
def test_a_note_is_read_as_written(
    number: int, instant: int, digest: int, values: int, registers: int
) -> None:
    """Every note is read as written, under its own number only; its offset is in the ring."""
    note = fmt.Note(instant, digest, values, registers)
    data = fmt.notes(number, [note])
    assert (32, note) == (len(data), fmt.read_note(number, data))
    assert fmt.read_note(number + 1, data) is None
    assert fmt.read_note(number, bytes(32)) is None
    assert fmt.NOTES_AT <= fmt.note_at(number) <= fmt.RECORDS_AT[2] - 32


@given(IN_FLIGHT)
def test_a_slot_is_read_as_written(in_flight: fmt.InFlight) -> None:
    """Every in-flight block is read as written."""
    data = fmt.in_flight(in_flight)
    assert (fmt.IN_FLIGHT_BYTES, (in_flight, None)) == (len(data), fmt.read_in_flight(PATH, data))


RECORDS = st.lists(st.tuples(INT64, UINT64, st.integers(0, 255)), max_size=6)


@given(st.integers(0, 2**40), RECORDS)
def test_records_are_read_as_written(first: int, rows: list[tuple[int, int, int]]) -> None:
    """Every record is read as written, under its own number only."""
    data = b"".join(fmt.record(number, *row) for number, row in enumerate(rows, first))
    assert rows == list(fmt.columns(data).entries())
    assert len(rows) == fmt.intact(first, data)
    assert 0 == fmt.intact(first + 1, data)


@given(st.integers(0, 1000), RECORDS, st.integers(0, 143), st.integers(1, 255))
def test_records_are_intact_up_to_a_damaged_byte(
    first: int, rows: list[tuple[int, int, int]], place: int, bits: int
) -> None:
    """The records before it are; so they are before an end that is missing."""
    data = bytearray(b"".join(fmt.record(first + n, *row) for n, row in enumerate(rows)))
    assert min(place // 24, len(rows)) == fmt.intact(first, bytes(data[:place]))
    if place < len(data):
        data[place] ^= bits
        assert place // 24 == fmt.intact(first, bytes(data))


@given(st.integers(0, 2**40), st.booleans())
def test_a_mark_is_read_as_written(number: int, is_sent: bool) -> None:
    """Every mark is read as written, under its own number only."""
    data = fmt.mark(number, is_sent=is_sent)
    assert (fmt.MARK_BYTES, is_sent) == (len(data), fmt.read_mark(number, data))
    assert fmt.read_mark(number + 1, data) is None
    assert fmt.read_mark(number, bytes(fmt.MARK_BYTES)) is None


@given(st.binary(min_size=24, max_size=24), st.integers(0, 1000))
def test_what_is_no_record_is_not_taken_for_one(data: bytes, number: int) -> None:
    """Arbitrary bytes, zeros included, are no record."""
    assert 0 == fmt.intact(number, data)
    assert 0 == fmt.intact(number, bytes(24))


def test_a_header_names_its_stream() -> None:
    """A header is valid for its own stream only."""
    data = fmt.header("gas", fmt.NO_BASELINE)
    fmt.read_header(PATH, data, "gas")
    with pytest.raises(StateError, match="belongs to another stream"):
        fmt.read_header(PATH, data, "Gas")


def test_a_newer_version_is_told_from_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint of a newer swarm is not reported as damaged."""
    monkeypatch.setattr(fmt, "VERSION", 3)
    data = fmt.header("gas", fmt.NO_BASELINE)
    monkeypatch.undo()
    with pytest.raises(StateError, match=r"newer swarm .checkpoint version 3, this one reads 2"):
        fmt.read_header(PATH, data, "gas")


@pytest.mark.parametrize("data", [b"", b"SWARMLDG", bytes(64), b"gas = data/gas.csv\n" * 4])
def test_what_is_no_ledger_is_told(data: bytes) -> None:
    """Another file in a ledger's place is damage; the message says what to do."""
    with pytest.raises(StateError, match=r"m\.ledger: .*The file is kept.*--restart"):
        fmt.read_header(PATH, data, "gas")


def test_another_format_with_a_sound_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header with a valid checksum but another magic number is not swarm's."""
    monkeypatch.setattr(fmt, "_MAGIC", b"OTHERLDG")
    data = fmt.header("gas", fmt.NO_BASELINE)
    monkeypatch.undo()
    with pytest.raises(StateError, match="not a checkpoint of swarm"):
        fmt.read_header(PATH, data, "gas")


def test_the_boot_has_a_name() -> None:
    """If the kernel has a boot ID, it is 16 bytes that stay the same."""
    fmt.boot_id.cache_clear()
    is_linux = Path("/proc/sys/kernel/random/boot_id").exists()
    assert is_linux == any(fmt.boot_id())
    assert (16, fmt.boot_id()) == (len(fmt.boot_id()), fmt.boot_id())


def test_a_boot_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a boot ID the result is zeros, which are never taken for the same boot."""

    def nothing(*_: object) -> str:
        raise FileNotFoundError

    fmt.boot_id.cache_clear()
    monkeypatch.setattr(Path, "read_text", nothing)
    assert bytes(16) == fmt.boot_id()
    fmt.boot_id.cache_clear()
