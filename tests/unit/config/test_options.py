"""Options of an upload: their parsers, and the table shared by flags, variables and INI."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as search
from hypothesis import strategies as st

from swarm.config import parsers as values
from swarm.config.options import BY_KEY, FLAG_ONLY, OPTIONS, PARSERS, Upload
from swarm.config.timetable import Timetable

HOUR = 3600.0
DURATION = "a duration such as 90s, 15m, 2h or 1h30m"
LOCAL = "a local date, or date and time, such as 2023-01-31 or 2023-01-31T12:30"
WHOLE = "a whole number of at least 1"
RATE = (
    "a number of requests a second above zero, such as 100 or 0.5, or a timetable such as "
    "08:00 50; 18:30 off; sat-08:00 off"
)

PORT = "a port number from 0 to 65535"
ADDRESS = "tls://HOST:PORT, local or none"
SHARE = "K/N with K from 1 to N, such as 3/8, or auto"
ACCEPTED: dict[str, list[tuple[str, Any]]] = {
    "since": [("1970-01-02", 86_400_000), ("1970-01-01T00:00:01.5", 1500)],
    "until": [("1970-01-01 12:30", 45_000_000), ("19700102", 86_400_000)],
    "dry_run": [("yes", True), ("No", False)],
    "keep_going": [("on", True), ("off", False)],
    "restart": [("yes", True)],
    "adopt": [("no", False)],
    "full_check": [("yes", True)],
    "late": [("send", "send"), ("REPORT", "report")],
    "processes": [("1", 1), (" 12 ", 12)],
    "cluster": [
        ("tls://10.0.0.5:8786", "tls://10.0.0.5:8786"),
        ("tcp://[::1]:8786", "tcp://[::1]:8786"),
        ("Local", "local"),
        ("none", "none"),
    ],
    "share": [("1/1", (1, 1)), (" 3/8 ", (3, 8))],
    "connections": [("999999999", 999_999_999), ("Auto", "auto")],
    "rejected": [("send", "send"), ("Report", "report")],
    "wait": [("0s", 0.0), ("15m", 900.0)],
    "rate_limit": [
        ("100", Timetable.constant(100.0)),
        ("0.5", Timetable.constant(0.5)),
        ("mon-8:30 50", Timetable(((510, 50.0),), "mon-8:30 50")),
    ],
    "timeout": [("90s", 90.0), ("1h30m", 1.5 * HOUR), ("0.25s", 0.25), ("1d", 24 * HOUR)],
    "retry_for": [("15m", 900.0), ("0s", 0.0), ("Forever", float("inf"))],
    "max_duration": [("2h", 2 * HOUR)],
    "on_reject": [("skip", "skip")],
    "on_ambiguous": [("stop", "stop")],
    "settle": [("0s", 0.0), ("1m1s", 61.0)],
    "transport": [("curl", "curl")],
    "progress": [("none", "none"), ("JSON", "json")],
    "metrics_file": [("swarm.prom", Path("swarm.prom"))],
    "page": [("0", 0), ("65535", 65_535)],
    "page_after": [("0s", 0.0), ("5m", 300.0)],
    "report": [("out.html", Path("out.html")), (" a b.html ", Path("a b.html"))],
    "json": [("true", True), ("0", False)],
    "quiet": [("1", True)],
    "verbose": [("2", 2), ("0", 0)],
}

REFUSED: dict[str, list[tuple[str, str]]] = {
    "since": [("today", LOCAL), ("2023-01-31T12:30+01:00", LOCAL), ("2023-02-30", LOCAL)],
    "until": [("", LOCAL)],
    "dry_run": [("maybe", "yes or no")],
    "keep_going": [("", "yes or no")],
    "restart": [("now", "yes or no")],
    "adopt": [("all", "yes or no")],
    "full_check": [("all", "yes or no")],
    "late": [("drop", "report or send")],
    "cluster": [
        (each, ADDRESS) for each in ("10.0.0.5:8786", "tls://a", "tls://a:0", "http://a:1")
    ],
    "share": [(each, SHARE) for each in ("0/2", "3/2", "1", "a/b", "1/0")],
    "processes": [("0", WHOLE), ("-1", WHOLE), ("1.5", WHOLE), ("٣", WHOLE)],
    "connections": [("many", f"{WHOLE}, or auto"), ("1" * 10, f"{WHOLE}, or auto")],
    "rate_limit": [(each, RATE) for each in ("0", "-1", "nan", "9" * 400, "08:00", "24:00 5")],
    "rejected": [("drop", "report or send")],
    "wait": [("5", DURATION)],
    "metrics_file": [("", "the path of a file")],
    "timeout": [
        ("30", DURATION),
        ("", DURATION),
        ("1m30", DURATION),
        ("5m1h", DURATION),
        ("0s", "a duration above zero, such as 30s"),
        ("36501d", "a duration of at most 36500d"),
    ],
    "retry_for": [("never", f"{DURATION}, or forever")],
    "max_duration": [("0m", "a duration above zero, such as 30s")],
    "on_reject": [("ignore", "stop or skip")],
    "on_ambiguous": [("ask", "resend or stop")],
    "settle": [("2", DURATION), ("-2s", DURATION)],
    "transport": [("httpx", "auto, curl or requests")],
    "progress": [("yes", "auto, bar, plain, json or none")],
    "page": [("65536", PORT), ("-1", PORT), ("http", PORT), ("٣", PORT)],
    "page_after": [("5", DURATION)],
    "report": [
        ("", "the path of a file"),
        ("~nobody-here/x", "a path whose ~ names a home folder"),
    ],
    "json": [("2", "yes or no")],
    "quiet": [("q", "yes or no")],
    "verbose": [("3", "0, 1 or 2")],
}


def cases(table: dict[str, list[tuple[str, Any]]]) -> list[tuple[str, str, Any]]:
    """Return the rows of a table, one for each value of an option."""
    return [(key, text, value) for key, rows in table.items() for text, value in rows]


@pytest.mark.parametrize(("key", "text", "value"), cases(ACCEPTED))
def test_accepted(key: str, text: str, value: object) -> None:
    """Each option accepts the values of its help."""
    assert value == BY_KEY[key].parse(text)


@pytest.mark.parametrize(("key", "text", "expected"), cases(REFUSED))
def test_refused(key: str, text: str, expected: str) -> None:
    """Each option refuses other values and says what it expected."""
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        BY_KEY[key].parse(text)


def test_tables_are_whole() -> None:
    """Each option has cases of both kinds."""
    assert BY_KEY.keys() == ACCEPTED.keys() == REFUSED.keys()


def test_every_option_has_its_field() -> None:
    """Each field of `Upload` except the meters is an option; some are only flags."""
    names = {field.name for field in fields(Upload)}
    assert BY_KEY.keys() == names - {"meters"}
    assert (
        FLAG_ONLY
        == {"meter", "restart", "adopt", "full_check"}
        == {"meter", *BY_KEY} - PARSERS.keys()
    )


def test_told_defaults_are_true() -> None:
    """Help shows the defaults that are used."""
    defaults = {field.name: field.default for field in fields(Upload)}
    for option in OPTIONS:
        default = defaults[option.key]
        assert default is not MISSING
        if not default:
            continue
        assert default == option.parse(option.default or ""), option.key


def test_names_on_the_command_line() -> None:
    """A flag is the key with dashes, a variable the key in capitals."""
    option = BY_KEY["keep_going"]
    assert (("-k", "--keep-going"), "SWARM_KEEP_GOING") == (option.flags, option.variable)
    assert ("--since",) == BY_KEY["since"].flags


@search(deadline=None)
@given(st.integers(0, 400), st.integers(0, 30), st.integers(0, 90), st.integers(1, 90))
def test_durations_add_up(days: int, hours: int, minutes: int, seconds: int) -> None:
    """The parts of a duration are summed, whatever their size."""
    text = f"{days}d{hours}h{minutes}m{seconds}s"
    assert ((days * 24 + hours) * 60 + minutes) * 60 + seconds == values.duration(text)


@search(deadline=None)
@given(st.datetimes())
def test_local_times_are_wall_times(moment: datetime) -> None:
    """A local time is in milliseconds since 1970, local time as well, rounded down."""
    expected = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    milliseconds = (expected.days * 86_400 + expected.seconds) * 1000
    milliseconds += expected.microseconds // 1000
    assert milliseconds == values.local_time(moment.isoformat())


@pytest.mark.parametrize("parse", [option.parse for option in OPTIONS])
@search(deadline=None)
@given(text=st.text())
def test_parsers_raise_nothing_else(parse: Callable[[str], object], text: str) -> None:
    """No text makes a parser raise anything but ValueError."""
    with suppress(ValueError):
        parse(text)
