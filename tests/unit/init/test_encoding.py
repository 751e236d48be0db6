"""Tests of `swarm.init.encoding`: the encoding of a file from its first part."""

import pytest

from swarm.errors import GuessError
from swarm.init.encoding import encoding_of

WESTERN = "Z\u00e4hler;Gr\u00f6\u00dfe m\u00b3\n31.01.2023;1,5\n"
CZECH = "Čas;Spotřeba;Počet měření za měsíc\n" * 4
GREEK = "Ημερομηνία;Κατανάλωση ενέργειας\n" * 4
JAPANESE = "日時,使用電力量(kWh),計測値\n" * 4


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Time,kWh\n", "utf-8"),
        (WESTERN, "utf-8"),
        (WESTERN, "cp1252"),
        ("Preis \u20ac\n", "cp1252"),
        (WESTERN, "utf-16-le"),
        (WESTERN, "utf-16-be"),
        (GREEK, "cp1253"),
        (JAPANESE, "cp932"),
        (CZECH, "cp1250"),
    ],
)
def test_the_encoding_of_a_text(text: str, encoding: str) -> None:
    """The text is read as it was written, also if the part ends inside a character."""
    data = text.encode(encoding)
    found = encoding_of(data)
    assert text == data.decode(found.name)
    if encoding.startswith("utf"):
        assert (encoding, "") == found
        assert encoding == encoding_of(data[:-1] if encoding == "utf-8" else data).name


def test_other_encodings_are_to_be_checked() -> None:
    """The doubt has the number and the text of a line that shows the encoding."""
    found = encoding_of(b"a;b\r\n" + WESTERN.encode("cp1252"))
    assert "cp1252" == found.name
    assert found.doubt.endswith("is this the text of line 2? 'Z\u00e4hler;Gr\u00f6\u00dfe m\u00b3'")


@pytest.mark.parametrize("data", [b"1,2\0\n", b"\0\0\0", b"\0" + b"abc" * 9, b"a\0\0\0b\0\0\0"])
def test_nul_bytes(data: bytes) -> None:
    """NUL bytes that are not of UTF-16 are refused."""
    with pytest.raises(GuessError, match="NUL"):
        encoding_of(data)


def test_bytes_that_are_no_text() -> None:
    """Any bytes have an encoding that Python can decode them with."""
    data = bytes(range(1, 256))
    assert data.decode(encoding_of(data).name, "replace")
