"""Files that are compressed, in an archive or in another encoding, from end to end."""

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.collector import Collector
from tests.support.workspace import Workspace, packets, rows

LINES = rows(12_000, minutes=1)


def zipped(text: str, name: str = "a.csv") -> bytes:
    """Return a zip with one file."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return data.getvalue()


KINDS: dict[str, tuple[str, str, Callable[[str], bytes]]] = {
    "gzip": ("a.csv.gz", "", lambda text: gzip.compress(text.encode())),
    "zip": ("a.zip", "", zipped),
    "UTF-16": ("a.csv", "", lambda text: text.encode("utf-16")),
    "UTF-16 in gzip": ("a.csv.gz", "", lambda text: gzip.compress(text.encode("utf-16"))),
    "EBCDIC": ("a.csv", "encoding = cp037", lambda text: text.encode("cp037")),
    "cp1252": ("a.csv", "encoding = cp1252", lambda text: text.encode("cp1252")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_grows(workspace: Workspace, collector: Collector, kind: str) -> None:
    """A first run, new rows in the last block, nothing new, and a value that was corrected."""
    name, option, made = KINDS[kind]
    path = workspace.folder / name
    rest = f"\n[meter:a]\n{option}\n" if option else ""
    config = workspace.ini(collector.url, {"a": name}, rest=rest)

    def run(lines: list[str], *options: str) -> tuple[int, int, int, int]:
        path.write_bytes(made("".join(f"{line}\n" for line in lines)))
        done = workspace.run(config, "--json", *options).balanced()
        meter = done.meters["a"]
        return done.code, meter["sent"], meter["resumed"], meter["late"]

    assert (0, 11_000, 0, 0) == run(LINES[:11_000])
    assert (0, 1000, 11_000, 0) == run(LINES)
    assert (0, 0, 12_000, 0) == run(LINES)
    assert (0, 0, 12_000, 0) == run(LINES, "--full-check")
    assert packets("a", LINES) == collector.packets("a")
    assert (3, 0, 11_999, 1) == run([f"{LINES[0]}9", *LINES[1:]])


def bad_zips(folder: Path) -> dict[str, str]:
    """Write zips that can't be read; return what is said of each."""
    two = folder / "two.zip"
    with zipfile.ZipFile(two, "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b/c.csv", "x")
    (folder / "none.zip").write_bytes(b"PK, but no zip")
    with zipfile.ZipFile(folder / "empty.zip", "w"):
        pass
    content = zipped("".join(f"{line}\n" for line in LINES))
    middle = len(content) // 2
    (folder / "bad.zip").write_bytes(
        content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
    )
    secret = bytearray(zipped("x\n"))
    # The bit of encryption, in both headers.
    secret[6] |= 1
    secret[secret.index(b"PK\1\2") + 8] |= 1
    (folder / "secret.zip").write_bytes(secret)
    return {
        "two.zip": f"a zip with several files: a.csv, b/c.csv; name one: {two}/a.csv",
        "two.zip/d.csv": "no such file in the zip: it has a.csv, b/c.csv",
        "none.zip": "a damaged or unknown zip file: File is not a zip file",
        "empty.zip": "no such file in the zip: it is empty",
        "bad.zip": "can't be read: a damaged zip file: ",
        "secret.zip": "an encrypted zip: expected one without a password",
        "no.zip": "no such file",
        "no.zip/a.csv": "no such file",
    }


@pytest.mark.measured
def test_zips_that_can_not_be_read(workspace: Workspace) -> None:
    """Each is a problem of its meter, in one line that names the file."""
    expected = bad_zips(workspace.folder)
    config = workspace.ini("sandbox", {f"m{number}": name for number, name in enumerate(expected)})
    done = workspace.run("check", config)
    assert 3 == done.code
    for name, text in expected.items():
        (line,) = [line for line in done.err.splitlines() if f"/{name}:1:1: " in line]
        assert text in line


def test_a_zip_that_is_replaced_during_a_run(workspace: Workspace, collector: Collector) -> None:
    """The meter stops, as with any other file; the next run goes on with the new one."""
    path = workspace.folder / "a.zip"
    text = "".join(f"{line}\n" for line in LINES[:300])
    path.write_bytes(zipped(text))
    config = workspace.ini(collector.url, {"a": "a.zip/a.csv"})
    process = workspace.start(config, "--rate-limit", "100", "--json")
    while len(collector.bodies("a")) < 20:
        assert process.poll() is None
    other = workspace.folder / "b.zip"
    other.write_bytes(zipped(text))
    other.replace(path)
    _, err = process.communicate(timeout=60)
    assert 3 == process.returncode
    assert "the file changed after it was checked: it was replaced by another file" in err
    assert 0 == workspace.run(config).code
    assert packets("a", LINES[:300]) == collector.packets("a")
