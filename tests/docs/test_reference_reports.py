"""``docs/reference.md`` against the reports: each column, key, state and kind of problem."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from swarm.cli import check_report, status_report, upload_report
from swarm.config.options import Upload
from swarm.config.settings import CsvRules, Meter, Settings
from swarm.config.timetable import Timetable
from swarm.csv import Window, check_files
from swarm.csv.problems import Kind
from swarm.delivery.result import State, StreamKind, StreamProblem, Tally, Verified
from swarm.delivery.status import StreamStatus
from swarm.errors import PRECEDENCE, ExitCode
from swarm.run import report
from tests.docs.test_reference import code, section, table

PROBLEM = StreamProblem("late", "m", ExitCode.DATA, 1, 200)
TIME = "2023-01-01T00:00:00.000+00:00"


def upload() -> tuple[str, dict[str, Any]]:
    """Return the report of an upload with everything in it, as table and as JSON."""
    tally = Tally(sent=1, resumed=1, rejected=1, late=1, filtered=1, first=1.0, last=2.0)
    meter = report.MeterReport("m", "m.csv", "done", 6, tally, TIME, TIME, "yes", PROBLEM)
    use = report.ClusterUse("tls://c:8786", hosts=2, workers=4, lost=1, moved=3)
    found = report.Report("c.ini", "https://c", 1.0, 2.0, 1.0, (meter, meter), cluster=use)
    return upload_report.as_table(found), json.loads(upload_report.as_json(found))


def check(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the report of a check of a meter with a gap and of one with a problem."""
    sound, bad = folder / "a.csv", folder / "b.csv"
    sound.write_text("".join(f"2023-07-01 {hour:02}:00:00,1\n" for hour in (0, 1, 2, 3, 7, 8)))
    bad.write_text("2023-07-01 00:00:00,x\n")
    rules = CsvRules("UTC")
    meters = tuple(Meter(p.stem, (p,), rules) for p in (sound, bad))
    results = [check_files(meter, Window(), with_quality=True) for meter in meters]
    settings = Settings(Path("c.ini"), "c", "https://c", meters, Upload(), Path("state"))
    told = json.loads(check_report.as_json(settings, results, Timetable.constant(10)))
    return check_report.as_table(results), told


def status() -> tuple[str, dict[str, Any]]:
    """Return the report of the status of a meter."""
    stream_status = StreamStatus("m", 5, 1, 1, 1, 1, 1, TIME, TIME, problems=(PROBLEM,))
    return status_report.as_table([stream_status]), json.loads(
        status_report.as_json([stream_status])
    )


@pytest.fixture(params=["upload", "check", "status"])
def told(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str, dict[str, Any]]:
    """Return the heading of a command's section, its table and its JSON."""
    name: str = request.param
    shown, facts = {"upload": upload, "status": status}.get(name, lambda: check(tmp_path))()
    return f"Of a{'n' * (name == 'upload')} {name}", shown, facts


def test_columns_and_keys_of_a_meter(told: tuple[str, str, dict[str, Any]]) -> None:
    """The page has exactly the columns, and exactly the keys in their order."""
    heading, shown, facts = told
    rows = table(heading, "column | key in JSON")
    columns = [name for cells in rows for name in code(cells[0])]
    assert sorted(columns) == sorted(re.split(r" {2,}", shown.splitlines()[0].strip()))
    assert [code(cells[1])[0] for cells in rows] == list(facts["meters"][0])


@pytest.mark.parametrize(
    ("heading", "columns"),
    [("Of an upload", "key of the whole run"), ("Of a check", "key of the whole check")],
)
def test_keys_of_the_whole(heading: str, columns: str, tmp_path: Path) -> None:
    """The page has the keys beside the meters; a status has no such keys."""
    facts = (upload() if "upload" in heading else check(tmp_path))[1]
    assert [code(cells[0])[0] for cells in table(heading, columns)] == list(facts)
    assert list(status()[1]) == ["meters"]


def test_keys_inside(tmp_path: Path) -> None:
    """Keys of lists and objects of a meter are named beside them."""
    meter = upload()[1]["meters"][0]
    facts = {name: text for _, name, text in table("Of an upload", "column | key in JSON")}
    assert set(meter["problem"]) <= set(code(facts["`problem`"]))
    sound, bad = check(tmp_path)[1]["meters"]
    facts = {name: text for _, name, text in table("Of a check", "column | key in JSON")}
    assert list(sound["gaps"][0]) == code(facts["`gaps`"])
    assert ["sound", *bad["problems"][0]] == code(facts["`problems`"])
    (totals,) = [text for name, text in table("Of an upload", "key of the") if name == "`totals`"]
    assert set(upload()[1]["totals"]) - set(meter) == set(code(totals))


def test_states_and_verified() -> None:
    """The page has each value of the two columns."""
    for name, words in (("state", State), ("verified", Verified)):
        rows = table("Of an upload", f"`{name}` | meaning")
        assert [code(cells[0])[0] for cells in rows] == list(get_args(words))


def test_kinds_of_problems() -> None:
    """The page has each kind of problem, for meters with its exit code, and for files."""
    first, second = (table("Kinds of problems", f"kind | {next_}") for next_ in ("exit", "meaning"))
    assert {code(cells[0])[0] for cells in first} == set(get_args(StreamKind))
    assert {code(cells[0])[0] for cells in second} == set(get_args(Kind))
    codes = {int(cells[1]) for cells in first}
    assert codes <= {0, *PRECEDENCE}
    assert "exit code 5" in section("Kinds of problems")
