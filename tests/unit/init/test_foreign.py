"""Tests of `swarm.init.foreign`: files that are no CSV."""

import gzip
import io
import zipfile

import pytest

from swarm.errors import GuessError
from swarm.init.foreign import refuse


def zipped(*names: str) -> bytes:
    """Return a zip with empty members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "workbook, not a CSV: open it in a"),
        (zipped("a.csv"), "a zip file without .zip"),
        (gzip.compress(b"a", mtime=0), "a gzip file without .gz"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", r"an Excel workbook \(xls\)"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>', "XML, such as Green Button XML"),
        (b"\r\n<HTML><table>", r"a web page \(HTML\)"),
        (b"<!DOCTYPE html>", r"a web page \(HTML\)"),
        (b"<Readings>", "XML, not a CSV"),
        (b"%PDF-1.7", "a PDF, not a CSV"),
        (b'{"readings": []}', "JSON, not a CSV"),
        (b'[{"time": 1}]', "JSON, not a CSV"),
    ],
)
def test_kinds(data: bytes, message: str) -> None:
    """The message names the kind, and what to do."""
    with pytest.raises(GuessError, match=message):
        refuse(data)


@pytest.mark.parametrize("data", [b"", b"Time,kWh\n", b"2023-01-31,1", b"[Header]\n", b"\xff\xfe"])
def test_what_may_be_a_csv(data: bytes) -> None:
    """All else is not refused."""
    refuse(data)
