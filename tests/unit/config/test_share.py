"""Shares: every stream falls into exactly one, and always into the same."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.config.load import load
from swarm.config.share import Share, parse_share
from tests.support.ini import ini_text


@given(st.text(min_size=1), st.integers(1, 500))
def test_a_stream_falls_into_one_share(stream: str, shares: int) -> None:
    """Of any number of shares."""
    assert 1 == sum(Share(number, shares).has(stream) for number in range(1, shares + 1))


@pytest.mark.parametrize(
    ("stream", "number"), [("gas-meter-01", 4), ("elec-meter-02", 5), ("Zähler 7", 2)]
)
def test_the_share_of_a_stream_never_changes(stream: str, number: int) -> None:
    """Its checkpoint is on the host that has always sent it."""
    assert [number] == [each for each in range(1, 9) if Share(each, 8).has(stream)]


def test_shares_are_about_equal() -> None:
    """Of many streams, each share has its part."""
    sizes = [sum(Share(k, 10).has(f"meter-{n}") for n in range(10_000)) for k in range(1, 11)]
    assert 900 < min(sizes) <= max(sizes) < 1100


@pytest.mark.parametrize(
    ("variables", "share"),
    [
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "8"}, (7, 8)),
        (
            {
                "SLURM_ARRAY_TASK_ID": "14",
                "SLURM_ARRAY_TASK_COUNT": "3",
                "SLURM_ARRAY_TASK_MIN": "10",
                "SLURM_ARRAY_TASK_STEP": "2",
            },
            (3, 3),
        ),
        ({"JOB_COMPLETION_INDEX": "0", "JOB_COMPLETIONS": "5"}, (1, 5)),
    ],
)
def test_auto_reads_the_variables_of_an_array(
    variables: dict[str, str], share: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm counts as the user asked for, Kubernetes from 0."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert share == parse_share("auto")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "neither variable is set"),
        ({"JOB_COMPLETION_INDEX": "0"}, "needs the variable JOB_COMPLETIONS: set it to the Job's"),
        ({"SLURM_ARRAY_TASK_ID": "1"}, "needs the variable SLURM_ARRAY_TASK_COUNT"),
        ({"JOB_COMPLETION_INDEX": "9", "JOB_COMPLETIONS": "5"}, "found 10/5"),
        (
            {
                "SLURM_ARRAY_TASK_ID": "9",
                "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_COUNT": "4",
            },
            "K/N: auto found 9/4 in the variables",
        ),
    ],
)
def test_auto_says_what_is_missing(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=expected):
        parse_share("auto")


def test_a_share_without_meters_says_so(tmp_path: Path) -> None:
    """It is no error: of few meters, some shares have none."""
    path = tmp_path / "meters.ini"
    path.write_text(ini_text())
    found = [load(path, {"share": Share(k, 3)}, secrets=False) for k in (1, 2, 3)]
    meters = [meter.id for settings in found for meter in settings.meters]
    assert ["gas"] == meters
    told = [any("has no meter" in each for each in settings.warnings) for settings in found]
    assert [not settings.meters for settings in found] == told
