"""Mask secrets in text from other programs, also if they are escaped as in JSON, HTML or URLs.

The text is decoded in each of these ways, and each result is decoded once more. If a decoded text
contains a secret, the characters of the original text that it came from are masked.
"""

import html
import re
import sys
from collections.abc import Callable, Collection, Iterator
from typing import Final, NamedTuple

MASK: Final = "***"

#: How often escapes may be nested: an escaped escape is decoded, but not one that is escaped twice.
_LAYERS: Final = 2
_HEX: Final = "[0-9A-Fa-f]"
_LETTERED: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def mask_secrets(text: str, secrets: Collection[str]) -> str:
    """Return a text with each secret replaced by `MASK`, however it is escaped."""
    spans: list[tuple[int, int]] = []
    for reading in _readings(text):
        for secret in filter(None, secrets):
            index = reading.text.find(secret)
            while index >= 0:
                spans.append((reading.starts[index], reading.starts[index + len(secret)]))
                index = reading.text.find(secret, index + 1)
    parts, end = [], 0
    for start, stop in sorted(spans):
        if start >= end:
            parts += [text[end:start], MASK]
        end = max(end, stop)
    return "".join([*parts, text[end:]])


class _Reading(NamedTuple):
    """A decoded text; ``starts`` holds where each character, and the end, is in the original."""

    text: str
    starts: list[int]


def _readings(text: str) -> Iterator[_Reading]:
    """Yield a text as it is, and each different text that it may be an escaped form of."""
    known = {text}
    layer = [_Reading(text, list(range(len(text) + 1)))]
    yield from layer
    for _ in range(_LAYERS):
        previous, layer = layer, []
        for reading in previous:
            for escape, meaning in _ESCAPES:
                decoded = _decode(reading, escape, meaning)
                if decoded.text not in known:
                    known.add(decoded.text)
                    layer.append(decoded)
        yield from layer


def _decode(
    reading: _Reading, escape: re.Pattern[str], meaning: Callable[[re.Match[str]], str]
) -> _Reading:
    """Return a reading with every match of ``escape`` replaced by its meaning."""
    text, starts = reading
    parts: list[str] = []
    decoded_starts: list[int] = []
    end = 0
    for match in escape.finditer(text):
        characters = meaning(match)
        parts += [text[end : match.start()], characters]
        decoded_starts += starts[end : match.start()]
        decoded_starts += [starts[match.start()]] * len(characters)
        end = match.end()
    return _Reading("".join([*parts, text[end:]]), decoded_starts + starts[end:])


def _utf8(prefix: str) -> str:
    """Return a pattern for one character in UTF-8, with a prefix before the digits of each byte."""
    sizes = (("[0-7]", 0), ("[CDcd]", 1), ("[Ee]", 2), ("[Ff]", 3))
    more = f"(?:{prefix}[89ABab]{_HEX})"
    return "|".join(f"{prefix}{lead}{_HEX}{more}{{{count}}}" for lead, count in sizes)


def _from_bytes(match: re.Match[str]) -> str:
    """Return the character with these bytes, or the one after a backslash."""
    sign = match.groupdict().get("sign")
    if sign:
        return _LETTERED.get(sign, sign)
    data = bytes.fromhex("".join(re.findall(rf"[%x]({_HEX}{{2}})", match[0])))
    return data.decode("utf-8", "replace")


def _from_html(match: re.Match[str]) -> str:
    """Return the character of a character reference, by number or by name."""
    decimal, digits = match.group("decimal", "hex")
    code = int(decimal or digits or "-1", 16 if digits else 10)
    return chr(code) if 0 <= code <= sys.maxunicode else html.unescape(match[0])


def _from_string(match: re.Match[str]) -> str:
    """Return the character of an escape with a backslash, as in JSON and in source code."""
    high, low, code, sign = match.group("high", "low", "code", "sign")
    if high:
        return bytes.fromhex(high + low).decode("utf-16-be")
    if code:
        return chr(int(code.lstrip("uUx"), 16))
    return _LETTERED.get(sign, sign)


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
    (re.compile(_utf8(r"\\x") + r"|\\(?P<sign>[^x])", re.DOTALL), _from_bytes),
    (
        re.compile(
            rf"&(?:#(?P<decimal>[0-9]{{1,9}})|#[xX](?P<hex>{_HEX}{{1,8}})|[A-Za-z][A-Za-z0-9]{{1,31}});"
        ),
        _from_html,
    ),
    (re.compile(_utf8("%")), _from_bytes),
    (
        re.compile(rf"{_utf8('%')}|\+"),
        lambda match: " " if match[0] == "+" else _from_bytes(match),
    ),
    (re.compile(rf"%(?P<code>{_HEX}{{2}})"), lambda match: chr(int(match["code"], 16))),
)
