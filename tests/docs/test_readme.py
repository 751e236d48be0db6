"""The README against the command and its options: anything undocumented fails."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from swarm.cli.main import swarm, upload
from swarm.errors import PRECEDENCE

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_every_command_stands_in_the_readme() -> None:
    """Every command is documented."""
    for name in swarm.commands:
        assert f"`swarm {name}" in README


def test_every_option_of_upload_stands_in_the_readme() -> None:
    """Every option is documented."""
    for parameter in upload.params:
        for flag in parameter.opts:
            assert parameter.param_type_name == "argument" or flag in README, flag


def test_every_exit_code_stands_in_the_readme() -> None:
    """Every exit code is documented."""
    table = README.partition("## Exit codes")[2].partition("\n## ")[0]
    listed = {int(code) for code in re.findall(r"\b(\d+)\b(?=[ ,|])", table)}
    assert {0, *PRECEDENCE} <= listed


def test_the_two_lines_stand_on_one_line_each() -> None:
    """The two commands that install and run are single lines to paste."""
    lines = [line for line in README.splitlines() if line.startswith("    python3 -m venv")]
    assert len(lines) == 2
    assert lines[0].endswith("swarm sample_configs/quickstart.ini")
    assert lines[1].endswith("sh tests/all.sh")
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("name", [None, *swarm.commands])
def test_help_is_for_people(name: str | None) -> None:
    """Help is printed on stdout, within 100 columns."""
    command = [sys.executable, "-m", "swarm", *([name] if name else []), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert done.stderr == ""


def test_docstrings_begin_with_a_verb_or_a_noun() -> None:
    """No docstring begins like a question."""
    for path in sorted((ROOT / "swarm").rglob("*.py")):
        found = re.search(r'"""(Who|What|How|Which)\b.*', path.read_text(encoding="utf-8"))
        assert found is None, f"{path}: {found[0]}"
