"""Which URLs credentials may be sent to: HTTPS, or plain HTTP on this machine alone.

ValueError has what was expected, as with every parser of options; it never quotes the URL.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit


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
    """Return a collector's URL, ending in a slash; ValueError says what was expected."""
    parts = _split(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a URL such as https://collector.example.com/unifiedjson/")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("https:// (http:// would send the password in the clear)")
    if parts.query or parts.fragment:
        raise ValueError("a URL that ends with its path, without query or fragment")
    return parts.geturl() if parts.path.endswith("/") else parts.geturl() + "/"


def checked_proxy(text: str) -> str:
    """Return a proxy's URL; ValueError says what was expected."""
    parts = _split(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a proxy such as http://proxy.example.com:3128")
    return parts.geturl()


def _split(text: str) -> SplitResult:
    # Anywhere, not in the host alone: a password may hold a '/' or '#', which ends the host.
    if "@" in text:
        raise ValueError("a URL without user and password")
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError("a URL without blanks and control characters")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError("a URL such as https://example.com/path/") from None
    return parts
