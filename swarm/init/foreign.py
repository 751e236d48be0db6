"""Refuse files that are no CSV, by their first bytes, and say how to make a CSV of them."""

from swarm.errors import GuessError

_SAVE = "open it in a spreadsheet program and save the sheet as 'CSV UTF-8'"
_EXPORT = "export the readings as CSV, or convert them"
_ZIP = b"PK\x03\x04"
#: The first bytes of a file, its kind, and the advice for it.
_KINDS = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (xls)", _SAVE),
    (b"\x1f\x8b", "a gzip file without .gz at the end of its name", "rename it"),
    (b"%PDF", "a PDF", _EXPORT),
    (b"<?xml", "XML, such as Green Button XML", _EXPORT),
    (b"<feed", "XML, such as Green Button XML", _EXPORT),
    (b"<!doctype html", "a web page (HTML)", _SAVE),
    (b"<html", "a web page (HTML)", _SAVE),
    (b"<table", "a web page (HTML)", _SAVE),
    (b"<", "XML", _EXPORT),
    (b"{", "JSON", _EXPORT),
    (b"[{", "JSON", _EXPORT),
    (b"PAR1", "a Parquet file", _EXPORT),
    (b"SQLite format 3\0", "an SQLite database", _EXPORT),
)
#: Folders of the members of a zip that is a workbook.
_WORKBOOK = (b"xl/", b"[Content_Types].xml", b"docProps/")
_SHEETS = b"application/vnd.oasis.opendocument.spreadsheet"


def refuse(data: bytes) -> None:
    """Raise `GuessError` if the first bytes of a file show that it is no CSV."""
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:32].lower()
    if data.startswith(_ZIP):
        head = data[:65536]
        if _SHEETS in head or any(b"PK\x03\x04" in head and name in head for name in _WORKBOOK):
            raise GuessError(f"an Excel or OpenDocument workbook, not a CSV: {_SAVE}")
        raise GuessError("a zip file without .zip at the end of its name: rename it")
    for magic, kind, advice in _KINDS:
        if start.startswith(magic.lower()):
            raise GuessError(f"{kind}, not a CSV: {advice}")
