"""Masks secrets in what others say, however they escape them: as JSON, as HTML, as in a URL.

A text is read in each of these ways, and what came of it in each of them again; where a secret is
found in one of the readings, the letters that it was read from are masked.
"""

import html
import re
import sys
from collections.abc import Callable, Collection, Iterator
from typing import Final, NamedTuple

MASK: Final = "***"

#: An escape that is escaped itself is seen through, one layer more is not.
_LAYERS: Final = 2
_HEX: Final = "[0-9A-Fa-f]"
_LETTERED: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def mask_secrets(text: str, secrets: Collection[str]) -> str:
    """Return a text without the secrets, in whatever spelling they stand there."""
    wanted = [secret for secret in secrets if secret]
    spans = [span for reading in _readings(text) for span in _spans(reading, wanted)]
    parts, end = [], 0
    for start, stop in sorted(spans):
        if start >= end:
            parts += [text[end:start], MASK]
        end = max(end, stop)
    return "".join([*parts, text[end:]])


class _Reading(NamedTuple):
    """A text that was read from another; ``places`` has where in that each letter begins."""

    text: str
    places: list[int]


def _readings(text: str) -> Iterator[_Reading]:
    """Yield a text as it stands, and as all that it may be an escaped form of."""
    known = {text}
    layer = [_Reading(text, list(range(len(text) + 1)))]
    yield from layer
    for _ in range(_LAYERS):
        below, layer = layer, []
        for reading in below:
            for escape, meaning in _ESCAPES:
                found = _read(reading, escape, meaning)
                if found.text not in known:
                    known.add(found.text)
                    layer.append(found)
        yield from layer


def _read(
    reading: _Reading, escape: re.Pattern[str], meaning: Callable[[re.Match[str]], str]
) -> _Reading:
    text, places = reading
    parts: list[str] = []
    starts: list[int] = []
    end = 0
    for match in escape.finditer(text):
        letters = meaning(match)
        parts += [text[end : match.start()], letters]
        starts += places[end : match.start()]
        starts += [places[match.start()]] * len(letters)
        end = match.end()
    return _Reading("".join([*parts, text[end:]]), starts + places[end:])


def _spans(reading: _Reading, secrets: Collection[str]) -> Iterator[tuple[int, int]]:
    """Yield where in the original text secrets stand."""
    for secret in secrets:
        at = reading.text.find(secret)
        while at >= 0:
            yield reading.places[at], reading.places[at + len(secret)]
            at = reading.text.find(secret, at + 1)


def _utf8(mark: str) -> str:
    """Return a pattern for one letter as UTF-8, each byte behind a mark."""
    sizes = (("[0-7]", 0), ("[CDcd]", 1), ("[Ee]", 2), ("[Ff]", 3))
    more = f"(?:{mark}[89ABab]{_HEX})"
    return "|".join(f"{mark}{lead}{_HEX}{more}{{{count}}}" for lead, count in sizes)


def _from_bytes(match: re.Match[str]) -> str:
    data = bytes.fromhex("".join(re.findall(rf"[%x]({_HEX}{{2}})", match[0])))
    return data.decode("utf-8", "replace")


def _from_url(match: re.Match[str]) -> str:
    return " " if match[0] == "+" else _from_bytes(match)


def _from_html(match: re.Match[str]) -> str:
    decimal, digits = match.group("decimal", "hex")
    code = int(decimal or digits or "-1", 16 if digits else 10)
    return chr(code) if 0 <= code <= sys.maxunicode else html.unescape(match[0])


def _from_string(match: re.Match[str]) -> str:
    """Return what a backslash stands for in JSON and in programs."""
    high, low, code, sign = match.group("high", "low", "code", "sign")
    if high:
        return bytes.fromhex(high + low).decode("utf-16-be")
    if code:
        return chr(int(code.lstrip("uUx"), 16))
    return _LETTERED.get(sign, sign)


def _from_byte_string(match: re.Match[str]) -> str:
    return _LETTERED.get(match["sign"], match["sign"]) if match["sign"] else _from_bytes(match)


_ESCAPES: Final = (
    (
        re.compile(
            rf"\\u(?P<high>[dD][89ABab]{_HEX}{{2}})\\u(?P<low>[dD][C-Fc-f]{_HEX}{{2}})"
            rf"|\\(?P<code>u{_HEX}{{4}}|U000{_HEX}{{5}}|U0010{_HEX}{{4}}|x{_HEX}{{2}})"
            r"|\\(?P<sign>[^uUx])",
            re.DOTALL,
        ),
        _from_string,
    ),
    (re.compile(_utf8(r"\\x") + r"|\\(?P<sign>[^x])", re.DOTALL), _from_byte_string),
    (
        re.compile(
            rf"&(?:#(?P<decimal>[0-9]{{1,9}})|#[xX](?P<hex>{_HEX}{{1,8}})|[A-Za-z][A-Za-z0-9]{{1,31}});"
        ),
        _from_html,
    ),
    (re.compile(_utf8("%")), _from_url),
    (re.compile(rf"{_utf8('%')}|\+"), _from_url),
    (re.compile(rf"%(?P<code>{_HEX}{{2}})"), lambda match: chr(int(match["code"], 16))),
)
