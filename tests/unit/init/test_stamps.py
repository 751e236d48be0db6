"""Tests of `swarm.init.stamps`: the columns of the timestamp, and times that can't be read."""

import pytest

from swarm.init.stamps import by_day, find, refusal


@pytest.mark.parametrize(
    ("rows", "stamps"),
    [
        (["2023-01-31 10:15:00,1", "2023-01-31 10:30:00,1"], (1,)),
        (["a,2023-01-31 10:15,1", "a,2023-01-31 10:30,1"], (2,)),
        (["1,2,2023-01-31T10:15:00Z", "1,3,2023-01-31T10:30:00Z"], (3,)),
        (["2023-01-31,10:15,1", "2023-01-31,10:30,1"], (1, 2)),
        (["10:15,31/01/2023,1", "10:30,31/01/2023,1"], (2, 1)),
        (["2023-01-31,x,10:15,10:30,1", "2023-01-31,x,10:30,10:45,1"], (1, 3)),
        (["2023-01-01,2023-01-31 10:15,1", "2023-01-01,2023-01-31 10:30,1"], (2,)),
        (["2023-01-30,1", "2023-01-31,1"], (1,)),
        (["20230131,10:15 PM,1", "20230131,10:30 PM,1"], (1, 2)),
        (["12345678,2023-01-30,1", "12345678,2023-01-31,1"], (2,)),
        (["Period,01.01.2023,31.01.2023", "2023-01-31 10:15,1", "2023-01-31 10:30,1"], (1,)),
        (["2023-01-31", "x,y"], ()),
        (["31.01.2023 10:00 - 31.01.2023 11:00,1", "31.01.2023 11:00 - x9,2"], (1,)),
        (["7,1675152000,1", "7,1675152010,1"], (2,)),
        (["1675152000123,1", "1675152010456,2"], (1,)),
        (["1675152000,2023-01-31 10:15", "1675152010,2023-01-31 10:30"], (2,)),
        (["1675152000,1", "1675152000,2"], ()),
        (["t,kWh", "1675152000,1"], (1,)),
    ],
)
def test_the_columns_of_the_timestamp(rows: list[str], stamps: tuple[int, ...]) -> None:
    """The first column whose times differ, and the time of day beside a date."""
    assert stamps == find([row.split(",") for row in rows])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("44957.427083,1", "numbers of days, as spreadsheets count them"),
        ("2023-01-31 10:00 EST,1", "end in the name of a zone"),
    ],
)
def test_times_that_cannot_be_read(row: str, message: str) -> None:
    """The message says what they are, and what to do."""
    assert message in refusal([row.split(",")])


def test_what_is_no_time() -> None:
    """Other texts have no such message."""
    assert "" == refusal([["a", "b"], ["12", "13.5"], []])


def test_days_as_rows() -> None:
    """NEM12 and a column for each time of day are recognized."""
    assert by_day([["100", "NEM12", "202301010000"]]).startswith("NEM12")
    slots = [f"{hour:02}:00" for hour in range(24)]
    assert by_day([["Date", *slots]]).startswith("a row for each day")
    assert by_day([["Date", *(f"{slot}-{slot}" for slot in slots)]]).startswith("a row for each")
    assert "" == by_day([["Date", "Time", "10:00"], ["2023-01-31", "10:15", "1"]])
