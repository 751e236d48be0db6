"""Which URLs credentials may be sent to: HTTPS, or plain HTTP on this machine alone."""

import ipaddress
from urllib.parse import SplitResult, urlsplit


def is_loopback(host: str) -> bool:
    """Tell whether a host name is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def checked_url(text: str) -> str:
    """Return a collector's URL, ending in a slash; ValueError says what is wrong with it.

    Nothing of a URL that holds userinfo is quoted: it may be a password.
    """
    parts = _split(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected a URL such as https://collector.example.com/unifiedjson/")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(
            f"http:// to {parts.hostname} would send the password in the clear; use https://"
        )
    if parts.query or parts.fragment:
        raise ValueError("a URL with a query or fragment; end it with the path")
    return parts.geturl() if parts.path.endswith("/") else parts.geturl() + "/"


def checked_proxy(text: str) -> str:
    """Return a proxy's URL; ValueError says what is wrong with it."""
    parts = _split(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected a proxy such as http://proxy.example.com:3128")
    return parts.geturl()


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError("not a URL") from None
    if "@" in parts.netloc:
        raise ValueError("a user or password inside a URL; put them under [credentials]")
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError("a URL with a blank or control character")
    return parts
