"""The guessed formats of timestamps."""

from datetime import datetime, timedelta

import pytest

from swarm.config.csv_parsers import timestamp_format
from swarm.csv.guessed_formats import fitting, forms

BOTH = ("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-01-31 10:15:00", ("%Y-%m-%d %H:%M:%S",)),
        ("2023-01-31T10:15:00", ("%Y-%m-%dT%H:%M:%S",)),
        ("2023-01-31 10:15", ("%Y-%m-%d %H:%M",)),
        ("2023-01-31", ("%Y-%m-%d",)),
        ("2023-01-31 10:15:00.123456", ("%Y-%m-%d %H:%M:%S.%f",)),
        ("2023-01-31 10:15:00,123", ("%Y-%m-%d %H:%M:%S,%f",)),
        ("2023-01-31T10:15:00Z", ("%Y-%m-%dT%H:%M:%S%z",)),
        ("2023-01-31T10:15:00.5+01:00", ("%Y-%m-%dT%H:%M:%S.%f%z",)),
        ("2023-01-31 10:15:00 +0100", ("%Y-%m-%d %H:%M:%S %z",)),
        ("2023/01/31 10:15", ("%Y/%m/%d %H:%M",)),
        ("31.01.2023 10:15", ("%d.%m.%Y %H:%M",)),
        ("31.01.23 10:15", ("%d.%m.%y %H:%M",)),
        ("31/01/2023 10:15", ("%d/%m/%Y %H:%M",)),
        ("01/31/2023 10:15", ("%m/%d/%Y %H:%M",)),
        ("1/2/2023 9:05", BOTH),
        ("01-02-2023 10:15", ("%d-%m-%Y %H:%M", "%m-%d-%Y %H:%M")),
        ("1/31/2023 9:05:00 PM", ("%m/%d/%Y %I:%M:%S %p",)),
        ("1/2/2023 9:05 AM", ("%m/%d/%Y %I:%M %p", "%d/%m/%Y %I:%M %p")),
        ("1/31/2023 9:05pm", ("%m/%d/%Y %I:%M%p",)),
        ("31/01/23 10:15", ("%d/%m/%y %H:%M", "%y/%m/%d %H:%M")),
        ("01/02/23 10:15", ("%d/%m/%y %H:%M", "%m/%d/%y %H:%M", "%y/%m/%d %H:%M")),
        ("31-Jan-2023 10:15", ("%d-%b-%Y %H:%M",)),
        ("31 Jan 23 10:15", ("%d %b %y %H:%M",)),
        ("2023-01-31 10:15:00 UTC", ("%Y-%m-%d %H:%M:%S UTC",)),
        ("31.01.2023 10:15 GMT", ("%d.%m.%Y %H:%M GMT",)),
        ("20230131 1015", ("%Y%m%d %H%M",)),
        ("20230131T101500Z", ("%Y%m%dT%H%M%S%z",)),
        ("20230131101500", ("%Y%m%d%H%M%S",)),
        ("2023-01-31 24:00", ("%Y-%m-%d %H:%M",)),
        ("2023013124:00", ()),
        ("31.01.2023 10:15 - 31.01.2023 10:30", ("%d.%m.%Y %H:%M - *",)),
        ("2023-01-31 10:15:00 to 10:30", ("%Y-%m-%d %H:%M:%S to *",)),
        ("1/2/2023 10:15  -  x1", ("%d/%m/%Y %H:%M  -  *", "%m/%d/%Y %H:%M  -  *")),
        ("2023-01-31 10:15 - later", ()),
        ("x1 - 2023-01-31", ()),
        *(
            (text, ())
            for text in (
                *("", "x", "time", "12.5", "1675156500", "12345678", "2023-13-01 00:00"),
                *(
                    "23-01-31 10:15",
                    "2023-01-31 10:15:00 PST",
                    "2023-01-31 25:00",
                    "2023-01-3110:15",
                ),
                *(
                    "2023-01-31 10:15:00+01",
                    "2023-01-31 10:15:00.1234567",
                    "2023-01-3\N{ARABIC-INDIC DIGIT ONE}",
                ),
            )
        ),
    ],
)
def test_forms(text: str, expected: tuple[str, ...]) -> None:
    """Every possible format is returned, and each is one that the INI accepts."""
    assert expected == forms(text)
    for form in expected:
        assert form == timestamp_format(form)


def every(minutes: int, count: int, form: str, start: str = "2023-02-01") -> list[str]:
    """Return ``count`` timestamps in a format, ``minutes`` apart."""
    first = datetime.fromisoformat(start)
    return [(first + n * timedelta(minutes=minutes)).strftime(form) for n in range(count)]


@pytest.mark.parametrize("form", BOTH)
def test_a_day_above_twelve_decides(form: str) -> None:
    """A day above 12 decides between day first and month first."""
    assert (form,) == fitting(every(24 * 60, 20, form))


@pytest.mark.parametrize("form", BOTH)
def test_the_steps_decide(form: str) -> None:
    """Hourly rows of a few days do not leap from month to month."""
    assert (form,) == fitting(every(60, 72, form))


def test_ambiguous_formats() -> None:
    """Both formats are left for rows of one day, and for dates, which may be months apart."""
    assert BOTH == fitting(every(15, 96, BOTH[0]))
    assert ("%d/%m/%Y", "%m/%d/%Y") == fitting(every(24 * 60, 10, "%d/%m/%Y"))


def test_lines_of_another_kind_do_not_count() -> None:
    """A line with a total, or a broken row, is ignored."""
    assert (BOTH[0],) == fitting(["Total", *every(60, 72, BOTH[0]), "31/31/2023 00:00", ""])
    assert () == fitting(["Total"])
