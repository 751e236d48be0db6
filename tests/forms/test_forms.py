"""Each sample goes through ``swarm init``, ``swarm check`` and a dry run, as a user does it."""

import shutil
from pathlib import Path

import pytest

from tests.forms.table import FORMS, Form
from tests.support.workspace import Workspace

SAMPLES = Path(__file__).parent / "samples"
PAGE = Path(__file__).parents[2] / "docs" / "forms.md"
#: The least share of the forms that need no hand.
_LEAST = 30


@pytest.mark.parametrize("form", FORMS, ids=[form.file for form in FORMS])
def test_each_form(workspace: Workspace, form: Form) -> None:
    """The settings and packets are those of the table, or the refusal is."""
    shutil.copy(SAMPLES / form.file, workspace.folder)
    made = workspace.run("init", form.file, "--timezone", form.zone)
    if form.refused:
        assert (3, "") == (made.code, made.out)
        assert made.err.startswith(form.refused)
        assert 1 == len(made.err.splitlines())
        return
    assert 0 == made.code, made.err
    meter = Path(form.file).stem
    _, _, section = made.out.partition(f"[meter:{meter}]\n")
    options = [line for line in section.splitlines() if not line.startswith("#")]
    assert form.settings.splitlines() == options
    (workspace.folder / "meters.ini").write_text(made.out, encoding="utf-8")
    checked = workspace.run("check", "meters.ini")
    assert (0, True) == (checked.code, "sound" in checked.out), checked.err
    dry = workspace.run("meters.ini", "--dry-run")
    head = f'{{"id":"{meter}","tsISO8601":"'
    assert [f"{head}{packet}}}" for packet in form.packets] == dry.out.splitlines()


def test_enough_forms_need_no_hand() -> None:
    """At least thirty forms are read as they are, and every sample has an entry."""
    assert _LEAST <= sum(form.is_right for form in FORMS)
    assert {form.file for form in FORMS} == {path.name for path in SAMPLES.iterdir()}
    assert len(FORMS) == len({form.name for form in FORMS})


def test_the_page_shows_each_form() -> None:
    """The rows of docs/forms.md are those of the table, in its order."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| form")]
    assert [form.row for form in FORMS] == rows


def test_the_page_counts_the_forms() -> None:
    """The page says how many forms need no hand."""
    right = sum(form.is_right for form in FORMS)
    assert f"{right} of the {len(FORMS)} forms" in PAGE.read_text(encoding="utf-8")
