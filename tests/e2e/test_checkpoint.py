"""The checkpoint through the command: power cuts, damage, and full or read-only disks."""

import os
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.checkpoint import ledger_format as fmt
from tests.support.collector import Behaviour, Collector, Reply, Request
from tests.support.workspace import Workspace, packets, rows

LINES = rows(30)


def ledger(workspace: Workspace, stream: str = "m") -> Path:
    """Return the ledger of a stream."""
    return next(workspace.state.glob(f"checkpoints/*/{stream}.ledger"))


def sent(workspace: Workspace, collector: Collector, lines: list[str]) -> Path:
    """Send rows as stream ``m``; return the INI."""
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", lines)})
    assert workspace.run(config).code == 0
    return config


def cut(path: Path, records: int, odd: int = 0) -> None:
    """Remove records, and some odd bytes, from the end of a ledger."""
    size = path.stat().st_size - records * fmt.RECORD_BYTES - odd
    os.truncate(path, size)


def from_another_boot(path: Path) -> None:
    """Make a ledger look as after a power cut: from an earlier boot, and not closed cleanly."""
    with path.open("r+b") as file:
        file.seek(fmt.IN_FLIGHT_AT)
        slot, _ = fmt.read_in_flight(path, file.read(fmt.IN_FLIGHT_BYTES))
        file.seek(fmt.IN_FLIGHT_AT)
        file.write(fmt.in_flight(slot._replace(boot=b"x" * 16, is_clean=False, synced=0)))


@pytest.mark.parametrize("records", [0, 1, 7, 30])
@pytest.mark.parametrize("odd", [0, 5])
def test_a_missing_end_needs_no_hand(
    workspace: Workspace, collector: Collector, records: int, odd: int
) -> None:
    """Records missing at the end are settled by one request, and nothing is sent again."""
    config = sent(workspace, collector, LINES)
    cut(ledger(workspace), min(records, 29 if odd else 30), odd)
    workspace.csv("m.csv", rows(33))
    done = workspace.run(config, "--json").balanced()
    assert (0, 3, 30) == (done.code, done.meters["m"]["sent"], done.meters["m"]["resumed"])
    assert done.meters["m"]["possible_duplicates"] == 0
    assert packets("m", rows(33)) == collector.packets("m")
    assert workspace.run(config, "--json").balanced().meters["m"]["resumed"] == 33


@pytest.mark.parametrize("records", [0, 4, 30])
def test_a_power_cut_needs_no_hand(
    workspace: Workspace, collector: Collector, records: int
) -> None:
    """After a power cut, one request settles the rows that were noted."""
    config = sent(workspace, collector, LINES)
    cut(ledger(workspace), records)
    from_another_boot(ledger(workspace))
    workspace.csv("m.csv", rows(33))
    done = workspace.run(config, "--json").balanced()
    assert (0, 3, 30) == (done.code, done.meters["m"]["sent"], done.meters["m"]["resumed"])
    assert packets("m", rows(33)) == collector.packets("m")


def test_a_power_cut_leaves_zeros(workspace: Workspace, collector: Collector) -> None:
    """A tail of zeros, as some file systems leave it, is a torn end and not damage."""
    config = sent(workspace, collector, LINES)
    path = ledger(workspace)
    data = bytearray(path.read_bytes())
    data[-3 * fmt.RECORD_BYTES :] = bytes(3 * fmt.RECORD_BYTES)
    path.write_bytes(data)
    from_another_boot(path)
    done = workspace.run(config, "--json").balanced()
    assert (0, 30) == (done.code, done.meters["m"]["resumed"])
    assert "incomplete record" in done.err
    assert packets("m", LINES) == collector.packets("m")


def damage_bit(path: Path) -> None:
    """Flip a bit in the middle of the file."""
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
    """Mark the file as written by a newer version."""
    data = bytearray(path.read_bytes())
    data[8] = fmt.VERSION + 1
    end = fmt.HEADER_BYTES - 4
    data[end : fmt.HEADER_BYTES] = zlib.crc32(data[:end]).to_bytes(4, "little")
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [damage_bit, damage_zero, damage_empty, damage_version])
def test_damage_is_never_taken_for_nothing_sent(
    workspace: Workspace, collector: Collector, damage: Callable[[Path], None]
) -> None:
    """A damaged checkpoint gives exit 7 and advice; the file is kept and nothing is sent."""
    config = sent(workspace, collector, LINES)
    damage(ledger(workspace))
    kept = ledger(workspace).read_bytes()
    workspace.csv("m.csv", rows(33))
    done = workspace.run(config, "--json").balanced()
    assert (7, "state") == (done.code, done.meters["m"]["problem"]["kind"])
    assert str(ledger(workspace)) in done.err
    assert "--restart" in done.err or "newer" in done.err
    assert kept == ledger(workspace).read_bytes()
    assert packets("m", LINES) == collector.packets("m")
    assert workspace.run(config, "--restart").code == 0
    assert packets("m", LINES + rows(33)) == collector.packets("m")


def test_a_checkpoint_of_another_stream_is_damage(
    workspace: Workspace, collector: Collector
) -> None:
    """A ledger that was copied to another stream's name is refused."""
    config = workspace.ini(
        collector.url, {name: workspace.csv(f"{name}.csv", LINES) for name in "ab"}
    )
    assert workspace.run(config).code == 0
    ledger(workspace, "b").write_bytes(ledger(workspace, "a").read_bytes())
    assert workspace.run(config).code == 7


def test_a_state_folder_that_is_none(workspace: Workspace, collector: Collector) -> None:
    """A state folder that can't be created gives exit 7 before the first packet."""
    (workspace.folder / "file").write_text("")
    config = workspace.ini(
        collector.url,
        {"m": workspace.csv("m.csv", LINES)},
        swarm={"state": str(workspace.folder / "file" / "state")},
    )
    done = workspace.run(config)
    assert (7, 1, []) == (done.code, done.err.count("state' under [swarm]"), collector.requests)


@pytest.fixture
def small_disk(workspace: Workspace) -> Path:
    """Return a state folder on a disk of 64 KiB."""
    workspace.state.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(workspace.state)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    return workspace.state


def test_a_full_disk_stops_the_run(workspace: Workspace, small_disk: Path) -> None:
    """A full disk gives exit 7; with space again, the same command loses and repeats nothing."""

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
            config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", lines)})
            done = workspace.run(config, "--json").balanced()
            assert (7, "state") == (done.code, done.meters["m"]["problem"]["kind"])
            assert "No space left" in done.err or "disk is full" in done.err
            (small_disk / "filler").unlink()
            collector.script = None
            assert workspace.run(config).code == 0
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
for name in ("fsync", "pwrite", "ftruncate"):
    setattr(os, name, watched(name))
"""


def test_a_run_ends_with_its_ledger_on_the_disk(workspace: Workspace, collector: Collector) -> None:
    """Nothing is written to the ledger after its last fsync; a packet has one write, no fsync."""
    log = workspace.folder / "calls"
    env = workspace.first(_WATCHED_DISK.format(log=str(log)))
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", LINES)})
    assert workspace.run(config, env=env).code == 0
    inode = str(ledger(workspace).stat().st_ino)
    calls = [name for name, file in map(str.split, log.read_text().splitlines()) if file == inode]
    assert "fsync" == calls[-1]
    writes = calls.count("pwrite")
    assert (True, True) == (len(LINES) < writes < 2 * len(LINES), calls.count("fsync") <= 4)
