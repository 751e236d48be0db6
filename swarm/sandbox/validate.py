"""The API's rules for one POST: the result is a parsed packet, or the rule that it breaks.

Source: "The packet" in docs/reference.md. Nothing here uses the network, the clock or a file. The
rules are stricter than a collector needs, so that a rehearsal finds what production might refuse.
"""

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, NoReturn

from swarm.packet import REGISTERS, VALUE

#: The paths of the API's routes; they differ in the last segment.
PATH: Final = "/measurements/v2/unifiedjson/"
UTC_PATH: Final = "/measurements/v2/unifiedjson_utc/"
PARTIAL_PATH: Final = "/measurements/v2/unifiedjson_partial/"

#: The largest body that is accepted (bytes).
LIMIT: Final = 64 * 1024

_POSITIONS: Final = {register: position for position, register in enumerate(REGISTERS)}
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}"
    r"[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]"
)
_KINDS: Final = {
    bool: "true or false",
    type(None): "null",
    str: "a string",
    list: "an array",
    tuple: "an object",
    float: "a number beyond the range of a double",
}


class Packet(NamedTuple):
    """A valid packet; ``instant`` is in ms since the epoch, ``text`` is the body verbatim."""

    stream: str
    instant: int
    text: str


class Breach(NamedTuple):
    """A broken rule: the HTTP status, the reason in one line, the stream if it is known."""

    status: int
    reason: str
    stream: str = ""


def check(headers: Mapping[bytes, bytes], body: bytes, *, utc: bool = False) -> Packet | Breach:
    """Check a POST; header names are in lower case, ``utc`` is True for the UTC route."""
    return check_headers(headers) or check_packet(body, utc=utc)


def check_headers(headers: Mapping[bytes, bytes]) -> Breach | None:
    """Return what is wrong with the headers of a POST; the body need not be read for that."""
    if b"expect" in headers:
        return Breach(417, "the header Expect is not supported: send the packet at once")
    breach = _check_length(headers)
    if breach:
        return breach
    content_type = headers.get(b"content-type", b"")
    if content_type.partition(b";")[0].strip().lower() != b"application/json":
        return Breach(415, f"Content-Type must be application/json, found {_quoted(content_type)}")
    if b"content-encoding" in headers:
        return Breach(415, "Content-Encoding is not supported: send the packet as it is")
    return None


def _check_length(headers: Mapping[bytes, bytes]) -> Breach | None:
    if b"transfer-encoding" in headers:
        return Breach(411, "Transfer-Encoding is not supported: send a Content-Length")
    length = headers.get(b"content-length")
    if length is None:
        return Breach(411, "the header Content-Length is missing")
    if not _LENGTH.fullmatch(length):
        return Breach(400, f"Content-Length must be a whole number, found {_quoted(length)}")
    if int(length) > LIMIT:
        return Breach(413, f"a packet has at most {LIMIT} bytes, found {int(length)}")
    return None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# Objects become tuples of pairs, since a dict would hide a repeated name. Integers become floats:
# only whether a value is a number matters here, and an int can have any size.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=float, parse_constant=_refuse_constant
)


def check_packet(body: bytes, *, utc: bool = False) -> Packet | Breach:
    """Check a body; ``utc`` is True for the route that accepts only UTC."""
    if len(body) > LIMIT:
        return Breach(413, f"a packet has at most {LIMIT} bytes, found {len(body)}")
    try:
        text = body.decode()
        if "\n" in text or "\r" in text:
            raise ValueError("it contains a line break")
        fields = _DECODER.decode(text)
        if not isinstance(fields, tuple):
            raise ValueError("found another value")
    except (ValueError, RecursionError) as error:
        return Breach(400, f"the body must be one JSON object on one line: {error}")
    reason = _names_problem([name for name, _ in fields]) or _id_problem(fields[0][1])
    if reason:
        return Breach(422, reason)
    stream = str(fields[0][1])
    instant = _instant(fields[1][1], utc=utc)
    if isinstance(instant, str):
        return Breach(422, instant, stream)
    for name, value in fields[2:]:
        if not isinstance(value, float) or not math.isfinite(value):
            found = _KINDS[type(value)]
            return Breach(422, f"{name} must be a finite number, found {found}", stream)
    return Packet(stream, instant, text)


def _names_problem(names: Sequence[str]) -> str:
    """Return what is wrong with the names of the fields or their order, empty if nothing."""
    if names[:1] != ["id"]:
        return "the first field must be id"
    if names[1:2] != ["tsISO8601"]:
        return "the second field must be tsISO8601"
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        return f"the field {_quoted(repeated)} occurs more than once"
    return "" if names[2:] == [VALUE] else _registers_problem(names[2:])


def _registers_problem(names: Sequence[str]) -> str:
    if not names:
        return "there must be at least one measurement"
    for name in names:
        if name != VALUE and name not in _POSITIONS:
            return f"there is no field {_quoted(name)}"
    if VALUE in names:
        return f"{VALUE} must be the only measurement of its packet"
    for before, after in itertools.pairwise(names):
        if _POSITIONS[before] > _POSITIONS[after]:
            return f"{after} must come before {before}: registers have an order"
    return ""


def _id_problem(stream: object) -> str:
    if not isinstance(stream, str) or not stream:
        return "id must be a string that is not empty"
    try:
        stream.encode()
    except UnicodeEncodeError:
        return "id must be Unicode text, found half a surrogate pair"
    return ""


def _instant(timestamp: object, *, utc: bool) -> int | str:
    """Return the instant of a timestamp in ms since the epoch, or what is wrong with it."""
    try:
        if not isinstance(timestamp, str) or not _TIMESTAMP.fullmatch(timestamp):
            raise ValueError
        # In UTC first: that fails for an instant outside the years 1 to 9999.
        instant = (datetime.fromisoformat(timestamp).astimezone(UTC) - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        found = _quoted(timestamp) if isinstance(timestamp, str) else _KINDS[type(timestamp)]
        return f"tsISO8601 must be a real time as YYYY-MM-DDTHH:MM:SS.mmm+hh:mm, found {found}"
    if utc and not timestamp.endswith("+00:00"):
        return f"on this route tsISO8601 must end in +00:00, found {_quoted(timestamp)}"
    return instant


def as_text(instant: int) -> str:
    """Return an instant (ms since the epoch) as text, in UTC."""
    return (_EPOCH + instant * _MILLISECOND).isoformat(timespec="milliseconds")


def _quoted(found: object) -> str:
    """Return text from a client for a reason: quoted, on one line, at most 80 characters."""
    text = repr(found.decode("latin-1") if isinstance(found, bytes) else found)
    return text if len(text) <= 80 else f"{text[:76]}...{text[-1]}"
