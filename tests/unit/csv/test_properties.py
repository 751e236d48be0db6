"""Properties of any CSV: numbers, instants, fast and slow path, the order of rows."""

import json
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm.csv import CheckResult
from swarm.csv.numbers import are_equal, number
from swarm.localtime import Zone, midnight
from swarm.packet import body, digest, instant_of, packet, timestamp
from tests.support.meters import kinds, looked_at, sent, told, written

ZONES = (
    *("UTC", "Europe/Dublin", "Europe/London", "America/Chicago", "America/St_Johns"),
    *("America/Sao_Paulo", "America/Havana", "Asia/Kathmandu", "Asia/Gaza", "Africa/Casablanca"),
    *("Australia/Lord_Howe", "Pacific/Apia", "Pacific/Chatham", "Antarctica/Troll", "Asia/Tehran"),
)
YEARS = (datetime(1900, 1, 1, tzinfo=UTC), datetime(2037, 12, 31, tzinfo=UTC))

quick = settings(
    max_examples=60,
    deadline=None,
    # All examples may share the folder: each one overwrites the file.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
decimals = st.from_regex(
    r"\A[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,2})?\Z",
    fullmatch=True,
)


# Numbers


@quick
@given(st.lists(decimals, min_size=1, max_size=30))
def test_any_decimal_text_reaches_the_packet_exactly(tmp_path: Path, cells: list[str]) -> None:
    """Values are decimals: no value is rounded, whatever its number of digits."""
    start = datetime(2023, 1, 1)
    text = "".join(f"{start + timedelta(hours=n)},{cell}\n" for n, cell in enumerate(cells))
    rows = sent(written(tmp_path / "m.csv", text))
    for row, cell in zip(rows, cells, strict=True):
        data = packet("m", row.instant, row.offset, body(("value",), row.cells))
        found = json.loads(data, parse_float=Decimal, parse_int=Decimal)
        assert found["value"] == Decimal(cell)
        assert found["value"].as_tuple().exponent == Decimal(cell).as_tuple().exponent


@given(decimals, decimals)
def test_digests_are_equal_if_the_values_are(one: str, other: str) -> None:
    """And only then; `are_equal` finds the same."""
    digests = [digest(body(("value",), number(cell))) for cell in (one, other)]
    assert (digests[0] == digests[1]) == (Decimal(one) == Decimal(other))
    assert (digests[0] == digests[1]) == are_equal(number(one), number(other))


@given(st.integers(-(10**20), 10**20), st.integers(-25, 25), st.integers(0, 12))
def test_the_digest_is_of_the_value_not_of_its_form(value: int, power: int, zeros: int) -> None:
    """Exponents, and zeros at the end, do not change the digest."""
    plain = f"{Decimal(f'{value}e{power}'):f}"
    padded = plain + ("" if "." in plain else ".0") + "0" * zeros
    forms = {f"{value}e{power}", f"{value}{'0' * zeros}E{power - zeros}", plain, padded}
    assert len({digest(body(("value",), number(form))) for form in forms}) == 1


# Instants


@lru_cache
def changes(name: str) -> list[int]:
    """Return instants (s) at which the clocks of a zone change."""
    zone, found = ZoneInfo(name), []
    day = int(datetime(2005, 1, 1, tzinfo=UTC).timestamp())
    for start in range(day, day + 12 * 365 * 86_400, 86_400):
        low, high = start, start + 86_400
        if _offset(zone, low) != _offset(zone, high):
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (
                    (middle, high) if _offset(zone, middle) == _offset(zone, low) else (low, middle)
                )
            found.append(high)
    return found


def _offset(zone: ZoneInfo, instant: int) -> timedelta | None:
    return datetime.fromtimestamp(instant, zone).utcoffset()


@st.composite
def moments(draw: st.DrawFn) -> tuple[str, int]:
    """Draw a zone and an instant (s) in it, often one near a clock change."""
    name = draw(st.sampled_from(ZONES))
    low, high = (int(year.timestamp()) for year in YEARS)
    if draw(st.booleans()) and changes(name):
        change = draw(st.sampled_from(changes(name)))
        low, high = change - 7300, change + 7300
    return name, draw(st.integers(low, high))


@settings(quick, max_examples=250)
@given(moments(), st.sampled_from(["%Y-%m-%d %H:%M:%S", "%d.%m.%y %H-%M-%S", "%Y%m%d%H%M%S"]))
def test_any_instant_survives_its_local_time(
    tmp_path: Path, moment: tuple[str, int], layout: str
) -> None:
    """Instant -> local time -> CSV -> packet -> the same instant."""
    name, instant = moment
    layout = layout if datetime(1969, 1, 2, tzinfo=UTC).timestamp() < instant else "%Y%m%d%H%M%S"
    local = datetime.fromtimestamp(instant, ZoneInfo(name))
    path = written(tmp_path / "m.csv", f"{local.strftime(layout)},1\n")
    second = "second" if local.fold else "first"
    (row,) = sent(path, timezone=name, timestamp_format=layout, ambiguous_time=second)
    assert row.instant == instant * 1000
    assert instant_of(timestamp(row.instant, row.offset)) == instant * 1000
    assert row.offset == Zone(name).offset_at(instant * 1000)


@settings(quick, max_examples=60)
@given(st.data(), st.sampled_from([5, 15, 30]), st.integers(0, 50))
def test_any_meter_in_step_is_read_through_a_clock_change(
    tmp_path: Path, data: st.DataObject, minutes: int, after: int
) -> None:
    """``infer``: rows at a fixed interval are read at that interval, wherever the file ends."""
    name = data.draw(st.sampled_from([zone for zone in ZONES if changes(zone)]))
    change = data.draw(st.sampled_from(changes(name)))
    # The file begins before the repeated hour: if it began inside, its pass would not be known.
    instants = [change + n * minutes * 60 for n in range(-200 // minutes, after)]
    times = [datetime.fromtimestamp(n, ZoneInfo(name)).replace(tzinfo=None) for n in instants]
    path = written(tmp_path / "m.csv", "".join(f"{time},{n}\n" for n, time in enumerate(times)))
    assert [row.instant // 1000 for row in sent(path, timezone=name)] == instants


# The fast and the slow path


dates = st.one_of(
    st.integers(0, 400).map(lambda n: f"{datetime(2023, 1, 1) + timedelta(hours=11.5 * n)}"),
    st.sampled_from(["2023-03-26 01:30:00", "2023-10-29 01:30:00", "2023-10-29 01:00:00"]),
    st.sampled_from(["2023-02-30 00:00:00", "2023-01-01", "time", "", "0001-01-01 00:00:00"]),
)
numbers = st.sampled_from(["1", "-2.50", "0", "007", "1e3", "x", "", "-", "1.", "nan", "9" * 120])
plain_numbers = st.sampled_from(["1", "-2.50", "0", "123456.789", "-0", "0.001"])


@st.composite
def files(draw: st.DrawFn) -> str:
    """Draw a file, plain or not."""
    columns = draw(st.sampled_from([1, 1, 21]))
    cell = draw(st.sampled_from([numbers, plain_numbers]))
    row = st.tuples(dates, st.lists(cell, min_size=columns, max_size=columns))
    odd = st.sampled_from(["", "x", "2023-01-01 00:00:00,1,2", "\0", "é,1", "," * columns])
    line = row.map(lambda found: ",".join((found[0], *found[1])))
    lines = draw(st.lists(line if draw(st.booleans()) else st.one_of(line, line, line, odd)))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return end.join(lines) + draw(st.sampled_from(["", end]))


def _summary(found: CheckResult) -> tuple[Any, ...]:
    return kinds(found), found.problem_count, found.rows, found.filtered, found.registers


@settings(quick, max_examples=60)
@given(files())
def test_both_paths_agree_on_any_file(tmp_path: Path, content: str) -> None:
    """A blank next to each comma forces the slow path, and has no other effect."""
    paths = [
        written(tmp_path / "fast.csv", content),
        written(tmp_path / "slow.csv", content.replace(",", " , ")),
    ]
    rules: dict[str, Any] = {"timezone": "Europe/Dublin", "duplicates": "last"}
    found = [looked_at(path, **rules) for path in paths]
    assert _summary(found[0]) == _summary(found[1])
    if found[0].is_sound:
        rows = [sent(path, **rules) for path in paths]
        assert [row[:5] for row in rows[0]] == [row[:5] for row in rows[1]]


# The order of rows


@st.composite
def shuffles(draw: st.DrawFn) -> tuple[list[str], list[str], int]:
    """Draw rows of different instants, the same rows in another order, and a number of files."""
    instants = draw(st.lists(st.integers(0, 25_000), unique=True, min_size=1, max_size=60))
    zone = ZoneInfo("Europe/Dublin")
    start = int(datetime(2023, 1, 1, tzinfo=UTC).timestamp())
    # Months without a repeated hour, in which the passes depend on the order of the file.
    times = [datetime.fromtimestamp(start + n * 900, zone) for n in sorted(instants)]
    rows = [f"{time:%Y-%m-%d %H:%M:%S},{n}\n" for n, time in enumerate(times)]
    repeats = draw(st.lists(st.sampled_from(rows), max_size=5))
    return rows, draw(st.permutations(rows + repeats)), draw(st.integers(1, 4))


@quick
@given(shuffles())
def test_any_order_of_rows_over_any_files_is_the_same_stream(
    tmp_path: Path, shuffle: tuple[list[str], list[str], int]
) -> None:
    """The rows are sorted, without exact repeats."""
    rows, mixed, count = shuffle
    plain = sent(written(tmp_path / "m.csv", "".join(rows)), timezone="Europe/Dublin")
    parts = ["".join(mixed[n::count]) for n in range(count)]
    paths = [written(tmp_path / f"{n}.csv", part) for n, part in enumerate(parts) if part]
    assert told(sent(*paths, timezone="Europe/Dublin")) == told(plain)
    assert looked_at(*paths, timezone="Europe/Dublin").filtered == len(mixed) - len(rows)


# Any content


RULES: list[dict[str, Any]] = [
    {},
    {"delimiter": ";", "decimal": ",", "timestamp_format": "%d/%m/%Y %H:%M", "skip_rows": 1},
    {"columns": ("-", "aP_1"), "scale": (("aP_1", 3),), "empty_rows": "skip"},
    {"power_from_energy": 15.0, "shift": 900.0, "pad_first": True, "duplicates": "last"},
    {"timezone": None, "timestamp_format": "%Y-%m-%dT%H:%M:%S.%f%z", "utc": True},
]
pieces = st.sampled_from(
    [
        *("2023-01-01 00:00:00", "9999-12-31 23:59:59", "2023-10-29 01:30:00", "1/2/2023 10:00"),
        *("2023-01-01T00:00:00.5+0100", ",", ",", ";", "\n", "\n", "\r", '"', '""', " ", "\t"),
        *("1", "1e308", "1e-999999999", "-0", ".5", "5.", "e", "\0", "\ufeff", "é", "٣", "time"),
    ]
)


@settings(quick, max_examples=120)
@given(
    st.one_of(st.binary(max_size=300), st.lists(pieces, max_size=60).map("".join)),
    st.sampled_from(RULES),
    st.sampled_from(["m.csv", "m.csv.gz"]),
)
def test_the_check_never_fails(
    tmp_path: Path, content: str | bytes, rules: dict[str, Any], name: str
) -> None:
    """A file with any content is sound or has problems; a sound one can be sent."""
    path = written(tmp_path / name, content)
    found = looked_at(path, **rules)
    for problem in found.problems:
        assert str(problem).startswith(f"{path}:{problem.line}:{problem.column}: ")
        assert str(problem).isprintable()
    if found.is_sound:
        for row in sent(path, **rules):
            json.loads(packet("m", row.instant, row.offset, body(found.registers, row.cells)))
    else:
        assert found.problem_count >= len(found.problems) > 0


@pytest.mark.parametrize("size", [0, 1, 1000, 100_000])
def test_random_bytes_are_problems(size: int, tmp_path: Path) -> None:
    """Random data are not read as rows."""
    assert not looked_at(written(tmp_path / "m.csv", os.urandom(size))).is_sound


@given(st.dates())
def test_midnight_is_the_day_number(day: Any) -> None:
    """For each day of the calendar."""
    assert midnight(str(day)) // 86_400_000 == (day - datetime(1970, 1, 1).date()).days
