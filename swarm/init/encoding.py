"""Guess the encoding of a CSV from its first part."""

import codecs
from contextlib import suppress
from typing import NamedTuple

from swarm.csv.source import UTF8
from swarm.errors import GuessError
from swarm.text import quoted

#: The encodings of most files that are not UTF-8, the likeliest first.
_WINDOWS = "cp1252"
_CANDIDATES = (
    _WINDOWS, "cp1250", "cp1251", "cp1253", "cp1254", "cp850", "cp852", "iso8859_2",
    "iso8859_15", "mac_roman", "cp932", "gb18030", "big5", "cp949",
)  # fmt: skip
#: Letters beyond ASCII: German, French, Spanish, Portuguese, Italian, and the Nordic languages.
_LETTERS = tuple(
    frozenset(letters + letters.upper())
    for letters in ("äöüß", "éèêëàâçîïôùûœ", "áéíóúñü", "áàâãçéêíóôõú", "àèéìòù", "åäöæøé")
)
#: The signs beside letters that names of columns have.
_SIGNS = frozenset(
    "\N{DEGREE SIGN}\N{SUPERSCRIPT TWO}\N{SUPERSCRIPT THREE}\N{EURO SIGN}\N{MICRO SIGN}"
    "\N{POUND SIGN}\N{SECTION SIGN}\N{EN DASH}\N{MIDDLE DOT}\N{PLUS-MINUS SIGN}"
    "\N{RIGHT SINGLE QUOTATION MARK}\N{NO-BREAK SPACE}"
)
#: Of every two bytes of UTF-16 text, one is mostly NUL: at least in this share of them.
_NULS = 0.6
#: The number of lines that the guess is made from.
_LINES = 200


class Encoding(NamedTuple):
    """The name of an encoding; ``doubt`` says what the user should check, if anything."""

    name: str
    doubt: str = ""


def encoding_of(data: bytes) -> Encoding:
    """Return the encoding of the first part of a file; raises `GuessError` for NUL bytes.

    The end of the part may be in the middle of a character.
    """
    if b"\0" in data:
        return Encoding(_utf16(data))
    with suppress(UnicodeDecodeError):
        codecs.getincrementaldecoder(UTF8)().decode(data)
        return Encoding(UTF8)
    lines = data.split(b"\n")
    number, shown = next((n, line) for n, line in enumerate(lines, 1) if not line.isascii())
    odd = list(dict.fromkeys(line for line in lines if not line.isascii()))[:_LINES]
    name = _named(b"\n".join(odd))
    text = shown.decode(name, "replace").strip()
    return Encoding(
        name, f"the file is not UTF-8: is this the text of line {number}? {quoted(text)}"
    )


def _utf16(data: bytes) -> str:
    """Return the kind of UTF-16 of text with NUL bytes; raises `GuessError`."""
    for name, start in (("utf-16-le", 1), ("utf-16-be", 0)):
        high = data[start::2]
        if high and high.count(0) >= _NULS * len(high):
            with suppress(UnicodeDecodeError):
                text = codecs.getincrementaldecoder(name)().decode(data)
                if "\0" not in text:
                    return name
    raise GuessError("a file with NUL bytes: expected text in UTF-8")


def _named(data: bytes) -> str:
    """Return the likeliest encoding of lines that are not UTF-8."""
    with suppress(UnicodeDecodeError):
        others = {c for c in data.decode(_WINDOWS) if not c.isascii()} - _SIGNS
        if any(others <= letters for letters in _LETTERS):
            return _WINDOWS
    from charset_normalizer import from_bytes

    best = from_bytes(data, cp_isolation=list(_CANDIDATES)).best()
    return codecs.lookup(best.encoding if best else "latin-1").name
