"""``swarm split``: one CSV a meter of wide and long exports, as whole files or none."""

import gzip
import os
import signal
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.workspace import Finished, Workspace, ended

WIDE = (
    "Time;gas;water\r\n"
    "01/02/2023 00:00;1,50;007\r\n"
    "01/02/2023 00:15;;-3\r\n"
    "\r\n"
    "13/02/2023 00:30; 2,5 ;\r\n"
    ";;\r\n"
)
LONG = (
    "meter,time,aP_1 [kW],pC_1 [kWh]\n"
    "m 1,2023-01-01 00:00:00,1.50,100\n"
    "m/2,2023-01-01 00:00:00,2,200\n"
    "m 1,2023-01-01 00:15:00,,101\n"
)
#: Makes a run stop for good when all its files are complete, before the first one is replaced.
STOP = """
import os, pathlib, time

def fsync(fd):
    pathlib.Path("stopped").touch()
    time.sleep(60)

os.fsync = fsync
"""
#: Makes a run tell its highest memory, in KiB.
TELL_MEMORY = """
import atexit, pathlib

def tell():
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            pathlib.Path("memory").write_text(line.split()[1])

atexit.register(tell)
"""


def split(workspace: Workspace, *arguments: str | Path, **variables: str) -> Finished:
    """Run ``swarm split`` into the folder ``data``, with a known time zone."""
    zone = ("--timezone", "Europe/Dublin")
    return workspace.run("split", *arguments, "--into", "data", *zone, env=variables)


def written(workspace: Workspace) -> dict[str, str]:
    """Return the text of every file of the folder, hidden ones too, by name."""
    folder = workspace.folder / "data"
    return {path.name: path.read_bytes().decode() for path in folder.iterdir()}


def checked(workspace: Workspace, done: Finished) -> Finished:
    """Write a printed INI to a file and check it."""
    assert 0 == done.code, done.err
    (workspace.folder / "meters.ini").write_text(done.out, encoding="utf-8")
    return workspace.run("check", "--json", "meters.ini")


@pytest.mark.measured
def test_a_wide_file(workspace: Workspace) -> None:
    """Each column is a CSV, cell by cell as it was; empty cells and rows are left out."""
    workspace.csv("export.csv", "\ufeff" + WIDE)
    done = split(workspace, "export.csv")
    assert (0, "data: 2 meters, 4 rows from 1 file\n") == (done.code, done.err)
    assert {
        "gas.csv": "01/02/2023 00:00;1,50\n13/02/2023 00:30; 2,5 \n",
        "water.csv": "01/02/2023 00:00;007\n01/02/2023 00:15;-3\n",
    } == written(workspace)
    report = checked(workspace, done)
    assert 0 == report.code, report.out
    assert {"gas": 2, "water": 2} == {m["id"]: m["rows"] for m in report.report["meters"]}
    assert "\ngas = data/gas.csv\nwater = data/water.csv" in done.out
    assert done.out.startswith("# Written by 'swarm split'.")
    assert "\ndecimal = ,\n" in done.out


def test_the_decimal_sign_of_any_meter(workspace: Workspace) -> None:
    """The settings are detected from a CSV that shows the decimal sign."""
    workspace.csv("export.csv", "t;a;b\n2023-01-01 00:00:00;1;1,5\n2023-01-01 00:15:00;2;2,5\n")
    done = split(workspace, "export.csv")
    assert 0 == checked(workspace, done).code
    assert "\ndecimal = ,\n" in done.out


@pytest.mark.parametrize("by", ["meter", "1"])
@pytest.mark.measured
def test_a_long_file(workspace: Workspace, by: str) -> None:
    """Each value of the column is a CSV; the header says what the other columns are."""
    workspace.csv("export.csv", LONG)
    done = split(workspace, "export.csv", "--by", by)
    assert {
        "m%201.csv": "2023-01-01 00:00:00,1.50,100\n2023-01-01 00:15:00,,101\n",
        "m%2F2.csv": "2023-01-01 00:00:00,2,200\n",
    } == written(workspace)
    report = checked(workspace, done)
    assert 0 == report.code, report.out
    assert ["m 1", "m/2"] == [meter["id"] for meter in report.report["meters"]]
    assert "columns = aP_1, pC_1\nunit = kW, kWh\n" in done.out


def test_an_order_of_columns(workspace: Workspace) -> None:
    """The timestamp comes first, also from two columns; the other columns keep their order."""
    workspace.csv("export.csv", 'kWh,"day",hour,meter,kW\n5,2023-01-31,"10:15",a,6\n')
    done = split(workspace, "export.csv", "--by", "meter", "--timestamp-columns", "2,3")
    assert 0 == done.code, done.err
    assert {"a.csv": "2023-01-31 10:15,5,6\n"} == written(workspace)
    workspace.csv("wide.csv", "day,hour,b,c\n2023-01-31,10:15,1,2\n")
    assert 0 == split(workspace, "wide.csv", "--timestamp-columns", "1,2").code
    assert "2023-01-31 10:15,1\n" == written(workspace)["b.csv"]


def test_ids_for_a_file_without_a_header(workspace: Workspace) -> None:
    """``--ids`` names the columns, and ``-`` leaves one out; a header's names do not count then."""
    workspace.csv("export.csv", "2023-01-01 00:00:00,1,x,3\n2023-01-01 00:15:00,4,y,6\n")
    assert 0 == split(workspace, "export.csv", "--ids", "gas-1, -, gas 2").code
    assert ["gas%202.csv", "gas-1.csv"] == sorted(written(workspace))
    assert "2023-01-01 00:00:00,3\n2023-01-01 00:15:00,6\n" == written(workspace)["gas%202.csv"]
    workspace.csv("other.csv", "When|A\n2023-01-01 00:00:00|1\n")
    assert 0 == split(workspace, "other.csv", "--ids", "b").code
    assert "2023-01-01 00:00:00|1\n" == written(workspace)["b.csv"]


def test_lines_around_the_header(workspace: Workspace) -> None:
    """Titles and units are no header, and a damaged row is a row: the check reports it."""
    text = "Export;;\nTime;A;B\n;kWh;kWh\n2023-13-01 00:00:00;1;2\n2023-01-01 00:15:00;3;4\n"
    workspace.csv("export.csv", text)
    assert 0 == split(workspace, "export.csv").code
    assert {
        "A.csv": "2023-13-01 00:00:00;1\n2023-01-01 00:15:00;3\n",
        "B.csv": "2023-13-01 00:00:00;2\n2023-01-01 00:15:00;4\n",
    } == written(workspace)


def test_quotes_stay(workspace: Workspace) -> None:
    """Quoted cells are written as they are, also with the delimiter in them."""
    workspace.csv(
        "export.csv",
        '"time","a ""b""","c"\n"2023-01-01 00:00:00","1,5",""\n"2023-01-01 00:15:00","2","3"\n',
    )
    done = split(workspace, "export.csv")
    assert {
        "a%20%22b%22.csv": '"2023-01-01 00:00:00","1,5"\n"2023-01-01 00:15:00","2"\n',
        "c.csv": '"2023-01-01 00:15:00","3"\n',
    } == written(workspace)
    assert '\na "b" = data/a%20%22b%22.csv' in done.out


@pytest.mark.parametrize(
    ("encoding", "options"),
    [("cp1252", ["--encoding", "cp1252"]), ("utf-16", []), ("utf-8-sig", [])],
)
@pytest.mark.measured
def test_encodings(workspace: Workspace, encoding: str, options: list[str]) -> None:
    """The CSVs and the IDs are UTF-8, whatever the export was."""
    path = workspace.csv("export.csv", "")
    path.write_bytes("Zeit;Zähler\r\n2023-01-01 00:00:00;1\r\n".encode(encoding))
    done = split(workspace, "export.csv", *options)
    assert 0 == done.code, done.err
    assert {"Z%C3%A4hler.csv": "2023-01-01 00:00:00;1\n"} == written(workspace)
    assert "\nZähler = data/Z%C3%A4hler.csv" in done.out


@pytest.mark.measured
def test_several_files_and_those_that_were_there(workspace: Workspace) -> None:
    """Rows follow in the order of the files; CSVs of the meters are replaced, no others."""
    workspace.csv("data/a.csv", "old\n")
    workspace.csv("data/other.csv", "other\n")
    workspace.csv("2.csv", "t,a,b\n2023-02-01 00:00:00,3,4\n")
    path = workspace.csv("1.csv.gz", "")
    path.write_bytes(gzip.compress(b"t,b,a\n2023-01-01 00:00:00,1,2"))
    os.utime(path, (0, 0))
    done = split(workspace, "1.csv.gz", "2.csv", "1.csv.gz")
    assert (0, "data: 2 meters, 4 rows from 2 files\n") == (done.code, done.err)
    assert {
        "a.csv": "2023-01-01 00:00:00,2\n2023-02-01 00:00:00,3\n",
        "b.csv": "2023-01-01 00:00:00,1\n2023-02-01 00:00:00,4\n",
        "other.csv": "other\n",
    } == written(workspace)


@pytest.mark.measured
def test_files_that_do_not_fit_together(workspace: Workspace) -> None:
    """A CSV has one delimiter, and a column one meaning."""
    workspace.csv("1.csv", "t,a\n2023-01-01 00:00:00,1\n")
    workspace.csv("2.csv", "t;a\n2023-01-01 00:00:00;1\n")
    done = split(workspace, "1.csv", "2.csv")
    assert (3, "") == (done.code, done.out)
    assert done.err.startswith("2.csv:2:1: cells with ';' between them: expected ',', as in 1.csv")
    workspace.csv("3.csv", "meter,time,kWh,kW\na,2023-01-01 00:00:00,1,2\n")
    workspace.csv("4.csv", "meter,time,kW,kWh\na,2023-01-01 00:00:00,1,2\n")
    done = split(workspace, "3.csv", "4.csv", "--by", "meter")
    assert done.err.startswith(
        "4.csv:1:1: other columns of measurements: found 'kW', 'kWh', expected 'kWh', 'kW'"
    )


PROBLEMS = [
    ("t,a,b\n2023-01-01 00:00:00,1,2\n2023-01-01 00:15:00,1\n", [], "3:3: 2 cells: found"),
    ("t,a\n2023-01-01 00:00:00,1,2\n2023-01-01 00:15:00,1\n", [], "1:1: 2 cells in the header"),
    ("2023-01-01 00:00:00,1\n", [], "1:1: no header with the names of the meters: found"),
    ("t,a,a\n2023-01-01 00:00:00,1,2\n", [], "1:3: the same ID as column 2: found 'a'"),
    ("t,a,\n2023-01-01 00:00:00,1,2\n", [], "1:3: a column without a name; give the IDs with"),
    ("t,a=b\n2023-01-01 00:00:00,1\n", [], "1:2: an ID that an INI can't contain, with '='"),
    ("t,a\n2023-01-01 00:00:00,1\n,2\n", [], "3:1: no timestamp: found an empty cell"),
    ('t,a\n2023-01-01 00:00:00,1\n2023-01-01 00:15:00,"1\n', [], "3:2: a quote that is not"),
    ("t,a\n2023-01-01 00:00:00,1\n2023-01-01 00:15:00,\0\n", [], "3:2: a NUL byte: found 0x00"),
    ("t,a\n2023-01-01 00:00:00,1\n2023-01-01 00:15:00,\udcff\n", [], "3:2: bytes that are not u"),
    ("", [], "1:1: no rows"),
    ("t,a\n", [], "1:1: no line with a timestamp in column 1"),
    ("t,a\n2023-01-01 00:00:00,\n", [], "1:1: no rows"),
    ("x\ny\n", [], "1:1: no line with a timestamp in column 1 and a value: the first is 'x'"),
    ("2023-01-01 00:00:00,1\n", ["--ids", "a,b"], "1:1: 2 cells: --ids names 2, expected 1"),
    ("2023-01-01 00:00:00,1\n", ["--skip-rows", "2", "--ids", "a"], "1:1: no row after the 2"),
    ("2023-01-01 00:00:00,1\n", ["--timestamp-columns", "3", "--delimiter", ","], "1:1: "),
    (LONG, ["--by", "site"], "1:1: no line with the name 'site' of --by: the first is 'meter,"),
    (LONG, ["--by", "9", "--timestamp-columns", "2"], "2:1: 4 cells: --by is column 9"),
    (LONG, ["--by", "time", "--timestamp-columns", "2"], "2:2: --by is a column of the timestamp"),
    (f"{LONG},2023-01-01 00:00:00,1,2\n", ["--by", "meter"], "5:1: no ID of a meter: found an e"),
    (f"{LONG}a=b,2023-01-01 00:00:00,1,2\n", ["--by", "1"], "5:1: an ID that an INI can't cont"),
    (f'{LONG}m 1,"",1,2\n', ["--by", "1"], "5:2: no timestamp: found an empty cell"),
    ("m,t\na,2023-01-01 00:00:00\n", ["--by", "1"], "2:1: 2 cells: no column besides the meter"),
]


@pytest.mark.parametrize(("text", "options", "expected"), PROBLEMS)
@pytest.mark.measured
def test_a_problem_leaves_everything_as_it_was(
    workspace: Workspace, text: str, options: list[str], expected: str
) -> None:
    """Each problem is told with its place, and no file is written."""
    workspace.csv("data/a.csv", "old\n")
    path = workspace.csv("export.csv", "")
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    done = split(workspace, "export.csv", *options)
    assert (3, "") == (done.code, done.out)
    assert done.err.startswith(f"export.csv:{expected}"), done.err
    assert done.err.endswith("\ndata: nothing was written\n")
    assert {"a.csv": "old\n"} == written(workspace)


def test_a_new_folder_does_not_stay_after_a_problem(workspace: Workspace) -> None:
    """Nor does a file that is missing stop the report of others."""
    workspace.csv("export.csv", "t,a\n2023-01-01 00:00:00,1,2\n")
    done = split(workspace, "missing.csv", "export.csv", ".")
    assert [
        "missing.csv:1:1: no such file",
        "export.csv:1:1: 2 cells in the header",
        ".:1:1: can't be read: is a folder",
        "data: nothing was written",
    ] == [line.partition(": expected")[0] for line in done.err.splitlines()]
    assert not (workspace.folder / "data").exists()


@pytest.mark.measured
def test_many_problems(workspace: Workspace) -> None:
    """Twenty are shown, the others are counted."""
    text = "t,a,b\n" + "2023-01-01 00:00:00,1,2\n" * 100 + "2023-01-01 00:15:00,1\n" * 30
    workspace.csv("1.csv", text)
    workspace.csv("2.csv", text)
    lines = split(workspace, "1.csv", "2.csv").err.splitlines()
    assert ["1.csv:121:3", "and 40 more problems"] == [lines[19].partition(": ")[0], lines[20]]


@pytest.mark.parametrize(
    "options",
    [
        ["--ids", "a,a"],
        ["--ids", "a,,b"],
        ["--ids", "a=b"],
        ["--ids", "a", "--by", "1"],
        ["--by", "0"],
        ["--timestamp-columns", "0"],
        ["--timestamp-columns", "1,1"],
        ["--delimiter", ".."],
        ["--encoding", "latin-99"],
        ["--encoding", "hex"],
        ["--timezone", "Europe/Dublinn"],
    ],
)
@pytest.mark.measured
def test_wrong_usage(workspace: Workspace, options: list[str]) -> None:
    """A wrong option is told in words, and nothing is written."""
    workspace.csv("export.csv", "t,a\n2023-01-01 00:00:00,1\n")
    done = workspace.run("split", "export.csv", "--into", "data", *options)
    assert (2, "", False) == (done.code, done.out, "Traceback" in done.err)
    assert not (workspace.folder / "data").exists()


def test_places_that_can_not_be_written(workspace: Workspace) -> None:
    """A file in place of the folder, a folder in place of a CSV, an export in its own way."""
    workspace.csv("data/a.csv/x", "x")
    workspace.csv("export.csv", "t,a\n2023-01-01 00:00:00,1\n")
    assert (2, True) == ((done := split(workspace, "export.csv")).code, "is a folder" in done.err)
    done = workspace.run("split", "export.csv", "--into", "export.csv")
    assert (2, True) == (done.code, "--into export.csv: can't be written" in done.err)
    path = workspace.csv("data/b.csv", "t,b\n2023-01-01 00:00:00,1\n")
    done = split(workspace, path)
    assert (2, True) == (done.code, "would be replaced by a part of itself" in done.err)
    assert path.read_text().startswith("t,b\n")


def test_quiet(workspace: Workspace) -> None:
    """A line of cron prints nothing, unless there is a problem."""
    workspace.csv("export.csv", WIDE)
    done = split(workspace, "-q", "export.csv")
    assert (0, "", "") == (done.code, done.out, done.err)
    assert ["gas.csv", "water.csv"] == sorted(written(workspace))
    done = split(workspace, "-q", "missing.csv")
    assert (3, True) == (done.code, done.err.startswith("missing.csv:1:1: no such file"))


def test_ids_that_differ_in_case_alone(workspace: Workspace) -> None:
    """They get names that differ on a file system that ignores case."""
    workspace.csv("export.csv", "t,Gas,gas,B\n2023-01-01 00:00:00,1,2,3\n")
    assert 0 == split(workspace, "export.csv").code
    names = written(workspace)
    assert len({name.lower() for name in names}) == 3
    assert {"gas.csv", "B.csv"} < names.keys()


def test_a_last_line_that_is_still_being_written(workspace: Workspace) -> None:
    """It is left out with a notice: its value may be cut off."""
    path = workspace.csv("export.csv", "")
    path.write_text("t,a\n2023-01-01 00:00:00,1\n2023-01-01 00:15:00,12")
    done = split(workspace, "export.csv")
    assert 0 == done.code
    assert "notice: export.csv: the last line may still be being written" in done.err
    assert {"a.csv": "2023-01-01 00:00:00,1\n"} == written(workspace)
    os.utime(path, (0, 0))
    assert 0 == split(workspace, "export.csv").code
    assert written(workspace)["a.csv"].endswith("2023-01-01 00:15:00,12\n")


def test_a_column_without_a_value(workspace: Workspace) -> None:
    """Its meter gets no CSV, and a notice says so."""
    workspace.csv("export.csv", "t,a,b\n2023-01-01 00:00:00,1,\n")
    done = split(workspace, "export.csv")
    assert done.err.startswith("notice: b: no value in the files")
    assert ["a.csv"] == list(written(workspace))


def test_timestamps_that_are_not_known(workspace: Workspace) -> None:
    """With delimiter and header given, any timestamp will do; the INI leaves the form to you."""
    workspace.csv("export.csv", "t;a\nWeek 5 of 2023;1\n")
    done = split(workspace, "export.csv", "--delimiter", ";", "--skip-rows", "1")
    assert (0, {"a.csv": "Week 5 of 2023;1\n"}) == (done.code, written(workspace))
    assert "data/a.csv: its settings can't be guessed" in done.err
    assert "a = data/a.csv" in done.out


def test_a_killed_run(workspace: Workspace) -> None:
    """The old CSVs stay whole, and the next run removes what the killed one left."""
    workspace.csv("data/gas.csv", "old\n")
    workspace.csv("export.csv", WIDE)
    env = workspace.first(STOP)
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        process = workspace.start("split", "export.csv", "--into", "data", env=env)
        deadline = time.monotonic() + 60
        while not (stopped := workspace.folder / "stopped").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        stopped.unlink()
        if number == signal.SIGKILL:
            # Another run neither waits for one that is under way, nor disturbs it.
            place = next((workspace.folder / "data").glob(".swarm-split-*"))
            assert 0 == split(workspace, "export.csv", PYTHONPATH=str(Path.cwd())).code
            assert (place / "0.csv").exists()
            workspace.csv("data/gas.csv", "old\n")
        os.killpg(process.pid, number)
        assert code == ended(process).code
        assert "old\n" == written_visible(workspace)["gas.csv"]
    assert list((workspace.folder / "data").glob(".swarm-split-*"))
    assert 0 == split(workspace, "export.csv").code
    assert {"gas.csv", "water.csv"} == written(workspace).keys()


def written_visible(workspace: Workspace) -> dict[str, str]:
    """Return the text of the files of the folder that are not hidden."""
    paths = (workspace.folder / "data").glob("[!.]*")
    return {path.name: path.read_bytes().decode() for path in paths}


def lines(meters: Sequence[str], rows: int) -> Iterator[str]:
    """Yield the lines of a long file, all meters of a time together."""
    start = datetime(2023, 1, 1)
    for number in range(rows):
        stamp = start + number * timedelta(minutes=15)
        yield from (f"{meter},{stamp},{number}.125" for meter in meters)


@pytest.mark.parametrize("kind", ["long", "wide"])
def test_more_meters_than_open_files(workspace: Workspace, kind: str) -> None:
    """Thousands of meters need no more descriptors than one."""
    meters = [f"meter-{number}" for number in range(3000)]
    if kind == "long":
        workspace.csv("export.csv", lines(meters, 3))
        options = ["--by", "1"]
    else:
        cells = ",".join("1" for _ in meters)
        table = [f"t,{','.join(meters)}", *(f"2023-01-0{n} 00:00:00,{cells}" for n in (1, 2, 3))]
        workspace.csv("export.csv", table)
        options = []
    within = ["sh", "-c", 'ulimit -n 64 && exec "$@"', "sh"]
    command = ("split", "export.csv", "--into", "data", *options)
    done = ended(workspace.start(*command, within=within))
    assert 0 == done.code, done.err
    texts = written(workspace)
    assert 3000 == len(texts)
    assert {3} == {text.count("\n") for text in texts.values()}


def test_memory_is_flat(workspace: Workspace) -> None:
    """A file of 80 MB takes not much more than one of 16 MB."""
    env = workspace.first(TELL_MEMORY)
    block = "".join(f"{line}\n" for line in lines([f"meter-{n}" for n in range(100)], 2000))
    assert 7_000_000 < len(block)
    peaks = []
    for blocks in (2, 10):
        with (workspace.folder / "export.csv").open("w") as file:
            file.writelines([block] * blocks)
        done = split(workspace, "-q", "export.csv", "--by", "1", **env)
        assert 0 == done.code, done.err
        assert 200_000 * blocks == sum(text.count("\n") for text in written(workspace).values())
        peaks.append(int((workspace.folder / "memory").read_text()))
    assert peaks[1] < 1.25 * peaks[0], peaks
