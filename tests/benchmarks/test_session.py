"""Runs side by side, the periods that are counted, and the version that is compared."""

import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.harness import commands
from benchmarks.harness.session import Plan, Session, compare, ratios, side_by_side
from benchmarks.harness.versions import THIS, Version, checkout
from benchmarks.results import NotMeasured
from benchmarks.suites.connections import Period

PLAN = Plan(pairs=3, seconds=1.0, is_quick=False)
OTHER = Version("commit 1", Path("/other"), sys.executable)


def session(folder: Path, other: Version | None = None) -> Session:
    """Return a session that starts nothing."""
    return Session(PLAN, folder, ExitStack(), other)


def test_every_other_round_runs_in_the_opposite_order() -> None:
    """Results stay with their function."""
    order: list[str] = []

    def run(name: str) -> str:
        order.append(name)
        return name

    assert side_by_side(2, *(partial(run, name) for name in "abc")) == [
        ["a", "a"],
        ["b", "b"],
        ["c", "c"],
    ]
    assert "".join(order) == "abccba"


def test_no_round_begins_after_the_time_is_over() -> None:
    """The first one always runs."""
    assert side_by_side(5, lambda: 1.0, most_seconds=0) == [[1.0]]


def test_versions_and_baselines_are_kept_apart(tmp_path: Path) -> None:
    """Each has its own list of results."""
    runs = compare(session(tmp_path, OTHER), lambda version: version.name, lambda: "bare")
    assert runs.this == [THIS.name] * 3
    assert runs.other == [OTHER.name] * 3
    assert runs.baselines == [["bare"] * 3]


def test_without_another_version_there_is_none(tmp_path: Path) -> None:
    """Its list is empty."""
    assert compare(session(tmp_path), lambda version: version.name).other == []


def test_a_version_that_cannot_do_it_is_left_out(tmp_path: Path) -> None:
    """It is tried once, and this version is measured all the same."""
    tried: list[str] = []

    def run(version: Version) -> str:
        tried.append(version.name)
        if version is OTHER:
            raise NotMeasured("there is no such option")
        return version.name

    runs = compare(session(tmp_path, OTHER), run)
    assert (runs.this, runs.other) == ([THIS.name] * 3, [])
    assert tried.count(OTHER.name) == 1


def test_a_ratio_needs_both_sides() -> None:
    """There is none if the upper side was not measured."""
    assert ratios([6.0, 9.0], [3.0, 3.0]) == [2.0, 3.0]
    assert ratios([], [3.0, 3.0]) == []


def test_packets_are_counted_within_the_period() -> None:
    """A period that is longer than the run ends with it."""
    times = [100 + number / 10 for number in range(101)]
    assert Period(2, 8).rate(times) == pytest.approx(10)
    assert Period(2, 80).rate(times) == pytest.approx(10)


@pytest.mark.parametrize("times", [[], [100.0, 101.0]])
def test_packets_that_end_before_the_period_have_no_rate(times: list[float]) -> None:
    """The upload was too short."""
    with pytest.raises(NotMeasured, match="all packets were sent"):
        Period(2, 8).rate(times)


def test_a_version_has_the_options_of_its_help() -> None:
    """The help of the version's own command decides."""
    version = Version("this", commands.ROOT, sys.executable)
    assert version.has_option("--max-duration")
    assert not version.has_option("--no-such-option")


def test_a_checkout_without_an_environment_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The command ends with one line and exit code 1."""
    (tmp_path / "swarm").mkdir()
    (tmp_path / "swarm" / "__main__.py").touch()
    with pytest.raises(NotMeasured, match=r"python does not exist; --against takes"):
        checkout(tmp_path)
    assert main(["--only", "start", "--against", str(tmp_path)]) == 1
    assert "--against takes a checkout with a .venv" in caplog.text


def test_a_quick_run_has_parts_of_the_sizes() -> None:
    """No size is 0."""
    assert PLAN.size(1000) == 1000
    assert Plan(1, 1.0, is_quick=True).size(1000) == 100
    assert Plan(1, 1.0, is_quick=True, divisor=5000).size(1000) == 1


def test_a_command_that_fails_is_not_measured(tmp_path: Path) -> None:
    """The message has its last line; expected exit codes are no failure."""
    command = [sys.executable, "-c", "import sys; sys.exit('no such file')"]
    with pytest.raises(NotMeasured, match="ended with 1: no such file"):
        commands.run(command, tmp_path)
    expected = commands.Setting(expected=(0, 1))
    assert commands.run(command, tmp_path, setting=expected).out == ""
