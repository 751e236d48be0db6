"""The fuzz command, shortened for the test suite; and a check that it finds faults."""

import sys
from pathlib import Path

import pytest

from swarm.config import csv_parsers
from tests.fuzz import __main__ as fuzz
from tests.fuzz.seeds import SECRET, seeds


def test_mutated_files_break_nothing(tmp_path: Path) -> None:
    """200 inputs are refused or valid, without an exception or a secret in a message."""
    figures = fuzz.Fuzz(tmp_path / "in", 20, tmp_path / "out").run(inputs=200)
    assert [] == figures.failures
    assert 200 == figures.inputs == figures.accepted + figures.refused
    assert min(figures.refused, figures.sound, figures.unsound) > 30
    assert len(figures.kinds) > 8


def test_seeds_are_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are valid before they are mutated, so that the mutation causes each problem."""
    monkeypatch.setattr(fuzz, "mutated", lambda files, *_: files)
    figures = fuzz.Fuzz(tmp_path / "in", 1, tmp_path / "out").run(inputs=4 * len(seeds()))
    assert ([], 0, 0) == (figures.failures, figures.refused, figures.unsound)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ZeroDivisionError("x"), "ZeroDivisionError: x"),
        (ValueError(f"not {SECRET}"), "FoundError: a message shows the secret"),
    ],
)
def test_faults_are_found_and_saved(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    why: str,
) -> None:
    """A bug or a secret in a message ends the command with 1 and saves the input."""

    def broken(_text: str) -> str:
        raise error

    monkeypatch.setattr(csv_parsers, "PARSERS", {**csv_parsers.PARSERS, "timezone": broken})
    arguments = ["fuzz", "--minutes", "0.005", "--save", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert 1 == fuzz.main()
    assert why in capsys.readouterr().out
    kept = next(iter(tmp_path.iterdir()))
    assert f"{why}\n" == (kept / "why.txt").read_text()
    assert list(kept.rglob("*.ini"))
