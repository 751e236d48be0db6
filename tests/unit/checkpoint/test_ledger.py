"""The ledger: records persist, open questions are reported, damage never goes unnoticed."""

import errno
import os
import resource
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.checkpoint import ledger_format as fmt
from swarm.checkpoint.ledger import (
    ACKNOWLEDGED,
    MOST_NOTES,
    REJECTED,
    SYNC_RECORDS,
    Ledger,
    count_records,
)
from swarm.checkpoint.ledger_file import Contents, LedgerFile
from swarm.checkpoint.ledger_format import Baseline, LedgerEntry, Note, Origin
from swarm.errors import StateError
from tests.support.jobs import Polite
from tests.support.spawned import spawned, write_ledger

BOOT, NEXT_BOOT = b"a boot's own id.", b"the next boot's."


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a ledger that does not exist yet."""
    return tmp_path / "checkpoints" / "m.ledger"


@pytest.fixture(autouse=True)
def _boot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a known boot ID, also if the kernel has none."""
    monkeypatch.setattr(fmt, "boot_id", lambda: BOOT)


@pytest.fixture
def power_cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that simulates a restart of the machine."""
    return lambda: monkeypatch.setattr(fmt, "boot_id", lambda: NEXT_BOOT)


def entry(number: int) -> LedgerEntry:
    """Return the row with a number."""
    return LedgerEntry(number * 1000, number * 7 + 1, ACKNOWLEDGED)


def note(number: int) -> Note:
    """Return the note of a row."""
    return Note(number * 1000, number * 7 + 1, number, 1)


def send(ledger: Ledger, *numbers: int) -> None:
    """Note rows, mark each as in flight, and record it."""
    ledger.note([note(number) for number in numbers])
    for number in numbers:
        ledger.mark_in_flight()
        ledger.record(*entry(number))


def begin(ledger: Ledger, number: int) -> None:
    """Note a row, and mark it as in flight."""
    ledger.note([note(number)])
    ledger.mark_in_flight()


def crash(ledger: Ledger) -> None:
    """Close the file of a ledger as a killed process does."""
    ledger._file.close()


def opened(path: Path) -> Ledger:
    """Open an existing ledger."""
    ledger = Ledger.open(path, "m")
    assert ledger is not None
    return ledger


def end_of_records(path: Path) -> int:
    """Return the offset after the last whole record."""
    start, size = fmt.RECORDS_AT[fmt.VERSION], path.stat().st_size
    return size - (size - start) % fmt.RECORD_BYTES


def inspect(path: Path) -> tuple[list[LedgerEntry], list[Note], str | None]:
    """Return what a later run finds, without changing the file."""
    copy = path.with_name("copy.ledger")
    shutil.copy(path, copy)
    ledger = opened(copy)
    entries = list(ledger.entries())
    crash(ledger)
    return entries, list(ledger.in_doubt), ledger.notice


def test_others_go_on_during_a_sync_and_while_records_are_read(path: Path) -> None:
    """Each sync runs in a helper thread, and reading a long ledger yields control."""
    polite = Polite()
    ledger = Ledger.create(path, "m", scheduler=polite)
    for start in range(0, 10_000, 1000):
        send(ledger, *range(start, start + 1000))
    ledger.close()
    # Created; ten batches of notes; ten times `SYNC_RECORDS`; closed.
    assert 1 + 10 + 10_000 // SYNC_RECORDS + 1 == polite.asides
    again = Polite()
    opened = Ledger.open(path, "m", scheduler=again)
    assert opened is not None
    assert 3 == again.breaths
    opened.close()


def test_a_ledger_that_begins_with_rows_has_all_of_them_or_is_not_there(path: Path) -> None:
    """Rows are adopted atomically: a run that is killed meanwhile leaves no checkpoint."""
    rows = [entry(number)[:2] for number in range(3)]

    def broken() -> Iterator[tuple[int, int]]:
        yield from rows
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Ledger.create(path, "m", acknowledged=broken())
    assert Ledger.open(path, "m") is None
    Ledger.create(path, "m", acknowledged=rows).close()
    ledger = Ledger.open(path, "m")
    assert ledger is not None
    assert ((), entry(2)) == (ledger.in_doubt, ledger.last_acknowledged)
    assert [entry(number) for number in range(3)] == list(ledger.entries())
    ledger.close()


def test_no_ledger_is_no_error(path: Path) -> None:
    """A missing ledger is reported as None, and no folder is created."""
    assert Ledger.open(path, "m") is None
    assert (0, False) == (count_records(path, 0).total(), path.parent.exists())


def test_what_is_recorded_is_there_again(path: Path) -> None:
    """Rows are read with their kinds, in order."""
    ledger = Ledger.create(path, "m")
    assert ((), None, 0) == (ledger.in_doubt, ledger.newest_at_open, ledger.count)
    send(ledger, 1, 2)
    ledger.record(3000, 5, REJECTED)
    assert (2000, entry(2)) == (ledger.newest, ledger.last_acknowledged)
    assert ledger.newest_at_open is None
    ledger.close()
    again = opened(path)
    assert [entry(1), entry(2), LedgerEntry(3000, 5, REJECTED)] == list(again.entries())
    assert (3, 2000, 2000) == (again.count, again.newest_at_open, again.newest)
    assert (entry(2), (), None) == (again.last_acknowledged, again.in_doubt, again.notice)
    send(again, 4)
    assert (2000, 4000) == (again.newest_at_open, again.newest)
    assert len(list(again.entries())) == 3  # as it was when it was opened
    again.freeze()
    assert (4000, 4) == (again.newest_at_open, len(list(again.entries())))
    again.close()
    assert count_records(path, 0).total() == 4


def test_create_begins_anew(path: Path) -> None:
    """A new ledger replaces an old one; only its user can open the folder."""
    ledger = Ledger.create(path, "m")
    send(ledger, 1)
    ledger.close()
    Ledger.create(path, "m").close()
    assert ([], [], None) == inspect(path)
    assert [0o700, 0o600] == [p.stat().st_mode & 0o777 for p in (path.parent, path)]


def test_late_rows_are_told_in_order_of_time(path: Path) -> None:
    """Rows that were sent late, in several runs, are merged with the others in order of time."""
    sent = [[10, 20, 30], [5, 15, 40], [1, 2, 3, 50], [25]]
    for run in sent:
        ledger = Ledger.open(path, "m") or Ledger.create(path, "m")
        send(ledger, *run)
        ledger.close()
    ledger = opened(path)
    assert [entry(number) for number in sorted(chain(*sent))] == list(ledger.entries())
    assert (50_000, entry(25)) == (ledger.newest_at_open, ledger.last_acknowledged)
    ledger.close()


def test_a_row_sent_again_with_other_values_stands_twice(path: Path) -> None:
    """An instant may have several records, which are read in the order of writing."""
    ledger = Ledger.create(path, "m")
    send(ledger, 1, 2)
    ledger.record(1000, 99, ACKNOWLEDGED)
    ledger.freeze()
    assert [entry(1), LedgerEntry(1000, 99, ACKNOWLEDGED), entry(2)] == list(ledger.entries())
    ledger.close()


def test_many_records_are_read_in_pieces(path: Path) -> None:
    """More records than are read at once are read completely."""
    ledger = Ledger.create(path, "m")
    for number in range(10_000):
        ledger.record(*entry(number))
    ledger.close()
    assert [entry(number) for number in range(10_000)] == inspect(path)[0]


# What may have been sent unrecorded


def test_nothing_is_open_after_a_clean_end(path: Path, power_cut: Callable[[], None]) -> None:
    """After a clean end no row is in doubt, also after a power cut."""
    ledger = Ledger.create(path, "m")
    send(ledger, 1, 2, 3)
    ledger.close()
    power_cut()
    assert ([entry(1), entry(2), entry(3)], [], None) == inspect(path)


def test_a_packet_in_flight_is_known_exactly(path: Path) -> None:
    """A packet in flight without a record is in doubt, after a crash and after `close`."""
    ledger = Ledger.create(path, "m")
    send(ledger, 1)
    ledger.note([note(2), note(3)])
    ledger.mark_in_flight()
    ledger.close()
    for _ in range(2):  # a run that ends before it asks leaves the row in doubt
        again = opened(path)
        assert (note(2),) == again.in_doubt
        again.close()
    again = opened(path)
    again.settle(1)
    assert ((), 2) == (again.in_doubt, len(list(again.entries())))
    again.close()
    assert ([entry(1), entry(2)], [], None) == inspect(path)


def test_a_process_that_is_killed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `kill -9` no record is missing, and the packet in flight is known."""
    monkeypatch.undo()
    with spawned(write_ledger, path, "m", 2500) as writer:
        assert writer.hear() == "sent"
        writer.kill()
    ledger = opened(path)
    assert 2500 == ledger.count == count_records(path, 0).total()
    assert (2500, 2501, 2502, 1) == ledger.in_doubt[0]
    if any(fmt.boot_id()):  # without a boot ID it may have been a power cut
        assert len(ledger.in_doubt) == 1
    ledger.close()


def test_a_packet_that_was_withdrawn_is_not_in_doubt(path: Path) -> None:
    """A packet that is known not to be stored is not in doubt, also after a crash."""
    ledger = Ledger.create(path, "m")
    begin(ledger, 1)
    ledger.clear_in_flight()
    crash(ledger)
    assert ([], [], None) == inspect(path)
    ledger = opened(path)
    send(ledger, 1)
    begin(ledger, 2)
    ledger.clear_in_flight()
    ledger.close()
    assert ([entry(1)], [], None) == inspect(path)


def test_a_row_that_was_not_noted_may_not_be_sent(path: Path) -> None:
    """After a power cut nothing could show that it was about to be sent."""
    ledger = Ledger.create(path, "m")
    send(ledger, 1)
    with pytest.raises(RuntimeError, match="not noted"):
        ledger.mark_in_flight()


@pytest.mark.parametrize("is_clean", [True, False])
@pytest.mark.parametrize("lost", [1, 2, 5])
def test_a_missing_end_is_a_question(path: Path, lost: int, is_clean: bool) -> None:
    """If the last records are missing, the notes show which rows these were."""
    ledger = Ledger.create(path, "m")
    send(ledger, 1, 2, 3, 4, 5)
    if is_clean:
        ledger.close()
    else:
        crash(ledger)
    os.truncate(path, end_of_records(path) - lost * fmt.RECORD_BYTES)
    entries, in_doubt, notice = inspect(path)
    assert ([entry(number) for number in range(1, 6 - lost)], None) == (entries, notice)
    assert [note(number) for number in range(6 - lost, 6)] == in_doubt


def test_more_missing_records_than_the_notes_know_are_damage(path: Path) -> None:
    """The notes are a ring, which holds only the last rows."""
    ledger = Ledger.create(path, "m")
    for start in range(0, 3000, 500):
        send(ledger, *range(start, start + 500))
    ledger.close()
    whole = path.stat().st_size
    os.truncate(path, whole - fmt.RING * fmt.RECORD_BYTES)
    assert fmt.RING == len(inspect(path)[1])
    os.truncate(path, whole - (fmt.RING + 1) * fmt.RECORD_BYTES)
    with pytest.raises(StateError, match=r"the last 2049 of 3000 records are missing.*--adopt"):
        opened(path)


def test_after_a_power_cut_all_rows_that_were_noted_are_in_doubt(
    path: Path, power_cut: Callable[[], None]
) -> None:
    """Also those after the last record: the in-flight block may be older than what was sent."""
    ledger = Ledger.create(path, "m")
    send(ledger, 1, 2)
    ledger.note([note(3), note(4)])
    crash(ledger)
    power_cut()
    entries, in_doubt, notice = inspect(path)
    assert ([entry(1), entry(2)], [note(3), note(4)], None) == (entries, in_doubt, notice)


def test_a_question_stays_open_until_it_is_settled(
    path: Path, power_cut: Callable[[], None]
) -> None:
    """A run that ends before it asks leaves the rows in doubt; `settle` ends that."""
    ledger = Ledger.create(path, "m")
    send(ledger, 1, 2)
    ledger.note([note(3), note(4), note(5)])
    crash(ledger)
    power_cut()
    for _ in range(2):
        ledger = opened(path)
        assert [note(3), note(4), note(5)] == list(ledger.in_doubt)
        ledger.close()
    ledger = opened(path)
    ledger.settle(1)
    crash(ledger)
    assert ([entry(1), entry(2), entry(3)], [], None) == inspect(path)
    ledger = opened(path)
    send(ledger, 4)
    ledger.close()
    assert ([entry(number) for number in (1, 2, 3, 4)], [], None) == inspect(path)


def test_doubts_that_no_question_settles_are_kept_until_the_rows_are_sent(path: Path) -> None:
    """They outlast runs that do not reach these rows, and a run that is killed."""
    ledger = Ledger.create(path, "m")
    ledger.note([note(1), note(2)])
    ledger.mark_in_flight()
    crash(ledger)
    ledger = opened(path)
    ledger.settle(0, ledger.in_doubt)
    crash(ledger)
    ledger = opened(path)
    assert ((), {(1000, 8)}) == (ledger.in_doubt, ledger.unresolved)
    ledger.close()
    ledger = opened(path)
    ledger.unresolved.clear()
    ledger.close()
    assert set() == opened(path).unresolved
    assert [path] == list(path.parent.iterdir())


def test_doubts_go_with_their_ledger(path: Path) -> None:
    """A stream that is restarted has none."""
    ledger = Ledger.create(path, "m")
    begin(ledger, 1)
    ledger.close()
    ledger = opened(path)
    ledger.settle(0, ledger.in_doubt)
    ledger.close()
    Ledger.create(path, "m").close()
    assert set() == opened(path).unresolved


def test_notes_go_round_in_their_ring(path: Path, power_cut: Callable[[], None]) -> None:
    """A note never overwrites one whose record may not be synced yet."""
    ledger = Ledger.create(path, "m")
    number = 0
    for size in (700, MOST_NOTES, 1, MOST_NOTES, 999, 3):
        send(ledger, *range(number, number + size))
        number += size
    ledger.note([note(each) for each in range(number, number + 500)])
    crash(ledger)
    power_cut()
    os.truncate(path, path.stat().st_size - 400 * fmt.RECORD_BYTES)
    _, in_doubt, _ = inspect(path)
    assert [note(each) for each in range(number - 400, number + 500)] == in_doubt


def test_what_the_collector_held_is_noted_when_a_stream_is_restarted(path: Path) -> None:
    """It is unknown until the first packet; then it is kept."""
    ledger = Ledger.create(path, "m", is_restart=True)
    assert Origin.RESTARTED == ledger.baseline.origin
    ledger.close()
    ledger = opened(path)
    assert Origin.RESTARTED == ledger.baseline.origin
    held = Baseline(Origin.HELD, -5, 2**64 - 1, 3)
    ledger.set_baseline(held)
    send(ledger, 1)
    ledger.close()
    assert held == opened(path).baseline


def test_a_ledger_can_take_rows_for_acknowledged_later(path: Path) -> None:
    """They are appended atomically; rows in doubt stay in doubt."""
    ledger = Ledger.create(path, "m")
    send(ledger, 1, 3)
    begin(ledger, 5)
    crash(ledger)
    ledger = opened(path).rewritten([entry(2)[:2], entry(4)[:2]])
    assert (4, 4000, (note(5),)) == (ledger.count, ledger.newest, ledger.in_doubt)
    ledger.close()
    assert ([entry(number) for number in (1, 2, 3, 4)], [note(5)], None) == inspect(path)


_OLD_IN_FLIGHT = struct.Struct("<qqQdQ16sB3x")


def old_ledger(path: Path, count: int, number: int, flying: int = 0, *, is_clean: bool) -> None:
    """Write a ledger of version 1 with ``count`` rows, numbered from 1."""
    head = b"SWARMLDG" + (1).to_bytes(4, "little") + fmt.header("m", Baseline())[12:28] + bytes(32)
    row = note(flying) if flying else Note(0, 0, 0, 0)
    in_flight = _OLD_IN_FLIGHT.pack(number, row.instant, row.digest, 0.0, 0, BOOT, is_clean)
    parts = [part + zlib.crc32(part).to_bytes(4, "little") for part in (head, in_flight)]
    parts += [fmt.record(number, *entry(number + 1)) for number in range(count)]
    path.parent.mkdir()
    path.write_bytes(b"".join(parts))


def test_a_ledger_that_can_not_be_rewritten(path: Path) -> None:
    """The user gets an error with the path; the old ledger is unchanged and can be closed."""
    ledger = Ledger.create(path, "m", acknowledged=[entry(1)[:2]])
    path.with_name(path.name + ".new").mkdir()
    with pytest.raises(StateError, match=r"m\.ledger"):
        ledger.rewritten([entry(2)[:2]])
    ledger.close()
    reopened = opened(path)
    assert [entry(1)] == list(reopened.entries())
    reopened.close()


def test_a_ledger_of_the_first_version_is_read_and_rewritten(path: Path) -> None:
    """Its rows are kept; a read-only view does not change the file."""
    old_ledger(path, 3, 2, is_clean=True)
    old = path.read_bytes()
    view = Ledger.view(path, "m")
    assert view is not None
    assert [entry(1), entry(2), entry(3)] == list(view.entries())
    view.close()
    assert old == path.read_bytes()
    ledger = opened(path)
    send(ledger, 4)
    ledger.close()
    assert ([entry(number) for number in (1, 2, 3, 4)], [], None) == inspect(path)


def test_the_packet_in_flight_of_the_first_version(path: Path) -> None:
    """Only its instant identifies it, also after the ledger was rewritten."""
    old_ledger(path, 3, 3, 4, is_clean=False)
    known = Note(4000, 29, 0, 0)
    for _ in range(2):
        ledger = opened(path)
        assert (3, (known,)) == (ledger.count, ledger.in_doubt)
        ledger.close()


def test_missing_records_of_the_first_version_are_damage(path: Path) -> None:
    """Without notes, nothing shows which rows these were."""
    old_ledger(path, 3, 5, is_clean=True)
    with pytest.raises(StateError, match="the last 3 of 6 records are missing"):
        opened(path)


def test_a_torn_end_is_cut_off(path: Path, power_cut: Callable[[], None]) -> None:
    """After a power cut, a part of a record or zeros at the end are cut off, with a notice."""
    ledger = Ledger.create(path, "m")
    send(ledger, 1, 2)
    crash(ledger)
    power_cut()
    whole = path.read_bytes()[: end_of_records(path)]
    for end in (whole[-24:-3], bytes(24), bytes(4096)):
        path.write_bytes(whole[:-24] + end)
        again = opened(path)
        assert (1, True) == (again.count, "incomplete record" in (again.notice or ""))
        again.close()
        assert [entry(1)] == inspect(path)[0]
        assert whole[:-24] == path.read_bytes()


def test_part_of_a_record_is_cut_off_without_a_power_cut(path: Path) -> None:
    """A record that a full disk left incomplete is cut off; the packet in flight is known."""
    ledger = Ledger.create(path, "m")
    send(ledger, 1, 2)
    crash(ledger)
    os.truncate(path, end_of_records(path) - 5)
    entries, in_doubt, notice = inspect(path)
    assert ([entry(1)], [note(2)], True) == (entries, in_doubt, notice is not None)


@pytest.mark.parametrize("sends_next", [True, False])
def test_a_record_and_the_mark_of_the_next_row_are_one_write(
    path: Path, monkeypatch: pytest.MonkeyPatch, sends_next: bool
) -> None:
    """A row that is sent next is marked with the record before it, and no other row is."""
    ledger = Ledger.create(path, "m")
    ledger.note([note(number) for number in range(1, 4)])
    ledger.mark_in_flight()
    writes: list[int] = []
    real = os.pwrite

    def counted(fd: int, data: bytes, at: int) -> int:
        writes.append(at)
        return real(fd, data, at)

    monkeypatch.setattr(os, "pwrite", counted)
    ledger.record(*entry(1), sends_next=sends_next)
    assert ([entry(1)], [note(2)] * sends_next, None) == inspect(path)
    ledger.mark_in_flight()
    assert (1 if sends_next else 2) == len(writes)
    assert ([entry(1)], [note(2)], None) == inspect(path)


def test_a_row_that_was_only_marked_is_not_in_doubt_after_a_clean_end(path: Path) -> None:
    """The mark of a row whose packet was not sent ends with the run; the last row marks none."""
    ledger = Ledger.create(path, "m")
    ledger.note([note(1), note(2)])
    ledger.mark_in_flight()
    ledger.record(*entry(1), sends_next=True)
    ledger.close()
    assert ([entry(1)], [], None) == inspect(path)
    assert end_of_records(path) == path.stat().st_size
    ledger = opened(path)
    begin(ledger, 2)
    ledger.record(*entry(2), sends_next=True)
    crash(ledger)
    assert ([entry(1), entry(2)], [], None) == inspect(path)


def test_no_row_is_in_doubt_before_the_first_one_is_sent(path: Path) -> None:
    """Rows that were noted by a killed run are not in doubt if it sent none of them."""
    ledger = Ledger.create(path, "m")
    ledger.note([note(1), note(2)])
    crash(ledger)
    assert ([], [], None) == inspect(path)


@pytest.mark.parametrize("lost", range(1, fmt.MARK_BYTES + 1))
def test_without_a_whole_mark_all_noted_rows_are_in_doubt(path: Path, lost: int) -> None:
    """A process can be killed within a write: a mark that is torn or missing excludes no row.

    A swarm that does not know the mark sees the same rows in doubt.
    """
    ledger = Ledger.create(path, "m")
    ledger.note([note(1), note(2), note(3)])
    ledger.mark_in_flight()
    ledger.record(*entry(1), sends_next=True)
    crash(ledger)
    assert ([entry(1)], [note(2)], None) == inspect(path)
    os.truncate(path, path.stat().st_size - lost)
    entries, in_doubt, notice = inspect(path)
    assert ([entry(1)], [note(2), note(3)]) == (entries, in_doubt)
    assert (lost < fmt.MARK_BYTES) == (notice is not None)


def test_a_settlement_that_is_killed_asks_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If several rows are in doubt, none is settled before all records of the answer are there."""
    ledger = Ledger.create(path, "m")
    ledger.note([note(1), note(2), note(3)])
    ledger.mark_in_flight()
    crash(ledger)
    os.truncate(path, path.stat().st_size - fmt.MARK_BYTES)
    again = opened(path)
    assert (note(1), note(2), note(3)) == again.in_doubt
    real = os.pwrite
    left = iter([True])

    def killed(fd: int, data: bytes, at: int) -> int:
        if not next(left, False):
            raise KeyboardInterrupt
        return real(fd, data, at)

    monkeypatch.setattr(os, "pwrite", killed)
    with pytest.raises(KeyboardInterrupt):
        again.settle(3)
    monkeypatch.undo()
    monkeypatch.setattr(fmt, "boot_id", lambda: BOOT)
    crash(again)
    assert ([entry(1)], [note(2), note(3)], None) == inspect(path)


# Damage


@contextmanager
def ledger_file(*, is_clean: bool) -> Iterator[Path]:
    """Write a ledger of six rows, of which at least five are synced; without a mark at its end."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.ledger"
        ledger = Ledger.create(path, "m")
        send(ledger, 1, 2, 3, 4, 5)
        ledger.close()
        ledger = opened(path)
        send(ledger, 6)
        if is_clean:
            ledger.close()
        else:
            crash(ledger)
            os.truncate(path, end_of_records(path))
        yield path


def noticed(path: Path) -> bool:
    """Return True if a run notices that a ledger of six rows is not what was written."""
    before = path.read_bytes()
    try:
        ledger = opened(path)
    except StateError:
        return before == path.read_bytes()
    entries = list(ledger.entries())
    crash(ledger)
    assert [entry(number) for number in range(1, len(entries) + 1)] == entries
    return len(entries) < 6 and [*ledger.in_doubt] == [
        note(at) for at in range(len(entries) + 1, 7)
    ]


def bits(whole: bytes) -> Iterator[int]:
    """Yield the positions of the bits of header, in-flight block and records."""
    yield from range((fmt.IN_FLIGHT_AT + fmt.IN_FLIGHT_BYTES) * 8)
    yield from range(fmt.RECORDS_AT[2] * 8, len(whole) * 8)


@pytest.mark.parametrize("is_clean", [True, False])
def test_no_flipped_bit_goes_unnoticed(is_clean: bool) -> None:
    """Every flipped bit is an error, and the file is kept unchanged."""
    with ledger_file(is_clean=is_clean) as path:
        whole = path.read_bytes()
        for bit in bits(whole):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            with pytest.raises(StateError):
                opened(path)
            assert damaged == path.read_bytes()


def test_no_flipped_bit_goes_unnoticed_after_a_power_cut(power_cut: Callable[[], None]) -> None:
    """After a power cut a damaged end is cut off, with a notice, but no synced record."""
    with ledger_file(is_clean=False) as path:
        power_cut()
        whole = path.read_bytes()
        synced = fmt.RECORDS_AT[2] + 5 * fmt.RECORD_BYTES
        for bit in bits(whole):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            if bit < synced * 8:
                with pytest.raises(StateError):
                    opened(path)
            else:
                entries, in_doubt, notice = inspect(path)
                assert [entry(number) for number in range(1, 6)] == entries
                assert ([note(6)], True) == (in_doubt, notice is not None)


def sizes(whole: bytes) -> Iterator[int]:
    """Yield the sizes to which a ledger is cut: all but those in its unused notes."""
    used = fmt.note_at(6)
    yield from range(used)
    yield from range(fmt.RECORDS_AT[2], len(whole))


@pytest.mark.parametrize("is_clean", [True, False])
def test_no_missing_end_goes_unnoticed(is_clean: bool) -> None:
    """A ledger cut at any byte is an error or has rows in doubt; it never just has fewer rows."""
    with ledger_file(is_clean=is_clean) as path:
        whole = path.read_bytes()
        for size in sizes(whole):
            path.write_bytes(whole[:size])
            assert noticed(path), size


@pytest.mark.parametrize("is_clean", [True, False])
def test_no_zeroed_part_goes_unnoticed(is_clean: bool) -> None:
    """A ledger with zeros from any byte on is an error or has rows in doubt."""
    with ledger_file(is_clean=is_clean) as path:
        whole = path.read_bytes()
        for size in sizes(whole):
            path.write_bytes(whole[:size] + bytes(len(whole) - size))
            assert path.read_bytes() == whole or noticed(path), size


def test_records_that_changed_places_are_damage(path: Path) -> None:
    """A record is valid under its own number only."""
    ledger = Ledger.create(path, "m")
    send(ledger, 1, 2)
    ledger.close()
    whole = path.read_bytes()
    start = fmt.RECORDS_AT[2]
    path.write_bytes(whole[:start] + whole[start + 24 : start + 48] + whole[start : start + 24])
    with pytest.raises(StateError, match="record 1 of 2 has a wrong checksum"):
        opened(path)


@pytest.mark.parametrize("content", [b"", bytes(4096), b"2023-01-01 00:00:00,1\n" * 100])
def test_what_is_no_ledger_is_kept(path: Path, content: bytes) -> None:
    """An empty file, zeros, or another file in a ledger's place is an error, and is kept."""
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StateError, match="The file is kept"):
        opened(path)
    assert content == path.read_bytes()


def test_the_ledger_of_another_stream(path: Path) -> None:
    """A ledger that was copied to the path of another stream is an error."""
    Ledger.create(path, "n").close()
    with pytest.raises(StateError, match="another stream"):
        opened(path)


# The disk


def test_records_are_synced_in_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes, 1,000 records, 5 s, a rejected row and `close` each cause a sync."""
    syncs: list[int] = []
    monkeypatch.setattr(os, "fsync", syncs.append)
    now = 100.0
    ledger = Ledger.create(path, "m", clock=lambda: now)
    syncs.clear()

    def synced() -> int:
        count = len(syncs)
        syncs.clear()
        return count

    for _ in range(2):
        ledger.note([note(number) for number in range(MOST_NOTES)])
        assert synced() == 1
    for number in range(SYNC_RECORDS - 1):
        ledger.mark_in_flight()
        ledger.record(*entry(number))
    assert synced() == 0
    ledger.record(*entry(SYNC_RECORDS))
    assert synced() == 1
    now += 4.9
    ledger.record(*entry(2000))
    assert synced() == 0
    now += 0.1
    ledger.record(*entry(2001))
    ledger.record(*entry(2002))
    assert synced() == 1
    ledger.record(2003, 1, REJECTED)
    assert synced() == 1
    ledger.close()
    assert synced() == 1
    opened(path).close()  # without changes there is nothing to sync
    assert synced() == 0


def test_a_full_disk_stops_the_stream(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is a state error, for the in-flight block and for a record."""
    ledger = Ledger.create(path, "m")
    send(ledger, 1)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    for action in (partial(begin, ledger, 2), partial(ledger.record, 2, 2, ACKNOWLEDGED)):
        with pytest.raises(StateError, match=r"m\.ledger: .*No space left on device"):
            action()
    monkeypatch.undo()
    ledger.close()
    assert ([entry(1)], [], None) == inspect(path)


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Limit the size of files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("room", "detail"), [(0, "File too large"), (10, "the disk is full")])
def test_no_room_for_a_record(path: Path, room: int, detail: str) -> None:
    """A record that can't be written completely stops the stream; its packet is in doubt."""
    ledger = Ledger.create(path, "m")
    send(ledger, 1)
    begin(ledger, 2)
    with file_limit(end_of_records(path) + room), pytest.raises(StateError, match=detail):
        ledger.record(*entry(2))
    ledger.close()
    entries, in_doubt, notice = inspect(path)
    assert ([entry(1)], [note(2)], room > fmt.MARK_BYTES) == (entries, in_doubt, notice is not None)


def test_a_disk_that_fails_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk at a sync is a state error."""

    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    ledger = Ledger.create(path, "m")
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(StateError, match="Input/output error"):
        begin(ledger, 1)
    with pytest.raises(StateError):
        Ledger.create(path.with_name("n.ledger"), "n")
    with pytest.raises(StateError):
        ledger.close()


def test_a_folder_that_cannot_be_written(locked_folder: Path) -> None:
    """A ledger in a folder that is not writable is a state error."""
    path = locked_folder / "c" / "m.ledger"
    with pytest.raises(StateError, match="Permission denied"):
        Ledger.create(path, "m")


def test_a_ledger_that_cannot_be_opened(path: Path) -> None:
    """A folder in a ledger's place is a state error, not a stream without a ledger."""
    path.mkdir(parents=True)
    with pytest.raises(StateError, match="is not a regular file"):
        opened(path)


# Records are read in parts

_ENTRIES = st.lists(
    st.builds(
        LedgerEntry,
        st.integers(-3, 9),
        st.integers(0, 2**64 - 1),
        st.sampled_from([ACKNOWLEDGED, ACKNOWLEDGED, REJECTED]),
    ),
    max_size=12,
)


@given(_ENTRIES, st.integers(0, 12), st.integers(1, 5))
def test_records_in_any_order_are_read_in_parts_of_any_size(
    entries: list[LedgerEntry], damaged: int, part: int
) -> None:
    """After a power cut those before the first damaged one; without one none may be damaged."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("swarm.checkpoint.ledger._CHUNK", part)
        path = Path(folder) / "m.ledger"
        records = (fmt.record(number, *row) for number, row in enumerate(entries))
        file = LedgerFile.create(path, "m", Contents(records))
        file.write_in_flight(fmt.InFlight(-1, 0, 0, BOOT, is_clean=False))
        file.close()
        check_read(opened(path), entries)
        if damaged < len(entries):
            data = bytearray(path.read_bytes())
            data[fmt.RECORDS_AT[fmt.VERSION] + damaged * fmt.RECORD_BYTES] ^= 1
            path.write_bytes(data)
        patch.setattr(fmt, "boot_id", lambda: NEXT_BOOT)
        check_read(opened(path), entries[:damaged])


def check_read(ledger: Ledger, entries: list[LedgerEntry]) -> None:
    """Check what was read of a ledger with these records, and close it."""
    acknowledged = [row for row in entries if row.kind == ACKNOWLEDGED]
    assert len(entries) == ledger.count
    assert max((row.instant for row in acknowledged), default=None) == ledger.newest
    assert (acknowledged[-1] if acknowledged else None) == ledger.last_acknowledged
    assert sorted(entries, key=lambda row: row.instant) == list(ledger.entries())
    runs = [[row for records in run for row in records.entries()] for run in ledger.runs()]
    assert entries == list(chain(*runs))
    for run in runs:
        instants = [row.instant for row in run]
        assert sorted(set(instants)) == instants
    crash(ledger)


# All together

_ACTIONS = st.lists(
    st.sampled_from(["send", "late", "reject", "begin", "withdraw", "close", "crash", "reboot"]),
    max_size=30,
)


@given(_ACTIONS)
def test_what_was_recorded_is_kept_and_what_is_open_is_told(actions: list[str]) -> None:
    """After any sequence of actions: all records, and exactly the packet in doubt."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        _Model(Path(folder) / "m.ledger", patch).play(actions)


class _Model:
    """A ledger, and what it must contain."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.patch = patch
        self.ledger = Ledger.create(path, "m")
        self.entries: list[LedgerEntry] = []
        self.flying: Note | None = None
        self.has_begun = False
        self.boots = 0

    def play(self, actions: list[str]) -> None:
        for step, action in enumerate([*actions, "close"], 1):
            if action in ("close", "crash", "reboot"):
                self.reopen(action)
            elif action == "withdraw":
                if self.flying and self.has_begun:
                    self.ledger.clear_in_flight()
                    self.flying = None
                    self.reopen("close")
            else:
                kind = REJECTED if action == "reject" else ACKNOWLEDGED
                self.do(action, LedgerEntry(step * (-1 if action == "late" else 1), step, kind))

    def do(self, action: str, row: LedgerEntry) -> None:
        if self.flying and not self.has_begun:
            self.ledger.settle(0)
        elif self.flying:
            self.ledger.clear_in_flight()
            self.flying = None
            self.reopen("close")
        self.flying = Note(row.instant, row.digest, row.digest, 1)
        self.ledger.note([self.flying])
        self.ledger.mark_in_flight()
        self.has_begun = True
        if action != "begin":
            self.ledger.record(*row)
            self.entries.append(row)
            self.flying = None

    def reopen(self, how: str) -> None:
        if how == "close":
            self.ledger.close()
        else:
            crash(self.ledger)
        if how == "reboot":
            self.boots += 1
            self.patch.setattr(fmt, "boot_id", lambda: bytes([self.boots + 1]) * 16)
        self.ledger, self.has_begun = opened(self.path), False
        self.check()

    def check(self) -> None:
        assert sorted(self.entries) == sorted(self.ledger.entries())
        times = [row.instant for row in self.ledger.entries()]
        assert sorted(times) == times
        if self.flying:
            assert (self.flying,) == self.ledger.in_doubt
        elif self.ledger.in_doubt:
            # After a power cut: the mark was cleared, but that was not synced.
            assert self.boots
            self.ledger.settle(0)
