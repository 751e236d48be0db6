"""The URLs that credentials may be sent to, and the one spelling that each of them has.

HTTPS goes anywhere, plain HTTP to this machine alone. A URL that passed is ASCII: all engines, the
locks and the state folder see the same text, however it was spelled.

ValueError has what was expected, as with every parser of options; it never quotes the URL.
"""

import ipaddress
import re
import socket
import unicodedata
from hashlib import blake2b
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

_HOST: Final = "a URL with a host name such as collector.example.com"
_PLACE: Final = re.compile(r"(?:\[[^][]*\]|[^][:]*)(?::[0-9]*)?")
_PORTS: Final = {"http": 80, "https": 443}
_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_IPV4: Final = re.compile(r"(?:0x[0-9a-f]+|[0-9]+)(?:\.(?:0x[0-9a-f]+|[0-9]+)){0,3}")
_UNRESERVED: Final = re.compile(rb"[A-Za-z0-9._~-]")
#: An escape, or what RFC 3986 has no room for in a path.
_TO_SPELL: Final = re.compile(r"%([0-9A-Fa-f]{2})|[^A-Za-z0-9._~!$&'()*+,;=:@/-]")


def is_loopback(host: str) -> bool:
    """Tell whether a host name is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_local(url: str) -> bool:
    """Tell whether a URL's host is this machine."""
    return is_loopback(urlsplit(url).hostname or "")


def checked_url(text: str) -> str:
    """Return a collector's URL as `normal` has it; ValueError says what was expected."""
    parts = _split(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a URL such as https://collector.example.com/unifiedjson/")
    # Of a number such as 127.1 or 0x7f000001 not everybody sees where it leads.
    if parts.scheme == "http" and not is_loopback(_named(parts.hostname)):
        raise ValueError("https:// (http:// would send the password in the clear)")
    if parts.query or parts.fragment:
        raise ValueError("a URL that ends with its path, without query or fragment")
    return normal(text)


def checked_proxy(text: str) -> str:
    """Return a proxy's URL, host and port alone; ValueError says what was expected."""
    parts = _split(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a proxy such as http://proxy.example.com:3128")
    # A default port stays: without one, engines do not agree on the port of a proxy.
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{_host(parts.hostname)}{port}"


def normal(url: str) -> str:
    """Return the one spelling of a URL without query, in ASCII, ending in a slash.

    Source: RFC 3986, 6.2.2 and 6.2.3 (letter case, needless escapes, dot segments, default port);
    hosts of other letters go as DNS has them (UTS 46). Empty segments of the path and the dot that
    ends a host are left out as well. Raises ValueError where the host can be none.
    """
    parts = urlsplit(url)
    port = "" if parts.port in {None, _PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{_host(parts.hostname or '')}{port}{_path(parts.path)}"


def _split(text: str) -> SplitResult:
    # Anywhere, not in the host alone: a password may hold a '/' or '#', which ends the host.
    if "@" in text:
        raise ValueError("a URL without user and password")
    if any(sign.isspace() or unicodedata.category(sign) in {"Cc", "Cs"} for sign in text):
        raise ValueError("a URL without blanks and control characters")
    expected = "a URL such as https://example.com/path/"
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(expected) from None
    if not _PLACE.fullmatch(parts.netloc):
        raise ValueError(expected)
    return parts


def _host(host: str) -> str:
    """Return a host in the spelling that all engines send to; an IPv6 address in brackets."""
    try:
        if ":" in host:
            return f"[{_ipv6(host)}]"
        name = _named(host)
        return socket.inet_ntoa(socket.inet_aton(name)) if _IPV4.fullmatch(name) else name
    except OSError as error:
        if type(error) is not OSError:  # such as the TimeoutError of a signal's handler
            raise
        # Digits, but not those of an address.
        raise ValueError(_HOST) from None


def _ipv6(host: str) -> str:
    address, mark, zone = host.partition("%")
    address = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, address))
    zone = zone.removeprefix("25")
    if mark and not re.fullmatch(r"[A-Za-z0-9._~-]+", zone):
        raise ValueError(_HOST)
    return f"{address}%25{zone}" if mark else address


def _named(host: str) -> str:
    """Return a host name as DNS has it; an address as it stands."""
    if ":" in host:
        return host
    name = unquote(host)
    name = (name if name.isascii() else _punycode(name)).lower().removesuffix(".")
    if host and not _NAME.fullmatch(name):
        raise ValueError(_HOST)
    return name


def _punycode(host: str) -> str:
    """Return a host name in ASCII, as browsers do: also one that DNS's registries do not sell."""
    import idna

    try:
        mapped = idna.uts46_remap(host, std3_rules=False, transitional=False)
    except idna.IDNAError:
        raise ValueError(_HOST) from None
    labels = mapped.split(".")
    return ".".join(
        label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels
    )


def _path(path: str) -> str:
    segments: list[str] = []
    for segment in _TO_SPELL.sub(_spelled, path).removeprefix("/").split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(segment)
    return "/" + "".join(f"{segment}/" for segment in segments if segment)


def _spelled(match: re.Match[str]) -> str:
    if match[1] is None:
        return quote(match[0], safe="")
    byte = bytes.fromhex(match[1])
    return byte.decode() if _UNRESERVED.fullmatch(byte) else f"%{match[1].upper()}"


_PATH: Final = "/measurements/v2/unifiedjson/"


#: Source: "[swarm]" in docs/reference.md.
ENVIRONMENTS: Final[dict[str, str]] = {
    "production": f"https://web-collector.wattics.com{_PATH}",
    "development": f"https://dev-web-collector.wattics.com{_PATH}",
    "demo": f"https://demo-dc.wattics.com{_PATH}",
    "local": f"http://localhost:8080{_PATH}",
}

SANDBOX: Final = "sandbox"
ROUTES: Final[dict[str, str]] = {"utc": "unifiedjson_utc/", "partial": "unifiedjson_partial/"}
_SEGMENTS: Final = frozenset({"unifiedjson", "unifiedjson_utc", "unifiedjson_partial"})
#: A file system takes no name of more than 255 bytes.
_LONGEST_NAME: Final = 200


def with_route(url: str, route: str | None) -> str:
    """Return the URL with its last segment replaced by the route's."""
    if route is None:
        return url
    parts = urlsplit(url)
    head = parts.path.rstrip("/").rpartition("/")[0]
    return urlunsplit(parts._replace(path=f"{head}/{ROUTES[route]}"))


def collector_name(url: str) -> str:
    """Return what a collector's state is kept under: its URL without the route, as a file name.

    However a URL is spelled, its name is the same. A long one is cut, with a digest of the whole.
    """
    parts = urlsplit(normal(url) if url else "")
    path = parts.path.rstrip("/")
    head, _, last = path.rpartition("/")
    path = head if last in _SEGMENTS else path
    name = quote(urlunsplit((parts.scheme, parts.netloc, path, "", "")), safe="")
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}~{blake2b(name.encode(), digest_size=8).hexdigest()}"
