"""``--share``: several runs that divide the streams of one INI among them."""

import json
from pathlib import Path

import pytest

from tests.support.collector import Collector
from tests.support.workspace import Workspace, packets, rows

STREAMS = [f"m{number}" for number in range(8)]
ROWS = rows(20)


def config_of(workspace: Workspace, url: str, streams: list[str] = STREAMS) -> Path:
    """Write an INI with streams, and their files."""
    for stream in streams:
        workspace.csv(f"{stream}.csv", ROWS)
    return workspace.ini(url, {stream: f"{stream}.csv" for stream in streams})


def test_the_shares_of_a_check_are_the_whole(workspace: Workspace) -> None:
    """Each meter is in one of two shares, in the order of the INI."""
    config = config_of(workspace, "https://collector.example/")
    found = []
    for share in ("1/2", "2/2"):
        done = workspace.run("check", config, "--share", share, "--json")
        assert 0 == done.code, done.err
        found.append([meter["id"] for meter in json.loads(done.out)["meters"]])
    assert STREAMS == sorted(found[0] + found[1])
    assert all(each == sorted(each) and each for each in found)


def test_the_shares_of_an_upload_are_the_whole(workspace: Workspace, collector: Collector) -> None:
    """Hosts with a state folder each send every row once; a share never sends that of another."""
    config = config_of(workspace, collector.url)
    text = config.read_text()
    for number in (1, 2, 3, 1):
        state = workspace.folder / f"state-{number}"
        config.write_text(text.replace(f"state = {workspace.state}", f"state = {state}"))
        done = workspace.run(config, "--json", env={"SWARM_SHARE": f"{number}/3"}).balanced()
        assert 0 == done.code, done.err
    for stream in STREAMS:
        assert packets(stream, ROWS) == collector.packets(stream)


def test_a_task_of_an_array_sends_its_share(workspace: Workspace, collector: Collector) -> None:
    """``auto`` is the share that the variables of the array name."""
    config = config_of(workspace, collector.url)
    for index in ("0", "1"):
        variables = {"JOB_COMPLETION_INDEX": index, "JOB_COMPLETIONS": "2"}
        done = workspace.run(config, "--share", "auto", env=variables)
        assert 0 == done.code, done.err
    for stream in STREAMS:
        assert packets(stream, ROWS) == collector.packets(stream)


@pytest.mark.parametrize("command", [["check"], ["upload", "--dry-run"]])
def test_a_share_without_meters_is_no_error(workspace: Workspace, command: list[str]) -> None:
    """Of few meters, some shares have none: one line says so, and the exit code is 0."""
    config = config_of(workspace, "https://collector.example/", ["m0"])
    shares = [f"{number}/2" for number in (1, 2)]
    runs = [
        workspace.run(*command, config, "--share", share, "--progress", "none") for share in shares
    ]
    assert [0, 0] == [done.code for done in runs]
    told = {done.err for done in runs}
    assert "" in told
    assert told - {""} <= {
        f"warning: share {share} has no meter: there is nothing to do\n" for share in shares
    }
    assert 2 == len(told)


def test_an_upload_of_a_share_without_meters_asks_nothing(
    workspace: Workspace, collector: Collector
) -> None:
    """Only one of two shares has the meter; the other sends nothing, and is no failure."""
    config = config_of(workspace, collector.url, ["m0"])
    sent = []
    for number in (1, 2):
        before = len(collector.requests)
        done = workspace.run(config, "--share", f"{number}/2", "--json")
        assert 0 == done.code, done.err
        sent.append(len(done.report["meters"]))
        assert (len(collector.requests) > before) == bool(done.report["meters"])
    assert [0, 1] == sorted(sent)
