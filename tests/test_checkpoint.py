"""The checkpoint through the command: power cuts, damage, disks that are full or read-only."""

import os
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.checkpoint import ledger_format as fmt
from tests.bench import Bench, packets, rows
from tests.collector_server import Behaviour, Collector, Reply, Request

LINES = rows(30)


def ledger(bench: Bench, stream: str = "m") -> Path:
    """Return the ledger of a stream."""
    return next(bench.state.glob(f"checkpoints/*/{stream}.ledger"))


def sent(bench: Bench, collector: Collector, lines: list[str]) -> Path:
    """Send rows as stream ``m``; return the INI."""
    config = bench.ini(collector.url, {"m": bench.csv("m.csv", lines)})
    assert bench.run(config).code == 0
    return config


def cut(path: Path, records: int, odd: int = 0) -> None:
    """Take records, and some odd bytes, off a ledger's end."""
    size = path.stat().st_size - records * fmt.RECORD_BYTES - odd
    os.truncate(path, size)


def from_another_boot(path: Path) -> None:
    """Make a ledger look as a power cut leaves it: of an earlier boot, and not ended."""
    with path.open("r+b") as file:
        file.seek(fmt.IN_FLIGHT_AT)
        slot, _ = fmt.read_in_flight(path, file.read(fmt.IN_FLIGHT_BYTES))
        file.seek(fmt.IN_FLIGHT_AT)
        file.write(fmt.in_flight(slot._replace(boot=b"x" * 16, is_clean=False, synced=0)))


@pytest.mark.parametrize("records", [0, 1, 7, 30])
@pytest.mark.parametrize("odd", [0, 5])
def test_a_missing_end_needs_no_hand(
    bench: Bench, collector: Collector, records: int, odd: int
) -> None:
    """Records that are gone from the end are settled by one question, and nothing is sent again."""
    config = sent(bench, collector, LINES)
    cut(ledger(bench), min(records, 29 if odd else 30), odd)
    bench.csv("m.csv", rows(33))
    done = bench.run(config, "--json").balanced()
    assert (0, 3, 30) == (done.code, done.meters["m"]["sent"], done.meters["m"]["resumed"])
    assert done.meters["m"]["possible_duplicates"] == 0
    assert packets("m", rows(33)) == collector.packets("m")
    assert bench.run(config, "--json").balanced().meters["m"]["resumed"] == 33


@pytest.mark.parametrize("records", [0, 4, 30])
def test_a_power_cut_needs_no_hand(bench: Bench, collector: Collector, records: int) -> None:
    """After a power cut, the rows that were noted are settled by a question."""
    config = sent(bench, collector, LINES)
    cut(ledger(bench), records)
    from_another_boot(ledger(bench))
    bench.csv("m.csv", rows(33))
    done = bench.run(config, "--json").balanced()
    assert (0, 3, 30) == (done.code, done.meters["m"]["sent"], done.meters["m"]["resumed"])
    assert packets("m", rows(33)) == collector.packets("m")


def test_a_power_cut_leaves_zeros(bench: Bench, collector: Collector) -> None:
    """A tail of zeros, as some file systems leave it, is a torn end and not damage."""
    config = sent(bench, collector, LINES)
    path = ledger(bench)
    data = bytearray(path.read_bytes())
    data[-3 * fmt.RECORD_BYTES :] = bytes(3 * fmt.RECORD_BYTES)
    path.write_bytes(data)
    from_another_boot(path)
    done = bench.run(config, "--json").balanced()
    assert (0, 30) == (done.code, done.meters["m"]["resumed"])
    assert "torn end" in done.err
    assert packets("m", LINES) == collector.packets("m")


def damage_bit(path: Path) -> None:
    """Flip a bit in the middle."""
    data = bytearray(path.read_bytes())
    data[fmt.RECORDS_AT[2] + 10 * fmt.RECORD_BYTES + 3] ^= 4
    path.write_bytes(data)


def damage_zero(path: Path) -> None:
    """Fill the file with zeros."""
    path.write_bytes(bytes(path.stat().st_size))


def damage_empty(path: Path) -> None:
    """Empty the file."""
    path.write_bytes(b"")


def damage_version(path: Path) -> None:
    """Make it a newer version's."""
    data = bytearray(path.read_bytes())
    data[8] = fmt.VERSION + 1
    end = fmt.HEADER_BYTES - 4
    data[end : fmt.HEADER_BYTES] = zlib.crc32(data[:end]).to_bytes(4, "little")
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [damage_bit, damage_zero, damage_empty, damage_version])
def test_damage_is_never_taken_for_nothing_sent(
    bench: Bench, collector: Collector, damage: Callable[[Path], None]
) -> None:
    """A damaged checkpoint: exit 7, what to do, the file kept, nothing sent."""
    config = sent(bench, collector, LINES)
    damage(ledger(bench))
    kept = ledger(bench).read_bytes()
    bench.csv("m.csv", rows(33))
    done = bench.run(config, "--json").balanced()
    assert (7, "state") == (done.code, done.meters["m"]["problem"]["kind"])
    assert str(ledger(bench)) in done.err
    assert "--restart" in done.err or "newer" in done.err
    assert kept == ledger(bench).read_bytes()
    assert packets("m", LINES) == collector.packets("m")
    assert bench.run(config, "--restart").code == 0
    assert packets("m", LINES + rows(33)) == collector.packets("m")


def test_a_checkpoint_of_another_stream_is_damage(bench: Bench, collector: Collector) -> None:
    """A ledger that was copied to another stream's name is not believed."""
    config = bench.ini(collector.url, {name: bench.csv(f"{name}.csv", LINES) for name in "ab"})
    assert bench.run(config).code == 0
    ledger(bench, "b").write_bytes(ledger(bench, "a").read_bytes())
    assert bench.run(config).code == 7


def test_a_state_folder_that_is_none(bench: Bench, collector: Collector) -> None:
    """A state folder that can't be made: exit 7 before the first packet."""
    (bench.folder / "file").write_text("")
    config = bench.ini(
        collector.url,
        {"m": bench.csv("m.csv", LINES)},
        swarm={"state": str(bench.folder / "file" / "state")},
    )
    done = bench.run(config)
    assert (7, 1, []) == (done.code, done.err.count("state' under [swarm]"), collector.requests)


@pytest.fixture
def small_disk(bench: Bench) -> Path:
    """Return a state folder on a disk of 64 KiB."""
    bench.state.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(bench.state)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    return bench.state


def test_a_full_disk_stops_the_run(bench: Bench, small_disk: Path) -> None:
    """A disk that fills up: exit 7; with room again, the same command loses and repeats nothing."""

    def script(request: Request, _: Collector) -> Behaviour | None:
        if request.stream == "m" and b":99.95}" in request.body:
            (small_disk / "filler").write_bytes(b"x" * 40_000)
            with (small_disk / "filler").open("ab", buffering=0) as file:
                try:
                    while file.write(b"x" * 64):
                        pass
                except OSError:
                    return Reply(200)
        return None

    try:
        with Collector(script) as collector:
            lines = rows(600)
            config = bench.ini(collector.url, {"m": bench.csv("m.csv", lines)})
            done = bench.run(config, "--json").balanced()
            assert (7, "state") == (done.code, done.meters["m"]["problem"]["kind"])
            assert "No space left" in done.err or "disk is full" in done.err
            (small_disk / "filler").unlink()
            collector.script = None
            assert bench.run(config).code == 0
            assert packets("m", lines) == collector.packets("m")
    finally:
        subprocess.run(["umount", str(small_disk)], check=True)


_WATCHED_DISK = """
import os
def watched(name):
    action = getattr(os, name)
    def acted(fd, *arguments):
        result = action(fd, *arguments)
        with open({log!r}, "a") as log:
            log.write(f"{{name}} {{os.fstat(fd).st_ino}}\\n")
        return result
    return acted
os.fsync, os.pwrite = watched("fsync"), watched("pwrite")
"""


def test_a_run_ends_with_its_ledger_on_the_disk(bench: Bench, collector: Collector) -> None:
    """Nothing is written to the ledger after its last fsync; that is no fsync a packet."""
    log = bench.folder / "calls"
    env = bench.first(_WATCHED_DISK.format(log=str(log)))
    config = bench.ini(collector.url, {"m": bench.csv("m.csv", LINES)})
    assert bench.run(config, env=env).code == 0
    inode = str(ledger(bench).stat().st_ino)
    calls = [name for name, file in map(str.split, log.read_text().splitlines()) if file == inode]
    assert "fsync" == calls[-1]
    assert (True, True) == (calls.count("pwrite") > 2 * len(LINES), calls.count("fsync") <= 4)
