"""Meters: their files, their own settings, and the choice of meters."""

from pathlib import Path

import pytest

from tests.support.ini import CREDENTIALS, SWARM, ini_text, loaded, meters, problems


def files(folder: Path, meter: str) -> list[str]:
    """Return the names of a meter's files, relative to a folder."""
    settings = loaded(folder, ini_text(meters=meter))
    return [str(file.relative_to(folder)) for file in settings.meters[0].files]


def test_files(tmp_path: Path) -> None:
    """A meter has one name, several on lines of their own, or globs; each file counts once."""
    for name in ("b-10.csv", "b-2.csv", "c.csv", ".b-3.csv", "sub/d.csv", "sub/x/e.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert ["none.csv"] == files(tmp_path, "m = none.csv")
    assert ["b-10.csv", "b-2.csv"] == files(tmp_path, "m = b-*.csv")
    assert ["b-2.csv"] == files(tmp_path, "m = [bc]-[!1]*.csv")
    assert ["c.csv", "b-10.csv", "b-2.csv"] == files(tmp_path, "m = c.csv\n  b-?*.csv\n  c.csv")
    assert ["c.csv", "b-2.csv"] == files(tmp_path, "m =\n  c.csv\n  # b-10.csv\n\tb-2.csv")
    assert ["sub/d.csv", "sub/x/e.csv"] == files(tmp_path, "m = sub/**/*.csv")


def test_glob_without_a_match_stays_a_path(tmp_path: Path) -> None:
    """The check of the files must report that there is no such file."""
    assert ["x-*.csv", "[x].csv"] == files(tmp_path, "m = x-*.csv\n  [x].csv")


def test_odd_file_names(tmp_path: Path) -> None:
    """A file with exactly that name is used, and so are the folders above it."""
    folder = tmp_path / "a[1] *?"
    folder.mkdir()
    for name in ("x[1].csv", "x1.csv", "y;z%#.csv", "a = b.csv"):
        (folder / name).touch()
    assert ["x[1].csv"] == files(folder, "m = x[1].csv")
    assert ["x1.csv", "x[1].csv"] == files(folder, "m = x*.csv")
    assert ["y;z%#.csv"] == files(folder, "m = y;z%#.csv")
    assert ["a = b.csv"] == files(folder, "m = a = b.csv")


def test_absolute_and_home_globs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Globs may begin at the root and at home; the home of an unknown user is a plain name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x1.csv").touch()
    (tmp_path / "inis").mkdir()
    text = ini_text(meters=f"a = {tmp_path}/x*.csv\nb = ~/x*.csv\nc = ~nobody-here/x*.csv")
    found = [meter.files for meter in loaded(tmp_path / "inis", text).meters]
    expected = [tmp_path / "x1.csv"]
    assert [tuple(expected)] * 2 + [(tmp_path / "inis/~nobody-here/x*.csv",)] == found


def test_name_too_long(tmp_path: Path) -> None:
    """A name that is too long for a file is a path like others."""
    assert ["*" + "x" * 300] == files(tmp_path, "m = *" + "x" * 300)


def test_own_settings_win(tmp_path: Path) -> None:
    """A meter's own settings override those of [swarm]."""
    text = ini_text(
        swarm=f"{SWARM}\ninterval = 1h\nshift = 15m",
        meters="a = a\nb = b",
        rest="[meter:b]\ntimezone = America/Chicago\nshift = 0m",
    )
    a, b = (meter.rules for meter in loaded(tmp_path, text).meters)
    assert ("Europe/Dublin", 3600.0, 900.0) == (a.timezone, a.interval, a.shift)
    assert ("America/Chicago", 3600.0, 0.0) == (b.timezone, b.interval, b.shift)


@pytest.mark.parametrize("rest", ["", "[meters]"])
def test_no_meter(tmp_path: Path, rest: str) -> None:
    """A missing meter is the only problem, whatever is set for meters."""
    text = f"[swarm]\n{SWARM}\n[credentials]\n{CREDENTIALS}\n[meter:gas]\nunit = kW\n{rest}"
    (found,) = problems(tmp_path, text, {"meters": ("gas",)})
    place = "9: " if rest else ""
    assert f"{place}[meters]: no meter; add a line such as gas-meter-01 = gas.csv" == found


def test_empty_meter(tmp_path: Path) -> None:
    """A meter without a file is a problem."""
    found = problems(tmp_path, ini_text(meters="gas =\nwater = w.csv"))
    assert ["8: [meters] gas: empty; give it a value or leave it out"] == found


def test_timezone_is_missing_once_for_each_meter(tmp_path: Path) -> None:
    """Each meter without a time zone is reported at its own line."""
    text = ini_text(
        swarm="environment = sandbox\ninterval = x",
        meters="a = a\nb = b\nc = c",
        rest="[meter:b]\ntimezone = UTC",
    )
    found = problems(tmp_path, text)
    assert ["3: [swarm] interval", "8: [meters] a", "10: [meters] c"] == [
        line.rpartition(": timezone: missing")[0] or line.partition(": found")[0] for line in found
    ]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ((), ["a", "b", "c"]),
        (("c", "a", "c"), ["a", "c"]),
        (("[ab]",), ["a", "b"]),
        (("c", "?"), ["a", "b", "c"]),
    ],
)
def test_chosen_meters(tmp_path: Path, chosen: tuple[str, ...], expected: list[str]) -> None:
    """``--meter`` chooses meters; their order is that of the INI."""
    settings = loaded(tmp_path, ini_text(meters="a = a\nb = b\nc = c"), {"meters": chosen})
    assert expected == list(meters(settings))


def test_unknown_meter(tmp_path: Path) -> None:
    """An unknown ``--meter`` is reported together with the problems of the INI."""
    text = ini_text(swarm=f"{SWARM}\nshift = x", meters="gas-01 = a")
    assert [
        "4: [swarm] shift: found 'x', expected a duration such as 90s, 15m, 2h or 1h30m",
        "--meter gas-1: no such meter; did you mean 'gas-01'?",
        "--meter xyz: no such meter",
        "--meter w*: no such meter",
    ] == problems(tmp_path, text, {"meters": ("gas-1", "xyz", "w*", "gas*")})


def test_meters_with_the_same_rules_share_them(tmp_path: Path) -> None:
    """Thousands of meters cost no rules of their own; each one's own settings stay its own."""
    text = ini_text(
        rest="[meter:b]\nshift = 15m\n[meter:d]\nshift = 15m\n[meter:e]\ntimezone = Asia/Tokyo\n",
        meters="\n".join(f"{name} = {name}.csv" for name in "abcdef"),
    )
    a, b, c, d, e, f = (meter.rules for meter in loaded(tmp_path, text).meters)
    assert a is c is f
    assert b is d
    assert [0, 900, 0] == [each.shift for each in (a, b, e)]
    assert "Asia/Tokyo" == e.timezone != a.timezone
