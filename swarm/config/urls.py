"""The URLs that credentials may be sent to, each in one normalized spelling.

HTTPS may go to any host, plain HTTP only to this machine. A checked URL is ASCII, so that every
HTTP engine, the locks and the state folder use the same text, however the user spelled it.

Each ValueError says what was expected, as the parsers of options do; it never quotes the URL.
"""

import ipaddress
import re
import socket
import unicodedata
from hashlib import blake2b
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

_EXPECTED_HOST: Final = "a URL with a host name such as collector.example.com"
_NETLOC: Final = re.compile(r"(?:\[[^][]*\]|[^][:]*)(?::[0-9]*)?")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HOST_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_IPV4: Final = re.compile(r"(?:0x[0-9a-f]+|[0-9]+)(?:\.(?:0x[0-9a-f]+|[0-9]+)){0,3}")
_UNRESERVED: Final = re.compile(rb"[A-Za-z0-9._~-]")
#: An escape, or a character that RFC 3986 does not allow in a path.
_TO_ENCODE: Final = re.compile(r"%([0-9A-Fa-f]{2})|[^A-Za-z0-9._~!$&'()*+,;=:@/-]")


def is_loopback(host: str) -> bool:
    """Return True if a host name means this machine.

    Such a collector gets the password without TLS: it does not leave the machine.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_local(url: str) -> bool:
    """Return True if a URL's host is this machine."""
    return is_loopback(urlsplit(url).hostname or "")


def checked_url(text: str) -> str:
    """Return a collector's URL as `normal` spells it; raise ValueError if it is not safe."""
    parts = _split(text, "a URL such as https://collector.example.com/unifiedjson/")
    # Check the name, not an IPv4 number: few users see where 127.1 or 0x7f000001 leads.
    if parts.scheme == "http" and not is_loopback(_host_name(parts.hostname or "")):
        raise ValueError("https:// (http:// would send the password in the clear)")
    if parts.query or parts.fragment:
        raise ValueError("a URL that ends with its path, without query or fragment")
    return normal(text)


def checked_proxy(text: str) -> str:
    """Return a proxy's URL, host and port only; raise ValueError if it is not one."""
    parts = _split(text, "a proxy such as http://proxy.example.com:3128")
    # Keep a default port: without a port, engines assume different ones for a proxy.
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{_host(parts.hostname or '')}{port}"


def normal(url: str) -> str:
    """Return the normalized spelling of a URL without query: ASCII, with a slash at the end.

    Source: RFC 3986, 6.2.2 and 6.2.3 (letter case, needless escapes, dot segments, default port);
    hosts with other letters are encoded for DNS (UTS 46). Empty path segments and the dot at the
    end of a host are removed. Raises ValueError if the host is not valid.
    """
    parts = urlsplit(url)
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    host = _host(parts.hostname or "")
    segments: list[str] = []
    for segment in _TO_ENCODE.sub(_encoded, parts.path).removeprefix("/").split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(segment)
    path = "/" + "".join(f"{segment}/" for segment in segments if segment)
    return f"{parts.scheme}://{host}{port}{path}"


def _split(text: str, expected: str) -> SplitResult:
    """Return the parts of an HTTP or HTTPS URL with a host and without user and password."""
    # Search the whole text: a password may hold a '/' or '#', which would end the host.
    if "@" in text:
        raise ValueError("a URL without user and password")
    if any(sign.isspace() or unicodedata.category(sign) in {"Cc", "Cs"} for sign in text):
        raise ValueError("a URL without blanks and control characters")
    malformed = "a URL such as https://example.com/path/"
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError if it is not a port
    except ValueError:
        raise ValueError(malformed) from None
    if not _NETLOC.fullmatch(parts.netloc):
        raise ValueError(malformed)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(expected)
    return parts


def _host(host: str) -> str:
    """Return a host in the spelling that all engines send to; an IPv6 address is in brackets."""
    try:
        if ":" in host:
            address, percent, zone = host.partition("%")
            address = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, address))
            zone = zone.removeprefix("25")
            if percent and not re.fullmatch(r"[A-Za-z0-9._~-]+", zone):
                raise ValueError(_EXPECTED_HOST)
            return f"[{address}%25{zone}]" if percent else f"[{address}]"
        name = _host_name(host)
        return socket.inet_ntoa(socket.inet_aton(name)) if _IPV4.fullmatch(name) else name
    except OSError as error:
        if type(error) is not OSError:  # for example the TimeoutError of a signal handler
            raise
        # Digits that are not an address.
        raise ValueError(_EXPECTED_HOST) from None


def _host_name(host: str) -> str:
    """Return a host name as DNS has it, in ASCII; an IPv6 address stays as it is.

    Like browsers, accept names that registries of domains would not sell.
    """
    if ":" in host:
        return host
    name = unquote(host)
    if not name.isascii():
        import idna

        try:
            name = idna.uts46_remap(name, std3_rules=False, transitional=False)
        except idna.IDNAError:
            raise ValueError(_EXPECTED_HOST) from None
        name = ".".join(
            label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
            for label in name.split(".")
        )
    name = name.lower().removesuffix(".")
    if host and not _HOST_NAME.fullmatch(name):
        raise ValueError(_EXPECTED_HOST)
    return name


def _encoded(match: re.Match[str]) -> str:
    """Return the normalized escape for a match of `_TO_ENCODE`, or the character itself."""
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
#: File systems allow names of up to 255 bytes.
_LONGEST_NAME: Final = 200


def with_route(url: str, route: str | None) -> str:
    """Return the URL with its last segment replaced by the route's.

    Source: ``route`` in docs/reference.md.
    """
    if route is None:
        return url
    parts = urlsplit(url)
    head = parts.path.rstrip("/").rpartition("/")[0]
    return urlunsplit(parts._replace(path=f"{head}/{ROUTES[route]}"))


def collector_name(url: str) -> str:
    """Return a file name for a collector's state: its URL without the route, percent-encoded.

    All spellings of a URL have the same name. A long name is cut and gets a digest of the whole.
    """
    parts = urlsplit(normal(url) if url else "")
    path = parts.path.rstrip("/")
    head, _, last = path.rpartition("/")
    path = head if last in _SEGMENTS else path
    name = quote(urlunsplit((parts.scheme, parts.netloc, path, "", "")), safe="")
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}~{blake2b(name.encode(), digest_size=8).hexdigest()}"
