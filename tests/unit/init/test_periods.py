"""Tests of `swarm.init.periods`: names of files that differ only by a period."""

from pathlib import Path

import pytest

from swarm.init.periods import by_period, pattern_of, without_period
from tests.support.meters import written


@pytest.mark.parametrize(
    ("names", "meter"),
    [
        (["gas-2023.csv", "gas-2024.csv"], "gas"),
        (["gas_2023-01.csv", "gas_2023-02.csv"], "gas"),
        (["gas 2023-01-31.csv", "gas 2023-02-28.csv"], "gas"),
        (["gas-20230131.csv", "gas-20230228.csv"], "gas"),
        (["gas-202301.csv.gz", "gas-202302.csv.gz"], "gas"),
        (["01-2023 gas.csv", "02-2023 gas.csv"], "gas"),
        (["31.01.2023_gas.csv", "28.02.2023_gas.csv"], "gas"),
        (["gas-2023-Q1.csv", "gas-2023-Q2.csv"], "gas"),
        (["gas-January-2023.csv", "gas-February-2023.csv"], "gas"),
        (["gas Jan 2023.csv", "gas feb 2023.csv"], "gas"),
        (["Gas-März.csv", "Gas-Dezember.csv"], "Gas"),
        (["2023_gas_export.csv", "2024_gas_export.csv"], "gas_export"),
        (["e_2023-01-01_to_2023-01-31.csv", "e_2023-02-01_to_2023-02-28.csv"], "e"),
    ],
)
def test_names_of_one_meter(names: list[str], meter: str) -> None:
    """Years, months, days, quarters and ranges are periods, wherever they are in the name."""
    paths = [Path(name) for name in names]
    assert [sorted(paths)] == by_period(paths)
    assert {meter} == {without_period(path.name.partition(".c")[0]) for path in paths}


@pytest.mark.parametrize(
    "names",
    [
        ["gas.csv", "water.csv"],
        ["meter-01.csv", "meter-02.csv"],
        ["meter-1.csv", "meter-2.csv"],
        ["a-2023.csv", "b-2024.csv"],
        ["a/gas-2023.csv", "b/gas-2024.csv"],
        ["gas-2023.csv", "gas-2024.csv.gz"],
        ["42023.csv", "42024.csv"],
        ["mayor.csv", "junior.csv"],
        ["gas-2023-13.csv", "gas-2023-14.csv"],
    ],
)
def test_names_of_several_meters(names: list[str]) -> None:
    """Other numbers, other names and other folders are other meters."""
    assert len(names) == len(by_period(map(Path, names)))


@pytest.mark.parametrize(
    ("others", "pattern"),
    [
        ([], "gas-*.csv"),
        (["gas-old.csv"], "gas-[0-9][0-9][0-9][0-9].csv"),
        (["gas-old.csv", "gas-2022.csv"], ""),
    ],
)
def test_a_pattern_matches_no_other_file(tmp_path: Path, others: list[str], pattern: str) -> None:
    """The glob is as short as other files in the folder allow, or there is none."""
    paths = [written(tmp_path / f"gas-{year}.csv", "x") for year in (2023, 2024)]
    for name in others:
        written(tmp_path / name, "x")
    assert pattern == pattern_of(paths)


def test_signs_of_a_pattern_in_a_name(tmp_path: Path) -> None:
    """Brackets in a name stand for themselves."""
    paths = [written(tmp_path / f"gas [a] {year}.csv", "x") for year in (2023, 2024)]
    written(tmp_path / "gas a 2023.csv", "x")
    assert "gas [[]a] *.csv" == pattern_of(paths)
