"""Where credentials may go: URLs, routes, and the name that a collector's state is kept under."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import settings as search
from hypothesis import strategies as st

from swarm.settings import ENVIRONMENTS, collector_name, with_route
from swarm.urls import checked_proxy, checked_url, is_loopback

URL = "a URL such as https://collector.example.com/unifiedjson/"
NO_USER = "a URL without user and password"
HTTPS = "https:// (http:// would send the password in the clear)"
NO_BLANK = "a URL without blanks and control characters"
NO_QUERY = "a URL that ends with its path, without query or fragment"
NOT_A_URL = "a URL such as https://example.com/path/"
PROXY = "a proxy such as http://proxy.example.com:3128"


@pytest.mark.parametrize("url", ENVIRONMENTS.values())
def test_environments_are_sound(url: str) -> None:
    """Every environment's URL passes its own check, unchanged."""
    assert url == checked_url(url)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.com", "https://example.com/"),
        ("https://example.com/a", "https://example.com/a/"),
        ("HTTPS://Example.com:8443/a/", "https://Example.com:8443/a/"),
        ("http://localhost:8080/a/", "http://localhost:8080/a/"),
        ("http://LOCALHOST/a/", "http://LOCALHOST/a/"),
        ("http://127.0.0.1/", "http://127.0.0.1/"),
        ("http://127.9.9.9:1/", "http://127.9.9.9:1/"),
        ("http://[::1]:8080/a/", "http://[::1]:8080/a/"),
        ("https://bücher.example/a/", "https://bücher.example/a/"),
    ],
)
def test_accepted(text: str, url: str) -> None:
    """HTTPS goes anywhere, plain HTTP to this machine; a slash ends every URL."""
    assert url == checked_url(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://example.com/a/", HTTPS),
        ("http://localhost.example.com/", HTTPS),
        ("http://10.0.0.1/", HTTPS),
        ("http://0.0.0.0/", HTTPS),
        ("https://user:hunter2@example.com/", NO_USER),
        ("https://hunter2@example.com/", NO_USER),
        ("https://user:hun/ter2@example.com/", NO_USER),
        ("http://localhost:1#hunter2@example.com/", NO_USER),
        ("https://exa mple.com/", NO_BLANK),
        ("https://example.com/a\tb", NO_BLANK),
        ("https://example.com/?a=b", NO_QUERY),
        ("https://example.com/#a", NO_QUERY),
        ("https://example.com:port/", NOT_A_URL),
        ("https://example.com:99999/", NOT_A_URL),
        ("https://[::1/", NOT_A_URL),
        ("ftp://example.com/", URL),
        ("example.com/a/", URL),
        ("https:///a/", URL),
        ("", URL),
    ],
)
def test_refused(text: str, expected: str) -> None:
    """What could lose a password is refused, and never quoted."""
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        checked_url(text)


def test_proxy_accepted() -> None:
    """A proxy is an HTTP or HTTPS URL."""
    assert "http://proxy.example.com:3128" == checked_proxy("http://proxy.example.com:3128")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://user:hunter2@proxy.example.com:3128", NO_USER),
        ("socks5://proxy.example.com:1080", PROXY),
        ("proxy.example.com:3128", PROXY),
    ],
)
def test_proxy_refused(text: str, expected: str) -> None:
    """A proxy with a password, or of another kind, is refused."""
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        checked_proxy(text)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("", False),
        ("127.1", False),
        ("localhost.example.com", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    """Only what can't be another machine is loopback."""
    assert expected is is_loopback(host)


@search(deadline=None)
@given(st.text(), st.text(min_size=1), st.text())
def test_userinfo_never_passes(user: str, password: str, rest: str) -> None:
    """Whatever surrounds it, an '@' makes no URL, and the refusal quotes nothing of it."""
    with pytest.raises(ValueError, match=f"^{re.escape(NO_USER)}$"):
        checked_url(f"https://{user}:{password}@{rest}")


@pytest.mark.parametrize(
    ("url", "route", "expected"),
    [
        ("https://h/v2/unifiedjson/", None, "https://h/v2/unifiedjson/"),
        ("https://h/v2/unifiedjson/", "utc", "https://h/v2/unifiedjson_utc/"),
        ("https://h/v2/unifiedjson_utc/", "partial", "https://h/v2/unifiedjson_partial/"),
        ("https://h:8443/a/", "utc", "https://h:8443/unifiedjson_utc/"),
        ("https://h/", "utc", "https://h/unifiedjson_utc/"),
        ("https://h", "partial", "https://h/unifiedjson_partial/"),
    ],
)
def test_route(url: str, route: str | None, expected: str) -> None:
    """A route takes the place of the last segment, never of the host."""
    assert expected == with_route(url, route)


@pytest.mark.parametrize(
    "url",
    [
        "https://h.example/v2/unifiedjson/",
        "https://h.example/v2/unifiedjson",
        "https://H.Example/v2/unifiedjson/",
        "https://h.example:443/v2/unifiedjson/",
        "HTTPS://h.example/v2/unifiedjson/",
        "https://h.example/v2/unifiedjson_utc/",
        "https://h.example/v2/unifiedjson_partial/",
        "https://h.example/v2/",
    ],
)
def test_one_collector(url: str) -> None:
    """However its URL is spelled, and on every route, a collector has one name."""
    assert "https%3A%2F%2Fh.example%2Fv2" == collector_name(url)


def test_other_collectors() -> None:
    """Another scheme, host, port or path is another collector."""
    urls = [
        "https://h.example/v2/unifiedjson/",
        "https://h.example/V2/unifiedjson/",
        "https://h.example/v2/custom/",
        "https://h.example:8443/v2/unifiedjson/",
        "https://g.example/v2/unifiedjson/",
        "http://localhost/v2/unifiedjson/",
        "http://localhost:443/v2/unifiedjson/",
        "http://[::1]:8080/v2/unifiedjson/",
        "http://[::1]/v2/unifiedjson/",
    ]
    names = {collector_name(url) for url in urls}
    assert len(urls) == len(names)
    assert all("/" not in name and unquote(name).startswith("http") for name in names)


def test_default_port_of_http() -> None:
    """Port 80 goes without saying on plain HTTP, and 443 does not."""
    assert collector_name("http://localhost/a/") == collector_name("http://localhost:80/a/")
    assert collector_name("http://localhost/a/") != collector_name("http://localhost:443/a/")
