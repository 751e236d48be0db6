"""The parts of formats of timestamps."""

import pytest

from swarm.csv.split_format import split_format


@pytest.mark.parametrize(
    ("form", "parts"),
    [
        ("%Y-%m-%d %H:%M:%S", ("%Y-%m-%d", " ", "%H:%M:%S", "")),
        ("%d.%m.%Y", ("%d.%m.%Y", "", "", "")),
        ("%Y%m%d%H%M", ("%Y%m%d", "", "%H%M", "")),
        ("%Y-%m-%dT%H:%M:%S.%f%z", ("%Y-%m-%d", "T", "%H:%M:%S", ".%f%z")),
        ("%d-%b-%y %I:%M:%S %p GMT", ("%d-%b-%y", " ", "%I:%M:%S %p", " GMT")),
        ("%b %d, %Y at %H:%M %z", ("%b %d, %Y", " at ", "%H:%M", " %z")),
        ("%Y-%j %H", ("%Y-%j", " ", "%H", "")),
        ("%Y-%m-%d%z", ("%Y-%m-%d", "", "", "%z")),
        ("unix_ms", ("unix_ms", "", "", "")),
    ],
)
def test_parts(form: str, parts: tuple[str, str, str, str]) -> None:
    """A date, a time of day, and what follows."""
    assert (split := split_format(form))
    assert parts == split[:4]


@pytest.mark.parametrize(
    "form",
    [
        "%H:%M %d.%m.%Y",
        "%d.%m.%Y %H:%M - *",
        "%Y-%m-%d %H:%M:%S%f",
        "%Y-%m-%d %H:%M00",
        "%c",
        "at %Y-%m-%d",
        "%Y-%m-%d %H:%M %%",
        "%d.%m. %H:%M %Y",
        "",
    ],
)
def test_formats_without_such_parts(form: str) -> None:
    """Timestamps in other formats are parsed as a whole."""
    assert split_format(form) is None
