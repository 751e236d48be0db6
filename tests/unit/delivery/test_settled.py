"""The settled part of a stream: looked at again only if anything that it depends on has changed."""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm.checkpoint.ledger import ACKNOWLEDGED, REJECTED, Ledger
from swarm.config.settings import Meter
from swarm.csv import CheckResult, Window, load_state
from swarm.csv.file import Block
from swarm.csv.rows import Batch, RowReader
from swarm.delivery import settled as settled_module
from swarm.delivery.check import CheckTask, check
from swarm.delivery.deliver import deliver
from swarm.delivery.settled import store_settled
from swarm.delivery.task import Task
from tests.simulation.collector import Clock
from tests.support.meters import aged, meter_of, written
from tests.support.streams import (
    STREAM,
    ScriptedCollector,
    StreamContext,
    items_from,
    items_of,
    task_of,
)
from tests.support.workspace import rows

LINES = rows(40)
#: Four rows or so.
BLOCK = 100


@pytest.fixture(autouse=True)
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read files in small blocks."""
    monkeypatch.setattr("swarm.csv.file.BLOCK_BYTES", BLOCK)


class Stream:
    """A stream whose files are written, checked and settled by a test."""

    def __init__(self, folder: Path, *names: str, **rules: Any) -> None:
        self.files = tuple(folder / name for name in names or ("m.csv",))
        self.meter = meter_of(*self.files, **rules)
        self.task = replace(task_of(folder, LINES[:1]), meter=self.meter)

    def write(self, *contents: Sequence[str]) -> "Stream":
        """Write the files, a list of lines for each."""
        for path, lines in zip(self.files, contents, strict=True):
            written(path, "".join(f"{line}\n" for line in lines))
        return self

    def check(self, meter: Meter | None = None, **more: Any) -> CheckResult:
        """Check the files as a run does."""
        task = CheckTask(meter or self.meter, more.pop("window", Window()), **more)
        return check(replace(task, ledger=self.task.ledger), None)

    def settle(self) -> CheckResult:
        """Check the files, acknowledge all rows and store the state of the check."""
        checked = self.check()
        assert not checked.problems
        known = set()
        ledger = Ledger.open(self.task.ledger, STREAM)
        if ledger is not None:
            known = {entry.instant for entry in ledger.entries()}
            ledger.close()
        items = items_of(replace(self.task, checked=checked))
        if ledger is None:
            found = [(each.instant, each.digest) for each in items]
            ledger = Ledger.create(self.task.ledger, STREAM, acknowledged=found)
        else:
            ledger = Ledger.open(self.task.ledger, STREAM)
            assert ledger is not None
            for each in items:
                if each.instant not in known:
                    ledger.record(each.instant, each.digest, ACKNOWLEDGED)
        store_settled(self.meter, checked, ledger)
        ledger.close()
        return checked


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    """Return a stream of which all rows but the last ten are settled."""
    stream = Stream(tmp_path).write(LINES[:30])
    stream.settle()
    return stream


def packets_of(checked: CheckResult) -> int:
    """Return the number of settled packets, 0 if all rows were read."""
    return checked.settled.packets if checked.settled else 0


def without_state(checked: CheckResult) -> CheckResult:
    """Return what a check tells of all rows."""
    return replace(checked, settled=None, state=None)


def test_the_next_check_begins_with_the_last_block(stream: Stream) -> None:
    """The block before new rows is read again, everything before it is only compared."""
    for lines in (LINES[:30], LINES[:31], LINES):
        checked = stream.write(lines).check()
        assert 24 <= packets_of(checked) < 30
        assert without_state(checked) == without_state(stream.check(is_full=True))


def test_settled_rows_are_not_parsed(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the lines of the last blocks get to the reader of rows."""
    read: list[int] = []
    whole = RowReader.read

    def noted(self: RowReader, block: Block) -> Batch:
        read.append(block.line)
        return whole(self, block)

    monkeypatch.setattr(RowReader, "read", noted)
    stream.write(LINES).check()
    assert min(read) > 24


def _altered(stream: Stream) -> None:
    stream.write([LINES[0].replace(",", ",9"), *LINES[1:30]])


def _with_an_older_row(stream: Stream) -> None:
    stream.write([*LINES[:30], LINES[3]])


def _with_an_unread_line_end(stream: Stream) -> None:
    text = "".join(f"{line}\n" for line in LINES[:30])
    written(stream.files[0], text.replace("\n", "\r\n", 1))


def _shortened(stream: Stream) -> None:
    stream.write(LINES[:10])


def _removed(stream: Stream) -> None:
    stream.files[0].unlink()


def _with_a_problem(stream: Stream) -> None:
    stream.write([*LINES[:30], "2030-01-01 00:00:00,x"])


@pytest.mark.parametrize(
    "change",
    [
        _altered,
        _with_an_older_row,
        _with_an_unread_line_end,
        _shortened,
        _removed,
        _with_a_problem,
    ],
)
def test_other_files_are_read_from_their_beginning(
    stream: Stream, change: Callable[[Stream], None]
) -> None:
    """A check tells of them what it would tell without the cache."""
    change(stream)
    for path in stream.files:
        if path.exists():
            aged(path, 60)
    checked = stream.check()
    assert checked.settled is None
    assert checked == stream.check(is_full=True)


@pytest.mark.parametrize("rules", [{"timezone": "Europe/Dublin"}, {"shift": 900.0}])
def test_other_rules_make_all_rows_be_read(stream: Stream, rules: dict[str, Any]) -> None:
    """The rows of a settled part were read under the same rules."""
    assert stream.check(meter_of(*stream.files, **rules)).settled is None


def test_other_time_zone_data_make_all_rows_be_read(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new version of the database may give rows other instants."""
    monkeypatch.setattr(settled_module, "zone_digest", lambda _: "another")
    assert stream.check().settled is None


def test_another_version_makes_all_rows_be_read(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version may read rows differently."""
    monkeypatch.setattr(settled_module, "VERSION", "0.0.1")
    assert stream.check().settled is None


@pytest.mark.parametrize("more", [{"is_full": True}, {"window": Window(since=0)}])
def test_all_rows_are_read_if_that_was_asked_for(stream: Stream, more: dict[str, Any]) -> None:
    """That is so with --full-check, --since and --until."""
    assert stream.check(**more).settled is None


def test_a_ledger_with_other_records_makes_all_rows_be_read(stream: Stream) -> None:
    """One that was restored from a backup may lack rows that were settled."""
    path = stream.task.ledger
    ledger = Ledger.open(path, STREAM)
    assert ledger is not None
    found = [(entry.instant, entry.digest) for entry in ledger.entries()]
    ledger.close()
    for acknowledged in (found[:-1], [(found[0][0], 7), *found[1:]]):
        Ledger.create(path, STREAM, acknowledged=acknowledged).close()
        assert stream.check().settled is None
    Ledger.create(path, STREAM, acknowledged=found).close()
    assert stream.check().settled is not None


def test_records_that_follow_leave_the_part_settled(stream: Stream) -> None:
    """A run that was killed before it stored the cache costs nothing."""
    ledger = Ledger.open(stream.task.ledger, STREAM)
    assert ledger is not None
    stream.write(LINES)
    items = items_of(replace(stream.task, checked=stream.check(is_full=True)))
    ledger.record(items[30].instant, items[30].digest, ACKNOWLEDGED)
    ledger.close()
    assert packets_of(stream.check()) >= 24


@pytest.mark.parametrize("kind", [ACKNOWLEDGED, REJECTED])
def test_a_later_record_of_a_settled_row_makes_all_rows_be_read(stream: Stream, kind: int) -> None:
    """Of two records of one instant, the later one counts."""
    ledger = Ledger.open(stream.task.ledger, STREAM)
    assert ledger is not None
    ledger.record(next(iter(ledger.entries())).instant, 7, kind)
    ledger.close()
    assert stream.check().settled is None


@pytest.mark.parametrize("place", [0, 20, 30, 60, -1])
def test_a_damaged_cache_is_ignored(stream: Stream, place: int) -> None:
    """All rows are read; the next run replaces it."""
    path = stream.task.ledger.with_name("m.ledger.settled")
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert stream.check().settled is None
    path.write_bytes(data[:50])
    assert stream.check().settled is None


def test_a_state_makes_no_objects_but_its_own() -> None:
    """A state is read from a folder that others may have been able to write to."""
    with pytest.raises(pickle.UnpicklingError, match=r"pathlib\S*\.\S+ is not of the state"):
        load_state(pickle.dumps(Path("/")))


def test_what_is_not_all_acknowledged_is_not_settled(tmp_path: Path, clock: Clock) -> None:
    """A rejected row is told again in each run."""
    task = task_of(tmp_path, LINES)
    ledger = Ledger.create(task.ledger, STREAM)
    for number, item in enumerate(items_of(task)):
        ledger.record(item.instant, item.digest, REJECTED if number == 3 else ACKNOWLEDGED)
    ledger.close()
    for _ in range(2):
        task = _checked(task)
        assert task.checked.settled is None
        result = deliver(task, StreamContext(clock, ScriptedCollector(clock)))
        assert (result.tally.rejected, result.tally.resumed) == (1, 39)


def _checked(task: Task) -> Task:
    checked = check(CheckTask(task.meter, Window(), ledger=task.ledger), None)
    return replace(task, checked=checked)


def test_a_run_sends_what_follows_the_settled_part(tmp_path: Path, clock: Clock) -> None:
    """It counts all rows, asks as ever, and settles what it sent."""
    collector = ScriptedCollector(clock)
    settled = []
    for count, expected in ((30, (30, 0)), (30, (0, 30)), (40, (10, 30)), (40, (0, 40))):
        task = _checked(task_of(tmp_path, LINES[:count]))
        settled.append(packets_of(task.checked))
        result = deliver(task, StreamContext(clock, collector))
        assert (result.state, result.verified, result.problem) == ("done", "yes", None)
        assert (result.tally.sent, result.tally.resumed) == expected
    assert settled[0] == 0
    assert 24 <= settled[1] == settled[2] < 30
    assert 34 <= settled[3] < 40


@pytest.mark.parametrize("is_last", [False, True])
def test_a_settled_row_that_is_altered_after_the_check_stops_the_stream(
    tmp_path: Path, clock: Clock, is_last: bool
) -> None:
    """The file is compared once more if its time of modification is another one."""
    stream = Stream(tmp_path, "a.csv", "b.csv").write(LINES[:10], LINES[10:30])
    stream.settle()
    stream.write(LINES[:10], LINES[10:])
    for path in stream.files:
        aged(path, 60)
    task = replace(stream.task, checked=stream.check())
    assert packets_of(task.checked) >= 24
    path = stream.files[is_last]
    text = path.read_text()
    with path.open("r+") as file:
        file.write(text[:20] + ("8" if text[20] != "8" else "9"))
    result = deliver(task, StreamContext(clock, ScriptedCollector(clock)))
    assert result.problem is not None
    assert result.problem.kind == "file changed"


def test_a_new_file_follows_the_settled_ones(tmp_path: Path) -> None:
    """A file a month: those of before are only compared."""
    stream = Stream(tmp_path, "1.csv", "2.csv").write(LINES[:10], LINES[10:20])
    stream.settle()
    third = written(tmp_path / "3.csv", "".join(f"{line}\n" for line in LINES[20:]))
    meter = meter_of(*stream.files, third)
    checked = stream.check(meter)
    assert packets_of(checked) >= 14
    assert without_state(checked) == without_state(stream.check(meter, is_full=True))


def test_an_earlier_file_that_grows_makes_all_rows_be_read(tmp_path: Path) -> None:
    """Its rows would come before some that the check has followed already."""
    stream = Stream(tmp_path, "1.csv", "2.csv").write(LINES[:10], LINES[20:30])
    stream.settle()
    stream.write([*LINES[:10], LINES[35]], LINES[20:30])
    checked = stream.check()
    assert checked.settled is None
    assert checked == stream.check(is_full=True)


def test_a_last_line_without_an_end_that_grows_is_another_line(tmp_path: Path) -> None:
    """The digests are of whole blocks, so that 21.5 is not read as settled 2."""
    stream = Stream(tmp_path, "1.csv", "2.csv")
    first, second = ("".join(f"{line}\n" for line in part) for part in (LINES[:10], LINES[10:]))
    written(stream.files[0], first[:-1])
    written(stream.files[1], second)
    stream.settle()
    assert packets_of(stream.check()) >= 34
    written(stream.files[0], first[:-1] + "9\n")
    assert stream.check().settled is None


# What a check tells, whatever the files are

_STARTS = {"UTC": "2023-06-01", "Europe/Dublin": "2023-10-28", "America/Chicago": "2023-11-04"}


@st.composite
def _growths(draw: st.DrawFn) -> tuple[dict[str, Any], list[tuple[int, int]], int, list[str]]:
    """Return rules, the numbers of lines in two files in each run, a block size, and lines."""
    zone = draw(st.sampled_from([*_STARTS]))
    minutes = draw(st.sampled_from([15, 30, 60]))
    lines = _local_rows(zone, minutes, 48 * 60 // minutes)
    rng = draw(st.randoms(use_true_random=False))
    rules: dict[str, Any] = {"timezone": zone}
    if draw(st.booleans()):
        rules |= {"shift": 900.0, "pad_first": draw(st.booleans())}
    if draw(st.booleans()):
        rules["empty_rows"] = "skip"
        lines = [line.split(",")[0] + "," if rng.random() < 0.1 else line for line in lines]
    if draw(st.booleans()):
        # Repeats and gaps, some of them near one another.
        lines = [line for line in lines for _ in range(rng.choice([1] * 12 + [0, 2]))]
    if draw(st.booleans()):
        for _ in range(4):
            place = rng.randrange(len(lines) - 1)
            lines[place : place + 2] = lines[place : place + 2][::-1]
    counts = sorted(draw(st.lists(st.integers(1, len(lines)), min_size=2, max_size=5)))
    split = draw(st.integers(1, counts[0]))
    return rules, [(split, count) for count in counts], draw(st.sampled_from([64, 150, 400])), lines


def _local_rows(zone: str, minutes: int, count: int) -> list[str]:
    start = datetime.fromisoformat(_STARTS[zone]).replace(tzinfo=UTC)
    times = (start + timedelta(minutes=minutes * number) for number in range(count))
    return [
        f"{time.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S},{number % 7}.{number % 3}"
        for number, time in enumerate(times)
    ]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(growth=_growths())
def test_a_check_tells_the_same_with_and_without_the_cache(
    growth: tuple[dict[str, Any], list[tuple[int, int]], int, list[str]],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Files grow from run to run, under many rules; two files may overlap in a line."""
    rules, runs, block, lines = growth
    monkeypatch.setattr("swarm.csv.file.BLOCK_BYTES", block)
    stream = Stream(tmp_path_factory.mktemp("grown"), "1.csv", "2.csv", **rules)
    for split, count in runs:
        stream.write(lines[:split], lines[split - 1 : count])
        checked, whole = stream.check(), stream.check(is_full=True)
        assert without_state(checked) == without_state(whole)
        task = replace(stream.task, checked=checked)
        rest = [item.row for item in items_from(task, task.unsettled_reader())]
        rest_of_all = [item.row for item in items_of(replace(task, checked=whole))]
        assert rest == rest_of_all[packets_of(checked) :]
        if checked.problems:
            return
        stream.settle()
