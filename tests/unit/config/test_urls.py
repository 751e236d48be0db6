"""URLs that credentials may be sent to, routes, and the name of a collector's state."""

import re
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import settings as search
from hypothesis import strategies as st

from swarm.config.urls import (
    ENVIRONMENTS,
    checked_proxy,
    checked_url,
    collector_name,
    is_loopback,
    normal,
    with_route,
)
from tests.support.respelling import respelled

URL = "a URL such as https://collector.example.com/unifiedjson/"
NO_USER = "a URL without user and password"
HTTPS = "https:// (http:// would send the password in the clear)"
NO_BLANK = "a URL without blanks and control characters"
NO_QUERY = "a URL that ends with its path, without query or fragment"
HOST = "a URL with a host name such as collector.example.com"
NOT_A_URL = "a URL such as https://example.com/path/"
PROXY = "a proxy such as http://proxy.example.com:3128"


@pytest.mark.parametrize("url", ENVIRONMENTS.values())
def test_environments_are_sound(url: str) -> None:
    """The URL of every environment is valid and normalized."""
    assert url == checked_url(url)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.com", "https://example.com/"),
        ("https://example.com/a", "https://example.com/a/"),
        ("HTTPS://Example.com:8443/a/", "https://example.com:8443/a/"),
        ("http://localhost:8080/a/", "http://localhost:8080/a/"),
        ("http://LOCALHOST/a/", "http://localhost/a/"),
        ("http://localhost.:080/a/", "http://localhost/a/"),
        ("http://127.0.0.1/", "http://127.0.0.1/"),
        ("http://127.9.9.9:1/", "http://127.9.9.9:1/"),
        ("http://[::1]:8080/a/", "http://[::1]:8080/a/"),
        ("http://[0:0::0:1]:8080/a/", "http://[::1]:8080/a/"),
        ("https://[FE80::1%25eth0]/", "https://[fe80::1%25eth0]/"),
        ("https://[::FFFF:192.0.2.1]/", "https://[::ffff:192.0.2.1]/"),
        ("https://0xC0.0.2.1:443/", "https://192.0.2.1/"),
        ("https://my_host.example:08443/", "https://my_host.example:8443/"),
        ("https://%65xample.com:/", "https://example.com/"),
        ("https://bücher.example/a/", "https://xn--bcher-kva.example/a/"),
        ("https://B%C3%BCcher。example./a/", "https://xn--bcher-kva.example/a/"),
        ("https://💩.example/", "https://xn--ls8h.example/"),
        ("https://example.com/zähler/ü", "https://example.com/z%C3%A4hler/%C3%BC/"),
        (
            "https://example.com/👩\u200d💻/",
            "https://example.com/%F0%9F%91%A9%E2%80%8D%F0%9F%92%BB/",
        ),
        ("https://example.com/a//b/./c/../d/..", "https://example.com/a/b/"),
        ("https://example.com/a//../b/%2e%2E/%2E/c", "https://example.com/a/c/"),
        ("https://example.com/../../a", "https://example.com/a/"),
        ("https://example.com/%75%7E%2f%c3", "https://example.com/u~%2F%C3/"),
        ("https://example.com/100%/%zz/[a]|^", "https://example.com/100%25/%25zz/%5Ba%5D%7C%5E/"),
        ("https://example.com/a;b=c,d!/(e)*'+:$&", "https://example.com/a;b=c,d!/(e)*'+:$&/"),
        ("https://example.com/a?", "https://example.com/a/"),
    ],
)
def test_accepted(text: str, url: str) -> None:
    """HTTPS may go anywhere, plain HTTP to this machine; URLs are normalized to ASCII."""
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
        ("http://127.1/", HTTPS),
        ("http://0x7f000001/", HTTPS),
        ("http://127.0.0.1.example.com/", HTTPS),
        ("https://ex%20ample.com/", HOST),
        ("https://user%40example.com/", HOST),
        ("https://example.com%2Fa/", HOST),
        ("https://example..com/", HOST),
        ("https://./", HOST),
        ("https://exa\\mple.com/", HOST),
        ("https://256.0.0.1/", HOST),
        ("https://[::1::2]/", NOT_A_URL),
        ("https://[::1]x/", NOT_A_URL),
        ("https://[::1%25]/", HOST),
        ("https://[1::2::3]/", NOT_A_URL),
        ("https://\N{REPLACEMENT CHARACTER}ü.example/", HOST),
        ("https://" + "a" * 64 + ".example/", HOST),
        ("https://example.com/\ud800", NO_BLANK),
        ("https://example.com/\x9b", NO_BLANK),
    ],
)
def test_refused(text: str, expected: str) -> None:
    """A URL that could leak a password is refused and never quoted."""
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        checked_url(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://proxy.example.com:3128", "http://proxy.example.com:3128"),
        ("HTTP://Bücher.example:03128/", "http://xn--bcher-kva.example:3128"),
        ("http://proxy.example.com:80", "http://proxy.example.com:80"),
        ("https://[::1]", "https://[::1]"),
    ],
)
def test_proxy_accepted(text: str, url: str) -> None:
    """A proxy is an HTTP or HTTPS URL: host and port, in ASCII."""
    assert url == checked_proxy(text)


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
    """A host that could be another machine is not loopback."""
    assert expected is is_loopback(host)


@search(deadline=None)
@given(st.text(), st.text(min_size=1), st.text())
def test_userinfo_never_passes(user: str, password: str, rest: str) -> None:
    """A URL with an '@' is refused, whatever surrounds it, and not quoted."""
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
    """A route replaces the last segment, never the host."""
    assert expected == with_route(url, route)


@search(deadline=None)
@given(respelled())
def test_any_spelling_is_one_collector(spellings: tuple[str, str]) -> None:
    """A normalized URL stays as it is; other spellings have the same URL and name."""
    plain, other = spellings
    assert (plain, plain) == (checked_url(plain), checked_url(other))
    assert collector_name(plain) == collector_name(other)


def test_names_of_normal_urls_stay() -> None:
    """The state folders of earlier versions have these names."""
    assert {
        name: collector_name(url).removesuffix("%2Fmeasurements%2Fv2")
        for name, url in ENVIRONMENTS.items()
    } == {
        "production": "https%3A%2F%2Fweb-collector.wattics.com",
        "development": "https%3A%2F%2Fdev-web-collector.wattics.com",
        "demo": "https%3A%2F%2Fdemo-dc.wattics.com",
        "local": "http%3A%2F%2Flocalhost%3A8080",
    }
    assert "https%3A%2F%2F%5B%3A%3A1%5D%3A8443%2Fa~b%2525c" == collector_name(
        "https://[::1]:8443/a~b%25c/unifiedjson/"
    )


def test_two_names_of_this_machine_stay_two() -> None:
    """Host names are not resolved."""
    assert collector_name("http://localhost/a/") != collector_name("http://127.0.0.1/a/")


def test_a_long_name_is_cut() -> None:
    """A name of more than 200 characters is cut and gets a digest of the whole."""
    head = "https://h.example/"
    longest = collector_name(head + "a" * (200 - len(quote(head, safe=""))))
    assert (200, False) == (len(longest), "~" in longest)
    names = {collector_name(f"{head}{'ü' * 100}/{last}/") for last in "abc"}
    assert {217} == set(map(len, names))
    assert len(names) == 3
    assert collector_name(f"{head}{'ü' * 100}/unifiedjson_utc") == collector_name(
        f"{head}{'%c3%bc' * 100}//unifiedjson/"
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://h.example/v2/unifiedjson/",
        "https://h.example/v2/./unifiedjson//",
        "https://h.example./v2/%75nifiedjson/",
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
    """A collector has one name for all spellings of its URL and all routes."""
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
    """Port 80 is the default of plain HTTP, 443 is not."""
    assert collector_name("http://localhost/a/") == collector_name("http://localhost:80/a/")
    assert collector_name("http://localhost/a/") != collector_name("http://localhost:443/a/")


def test_a_signals_handler_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a signal handler is not one of the URL, even if it is an OSError."""

    def timed_out(_text: str) -> bytes:
        raise TimeoutError("alarm")

    monkeypatch.setattr("swarm.config.urls.socket.inet_aton", timed_out)
    with pytest.raises(TimeoutError, match="alarm"):
        normal("http://127.0.0.1/")
