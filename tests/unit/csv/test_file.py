"""A CSV file as blocks, verified against its check, in constant memory."""

import gzip
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm.csv.file import (
    BLOCK_BYTES,
    LONGEST_LINE,
    NOTHING,
    SETTLED_AFTER,
    Block,
    CsvFile,
    Fingerprint,
    VerifiedFile,
)
from swarm.errors import FileChangedError
from tests.support.meters import aged, written

LINES = b"".join(b"%06d,some cells of a line\n" % n for n in range(10_000))
COUNT = LINES.count(b"\n")


def checked(path: Path) -> Fingerprint:
    """Return the fingerprint of a file, as a check makes it."""
    file = CsvFile(path)
    for _ in file.blocks():
        pass
    return file.fingerprint()


def read(path: Path, known: Fingerprint) -> bytes:
    """Return the data that are sent of a checked file."""
    return b"".join(block.data for block in VerifiedFile(path, known).blocks())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a file of several blocks."""
    assert len(LINES) > 3 * BLOCK_BYTES
    return written(tmp_path / "m.csv", LINES)


def compressed(path: Path) -> Path:
    """Return the same file as gzip, in the same folder."""
    return written(path.with_suffix(".csv.gz"), gzip.compress(path.read_bytes()))


@pytest.mark.parametrize("form", [Path, compressed], ids=["plain", "gzip"])
def test_blocks_are_whole_lines_with_their_number(path: Path, form: Callable[[Path], Path]) -> None:
    """No data are lost between blocks, and no line is cut."""
    blocks = list(CsvFile(form(path)).blocks())
    assert b"".join(block.data for block in blocks) == LINES
    for block in blocks:
        assert len(block.data) <= BLOCK_BYTES + 100
        assert block.data.endswith(b"\n")
        assert block.data.startswith(b"%06d" % (block.line - 1))


def test_a_byte_order_mark_is_removed_only_at_the_beginning(tmp_path: Path) -> None:
    """In other places it is a character of a cell."""
    path = written(tmp_path / "m.csv", b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n")
    (block,) = CsvFile(path).blocks()
    assert block.data == b"a\n\xef\xbb\xbfb\n"
    assert read(path, checked(path)) == b"a\n\xef\xbb\xbfb\n"


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "m.GZ"])
@pytest.mark.parametrize(
    ("content", "age", "found"),
    [
        (b"a\nb", 0.0, b"a\n"),
        (b"a\nb", SETTLED_AFTER - 2, b"a\n"),
        (b"a\nb", SETTLED_AFTER + 1, b"a\nb"),
        (b"a\nb\n", 0.0, b"a\nb\n"),
        (b"b", 0.0, b""),
        (LINES + b"b", 0.0, LINES),
    ],
)
def test_a_young_last_line_without_a_newline_is_held_back(
    name: str, content: bytes, age: float, found: bytes, tmp_path: Path
) -> None:
    """It may still be being written; a file not modified for some time is complete."""
    data = gzip.compress(content) if name.lower().endswith("gz") else content
    file = CsvFile(written(tmp_path / name, data, age))
    assert b"".join(block.data for block in file.blocks()) == found
    assert file.held_back == (found != content)
    assert read(file.path, file.fingerprint()) == found


def test_a_file_that_grows_while_it_is_checked_is_read_to_its_old_end(path: Path) -> None:
    """Blocks must end at the same places when the file is sent."""
    file = CsvFile(path)
    blocks = file.blocks()
    found = [next(blocks).data]
    with path.open("ab") as end:
        end.write(b"more" * BLOCK_BYTES)
    found += [block.data for block in blocks]
    assert b"".join(found) == LINES
    assert read(path, file.fingerprint()) == LINES


def test_an_incomplete_line_of_a_growing_file_is_not_read_as_two(tmp_path: Path) -> None:
    """The whole line is left to the next run, also if the rest comes during the check."""
    path = written(tmp_path / "m.csv", b"a\n12", age=0)
    file = CsvFile(path)
    blocks = file.blocks()
    assert next(blocks).data == b"a\n"
    with path.open("ab") as end:
        end.write(b"34\nb\n")
    assert list(blocks) == []
    assert file.held_back
    assert read(path, file.fingerprint()) == b"a\n"


def test_a_file_that_can_not_be_read_has_an_empty_fingerprint(tmp_path: Path) -> None:
    """Here, a file that does not exist."""
    file = CsvFile(tmp_path / "no.csv")
    with pytest.raises(FileNotFoundError):
        list(file.blocks())
    assert file.fingerprint() is NOTHING


@pytest.mark.parametrize("form", [Path, compressed], ids=["plain", "gzip"])
def test_rows_appended_after_the_check_wait(path: Path, form: Callable[[Path], Path]) -> None:
    """Only the part that was checked is read; the file does not count as changed."""
    path = form(path)
    known = checked(path)
    more = b"more\n" if path.suffix == ".csv" else gzip.compress(b"more\n")
    with path.open("ab") as end:
        end.write(more)
    assert read(path, known) == LINES
    assert checked(path).size == len(LINES) + 5


def test_a_last_line_without_newline_may_get_one(tmp_path: Path) -> None:
    """The row is the same; a row after it is left to the next run."""
    for end in (b"\n", b"\r\n", b"\nc\n"):
        path = written(tmp_path / "m.csv", b"a\nb")
        known = checked(path)
        path.write_bytes(b"a\nb" + end)
        assert read(path, known) == b"a\nb"


def test_a_last_line_that_grows_is_a_change(tmp_path: Path) -> None:
    """'12' was checked, and '123' is another value."""
    path = written(tmp_path / "m.csv", b"a,1\nb,12")
    known = checked(path)
    with path.open("ab") as end:
        end.write(b"3\n")
    with pytest.raises(FileChangedError, match="its last line has become longer"):
        read(path, known)


def shorten(path: Path) -> None:
    """Cut the end of the last line off."""
    os.truncate(path, path.stat().st_size - 10)


def shorten_by_a_block(path: Path) -> None:
    """Cut everything off but the first block."""
    os.truncate(path, len(next(CsvFile(path).blocks()).data))


def alter_first(path: Path) -> None:
    """Overwrite the first digit."""
    with path.open("r+b") as file:
        file.write(b"9")


def alter_last(path: Path) -> None:
    """Overwrite the last letter."""
    with path.open("r+b") as file:
        file.seek(-2, os.SEEK_END)
        file.write(b"X")


def replace(path: Path) -> None:
    """Replace the file by a copy."""
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


def empty(path: Path) -> None:
    """Truncate the file to nothing."""
    path.write_bytes(b"")


CHANGES: list[Callable[[Path], None]] = [
    *(shorten, shorten_by_a_block, alter_first, alter_last, replace, empty, Path.unlink)
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_changed_before_it_is_sent_is_an_error(
    path: Path, change: Callable[[Path], None]
) -> None:
    """Replaced, shortened, altered or deleted: the error names the file."""
    known = checked(path)
    change(path)
    with pytest.raises(FileChangedError, match=r"m\.csv: the file changed after it was checked"):
        read(path, known)


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_changed_while_it_is_sent_is_an_error_at_its_end(
    path: Path, change: Callable[[Path], None]
) -> None:
    """Also if the change is in rows that were already sent."""
    known = checked(path)
    blocks = VerifiedFile(path, known).blocks()
    next(blocks)
    change(path)
    aged(path, 5) if path.exists() else None
    with pytest.raises(FileChangedError):
        list(blocks)


@pytest.mark.parametrize("change", [c for c in CHANGES if c not in {alter_first, alter_last}])
def test_watch_detects_a_change(path: Path, change: Callable[[Path], None]) -> None:
    """Between two blocks, without reading the whole file."""
    known = checked(path)
    file = VerifiedFile(path, known)
    blocks = file.blocks()
    next(blocks)
    file.watch()
    change(path)
    with pytest.raises(FileChangedError):
        file.watch()


def _touched(path: Path, change: Callable[[Path], None]) -> None:
    before = path.stat().st_mtime
    change(path)
    os.utime(path, (before + 1, before + 1))


def test_watch_compares_the_newest_block(path: Path) -> None:
    """Its rows are being sent; later blocks are compared when they are read."""
    file = VerifiedFile(path, checked(path))
    blocks = file.blocks()
    next(blocks)
    _touched(path, alter_last)
    file.watch()
    _touched(path, alter_first)
    with pytest.raises(FileChangedError, match="altered"):
        file.watch()


def test_watch_accepts_growth_and_a_touch(path: Path) -> None:
    """The files of meters grow while they are sent."""

    def grow(path: Path) -> None:
        with path.open("ab") as end:
            end.write(b"more\n")

    file = VerifiedFile(path, checked(path))
    blocks = file.blocks()
    data = next(blocks).data
    for change in (Path.touch, grow):
        _touched(path, change)
        file.watch()
    data += b"".join(block.data for block in blocks)
    file.watch()
    assert data == LINES


def test_watch_compares_all_blocks_of_a_file_read_to_its_end(path: Path) -> None:
    """Sorted rows are sent long after the file was read."""
    file = VerifiedFile(path, checked(path))
    list(file.blocks())
    _touched(path, alter_first)
    with pytest.raises(FileChangedError, match="altered"):
        file.watch()


def test_watch_before_the_first_block_compares_no_data(path: Path) -> None:
    """A stream may call `watch` as soon as it has a reader."""
    VerifiedFile(path, checked(path)).watch()


def test_a_gzip_file_cut_at_the_end_of_a_block_is_shorter(path: Path) -> None:
    """The blocks that are there are those that were checked, but the others are missing."""
    path = compressed(path)
    known = checked(path)
    path.write_bytes(gzip.compress(next(CsvFile(path).blocks()).data))
    with pytest.raises(FileChangedError, match="shorter"):
        read(path, known)


def test_a_gzip_file_with_other_rows_is_an_error(path: Path) -> None:
    """It was compressed again in place, with the same inode."""
    path = compressed(path)
    known = checked(path)
    for content in (LINES[:-10], LINES.replace(b"some", b"more")):
        path.write_bytes(gzip.compress(content))
        with pytest.raises(FileChangedError):
            read(path, known)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(FileChangedError, match=r"altered|gzip"):
        read(path, known)


def peak_of(run: Callable[[], object]) -> int:
    """Return the peak of the memory (bytes) that Python allocates during a call."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    aged(path, 60)
    return path


def test_an_endless_line_does_not_fill_the_memory(tmp_path: Path) -> None:
    """A file of zeros is a single line; only its beginning is kept."""
    path = _sparse(tmp_path / "m.csv", 64 * LONGEST_LINE)
    sizes: list[int] = []
    peak = peak_of(lambda: sizes.extend(len(block.data) for block in CsvFile(path).blocks()))
    assert sizes == [BLOCK_BYTES + LONGEST_LINE]
    assert peak < 6 * LONGEST_LINE


def test_lines_after_one_that_is_too_long_keep_their_numbers(tmp_path: Path) -> None:
    """The rest of the long line is skipped."""
    path = written(tmp_path / "m.csv", b"a\n" + b"x" * 3 * LONGEST_LINE + b"\n" + LINES)
    blocks: Iterator[Block] = CsvFile(path).blocks()
    assert next(blocks).data.count(b"\n") == 2
    following = next(blocks)
    assert (following.line, following.data[:6]) == (3, b"000000")


def test_an_endless_compressed_line_does_not_fill_the_memory(tmp_path: Path) -> None:
    """A gzip file can be a thousand times larger when it is uncompressed."""
    path = written(tmp_path / "m.csv.gz", gzip.compress(b"\0" * 64 * LONGEST_LINE))
    assert peak_of(lambda: list(CsvFile(path).blocks())) < 6 * LONGEST_LINE
