"""``swarm upload`` from end to end: real processes, real sockets, real files."""

import json
import re
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from swarm.config.load import load
from swarm.config.settings import Settings
from swarm.delivery.result import StreamProblem, Tally
from swarm.errors import ExitCode
from swarm.run import upload as uploads
from swarm.run.report import MeterReport
from tests.support.collector import Collector, Reply, Request
from tests.support.workspace import Workspace, packets, rows

DATA = Path(__file__).parents[2] / "sample_data"
REAL = {
    "electricity": DATA / "il-electricity-kwh-hourly.csv",
    "gas": DATA / "il-gas-therm-hourly.csv",
}


def test_the_real_files_arrive_whole(workspace: Workspace, collector: Collector) -> None:
    """38,834 real rows arrive once, in order, with all digits and the right offset."""
    config = workspace.ini(collector.url, REAL, swarm={"timezone": "America/Chicago"})
    done = workspace.run(config, "--json").balanced()
    assert (0, 38_834) == (done.code, done.report["totals"]["sent"])
    for stream, path in REAL.items():
        sent = [body.decode() for body in collector.bodies(stream)]
        assert _wire(stream, path.read_text().splitlines()) == sent
        assert collector.max_in_flight(stream) == 1
        assert done.meters[stream]["verified"] == "yes"


def test_the_other_engine_sends_the_same(workspace: Workspace, collector: Collector) -> None:
    """A month of the real files through requests gives the same packets."""
    config = workspace.ini(collector.url, REAL, swarm={"timezone": "America/Chicago"})
    period = ("--since", "2016-11-01", "--until", "2016-12-01")
    assert workspace.run(config, "--transport", "requests", *period).code == 0
    for stream, path in REAL.items():
        lines = [line for line in path.read_text().splitlines() if line.startswith("2016-11")]
        assert _wire(stream, lines) == [body.decode() for body in collector.bodies(stream)]


def _wire(stream: str, lines: list[str]) -> list[str]:
    """Return the packets of rows in Chicago, computed here with the US rules of 2007."""
    changes = {
        2015: ("2015-03-08", "2015-11-01"),
        2016: ("2016-03-13", "2016-11-06"),
        2017: ("2017-03-12", "2017-11-05"),
        2018: ("2018-03-11", "2018-11-04"),
    }
    wire, before = [], ""
    for line in lines:
        moment, value = line.split(",")
        spring, autumn = changes[int(moment[:4])]
        is_second = moment == before
        is_summer = f"{spring} 02" <= moment < f"{autumn} 02" and not is_second
        offset = "-05:00" if is_summer else "-06:00"
        when = moment.replace(" ", "T")
        wire.append(f'{{"id":"{stream}","tsISO8601":"{when}.000{offset}","value":{value}}}')
        before = moment
    return wire


def test_the_repeated_hour_goes_out_with_both_offsets(
    workspace: Workspace, collector: Collector
) -> None:
    """The hour that November repeats is sent in the file's order, summer time first."""
    lines = [
        "2016-11-06 00:00:00,1",
        "2016-11-06 01:00:00,2",
        "2016-11-06 01:00:00,3",
        "2016-11-06 02:00:00,4",
    ]
    path = workspace.csv("m.csv", lines)
    config = workspace.ini(collector.url, {"m": path}, swarm={"timezone": "America/Chicago"})
    assert workspace.run(config).code == 0
    assert [(p["tsISO8601"][11:], p["value"]) for p in collector.packets("m")] == [
        ("00:00:00.000-05:00", 1),
        ("01:00:00.000-05:00", 2),
        ("01:00:00.000-06:00", 3),
        ("02:00:00.000-06:00", 4),
    ]


def test_many_streams_and_a_slow_one(workspace: Workspace) -> None:
    """64 streams are sent by 2 processes, and a slow stream does not delay the others."""
    ends: dict[str, float] = {}  # time of each stream's last packet

    def script(request: Request, _: Collector) -> Reply | None:
        if request.method == "GET":
            return None
        ends[request.stream or ""] = time.monotonic()
        return Reply(delay=0.1) if request.stream == "m00" else None

    with Collector(script) as collector:
        meters = {f"m{n:02}": workspace.csv(f"{n}.csv", rows(30)) for n in range(64)}
        config = workspace.ini(
            collector.url, meters, upload={"connections": "64", "processes": "2"}
        )
        done = workspace.run(config, "--json").balanced()
        assert done.code == 0, done.err
        for stream in meters:
            assert packets(stream, rows(30)) == collector.packets(stream)
            assert collector.max_in_flight(stream) == 1
        assert max(ends, key=lambda stream: ends[stream]) == "m00"
        others = [end for stream, end in ends.items() if stream != "m00"]
        assert ends["m00"] - max(others) > 1.0
        assert collector.connections <= 64


def test_more_streams_than_connections(workspace: Workspace, collector: Collector) -> None:
    """With fewer connections than streams, all rows arrive over at most that many connections."""
    meters = {f"m{n}": workspace.csv(f"{n}.csv", rows(5)) for n in range(20)}
    config = workspace.ini(collector.url, meters, upload={"connections": "3", "processes": "2"})
    done = workspace.run(config, "--json").balanced()
    assert (0, 100) == (done.code, done.report["totals"]["sent"])
    assert collector.connections <= 3


@pytest.mark.measured
def test_a_second_run_sends_only_what_is_new(workspace: Workspace, collector: Collector) -> None:
    """Acknowledged rows are resumed, and appended rows are sent."""
    path = workspace.csv("m.csv", rows(10))
    config = workspace.ini(collector.url, {"m": path})
    assert workspace.run(config, "--json").balanced().meters["m"]["sent"] == 10
    again = workspace.run(config)
    assert "Nothing new" in again.out
    workspace.csv("m.csv", rows(13))
    third = workspace.run(config, "--json").balanced().meters["m"]
    assert (3, 10) == (third["sent"], third["resumed"])
    assert packets("m", rows(13)) == collector.packets("m")


def test_a_file_with_a_problem_stops_the_run(workspace: Workspace, collector: Collector) -> None:
    """A wrong cell is reported with line and column (exit 3), and no meter is sent."""
    good = workspace.csv("good.csv", rows(3))
    bad = workspace.csv("bad.csv", [*rows(2), "2023-01-02 00:00:00,1x5"])
    config = workspace.ini(collector.url, {"good": good, "bad": bad})
    done = workspace.run(config, "--json").balanced()
    assert done.code == 3
    assert f"{bad}:3:2: " in done.err
    assert not collector.requests
    assert (done.meters["bad"]["state"], done.meters["good"]["state"]) == ("invalid", "not started")
    assert done.meters["bad"]["unsent"] == 3


def test_a_run_that_is_held_back_says_so(workspace: Workspace, collector: Collector) -> None:
    """The last line says how many meters have problems, and which option sends the others."""
    good = {name: workspace.csv(f"{name}.csv", rows(3)) for name in ("a", "b", "c")}
    bad = {name: workspace.csv(f"{name}.csv", ["x"]) for name in ("y", "z")}
    config = workspace.ini(collector.url, good | bad)
    last = workspace.run(config).out.splitlines()[-1]
    said = "Nothing was sent: 2 of 5 meters have problems; --keep-going sends the other 3"
    assert said == last
    last = workspace.run(config, "-m", "a", "-m", "z").out.splitlines()[-1]
    said = "Nothing was sent: 1 of 2 meters has problems; --keep-going sends the other"
    assert said == last
    last = workspace.run(config, "-m", "z").out.splitlines()[-1]
    assert last == "Nothing was sent: 1 of 1 meter has problems"
    assert "Nothing was sent" not in workspace.run(config, "--keep-going").out


def test_advice_is_added(workspace: Workspace) -> None:
    """Notes name the option for a certificate, and the command that starts a local collector."""
    path = workspace.csv("m.csv", rows(1))
    local, demo = (load(workspace.ini(name, {"m": path}), {}) for name in ("local", "demo"))

    def advice(settings: Settings, *problem: Any) -> str:
        found = MeterReport("m", "m.csv", "stopped", 1, Tally(), problem=StreamProblem(*problem))
        return " ".join(uploads.advice(settings, [found]))

    away = (
        "temporary",
        "could not connect to localhost:8080: Connection refused",
        ExitCode.TEMPORARY,
    )
    tls = ("tls", "the certificate was not accepted", ExitCode.REFUSED)
    assert ("swarm sandbox" in advice(local, *away), advice(demo, *away)) == (True, "")
    assert "'ca_bundle'" in advice(demo, *tls)
    assert advice(replace(demo, ca_bundle="x"), *tls) == ""


@pytest.mark.measured
def test_keep_going_sends_the_sound_files(workspace: Workspace, collector: Collector) -> None:
    """With --keep-going the meters with valid files are sent; the exit code is still 3."""
    good = workspace.csv("good.csv", rows(3))
    config = workspace.ini(collector.url, {"good": good, "missing": "none.csv"})
    done = workspace.run(config, "--json", "--keep-going").balanced()
    assert done.code == 3
    assert packets("good", rows(3)) == collector.packets("good")
    assert "no such file" in done.err


def test_an_ini_with_five_problems_gets_all_five(
    workspace: Workspace, collector: Collector
) -> None:
    """Every problem of the INI is reported at once, and the exit code is 2."""
    config = workspace.ini(
        collector.url,
        {"m": "m.csv"},
        swarm={"timezone": "Europe/Dubln", "colour": "red"},
        upload={"conections": "9", "timeout": "soon"},
        rest="[meter:n]\ninterval = 15m\n",
    )
    done = workspace.run(config)
    assert (2, "") == (done.code, done.out)
    assert len(done.err.splitlines()) == 5
    for part in ("timezone", "colour", "conections", "timeout", "[meter:n]"):
        assert part in done.err
    assert not collector.requests


@pytest.mark.measured
def test_a_wrong_password_ends_the_run(workspace: Workspace) -> None:
    """A wrong password gives exit 4 within seconds, and the answer is shown only once."""
    words = b"no such user, or another password"

    def script(_request: Request, _collector: Collector) -> Reply:
        return Reply(401, words)

    with Collector(script) as collector:
        meters = {f"m{n}": workspace.csv(f"{n}.csv", rows(5)) for n in range(8)}
        config = workspace.ini(collector.url, meters, upload={"connections": "2"})
        start = time.monotonic()
        done = workspace.run(config)
        assert (4, True) == (done.code, time.monotonic() - start < 30)
        assert done.err.count(words.decode()) == 1
        assert len(collector.requests) <= 8


@pytest.mark.measured
def test_a_collector_that_is_down_ends_the_run(workspace: Workspace, collector: Collector) -> None:
    """If the collector is down, the run exits with 5 after one retry_for, not one a stream."""
    collector.stop_listening()
    meters = {f"m{n}": workspace.csv(f"{n}.csv", rows(5)) for n in range(8)}
    config = workspace.ini(collector.url, meters, upload={"connections": "2", "retry_for": "4s"})
    done = workspace.run(config, "--json").balanced()
    assert done.code == 5
    assert 4 <= done.report["seconds"] < 14
    assert all(meter["unsent"] == 5 for meter in done.meters.values())
    assert "refused" in done.err


@pytest.mark.measured
def test_a_refused_packet_stops_its_stream(workspace: Workspace) -> None:
    """A packet refused with 400 gives exit 3, the row and the reason; other streams continue."""

    def script(request: Request, _: Collector) -> Reply | None:
        if request.stream == "bad" and b'"value":2.25' in request.body:
            return Reply(400, b"value out of range")
        return None

    with Collector(script) as collector:
        meters = {name: workspace.csv(f"{name}.csv", rows(5)) for name in ("good", "bad")}
        config = workspace.ini(collector.url, meters)
        done = workspace.run(config, "--json").balanced()
        assert done.code == 3
        problem = done.meters["bad"]["problem"]
        assert ("rejected", 3, 400) == (problem["kind"], problem["line"], problem["status"])
        assert "value out of range" in problem["message"]
        assert f"{meters['bad']}:3: " in done.err
        assert packets("bad", rows(2)) == collector.packets("bad")
        assert packets("good", rows(5)) == collector.packets("good")
        assert (done.meters["bad"]["rejected"], done.meters["bad"]["unsent"]) == (1, 2)


@pytest.mark.measured
def test_a_dry_run_prints_first_and_last_packet(workspace: Workspace, collector: Collector) -> None:
    """--dry-run prints two packets a meter to stdout, without using the network or state."""
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(9))})
    done = workspace.run(config, "--dry-run")
    assert packets("m", [rows(9)[0], rows(9)[-1]]) == [
        json.loads(line) for line in done.out.splitlines()
    ]
    assert (0, []) == (done.code, collector.requests)
    assert not workspace.state.exists()


def test_only_the_meters_that_are_named(workspace: Workspace, collector: Collector) -> None:
    """--meter selects; an unknown ID is a usage error with a suggestion."""
    meters = {name: workspace.csv(f"{name}.csv", rows(2)) for name in ("gas-1", "gas-2")}
    config = workspace.ini(collector.url, meters)
    assert workspace.run(config, "-m", "gas-2").code == 0
    assert (not collector.packets("gas-1"), len(collector.packets("gas-2"))) == (True, 2)
    wrong = workspace.run(config, "--meter", "gas-3")
    assert (2, True) == (wrong.code, "did you mean 'gas-" in wrong.err)


def test_the_period_is_chosen_by_local_time(workspace: Workspace, collector: Collector) -> None:
    """--since and --until select rows by local time; the others count as filtered."""
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(8))})
    done = workspace.run(
        config, "--json", "--since", "2023-01-01T00:30", "--until", "2023-01-01 01:30:00"
    ).balanced()
    assert packets("m", rows(8)[2:6]) == collector.packets("m")
    assert (4, 4) == (done.meters["m"]["filtered"], done.meters["m"]["sent"])


def test_flag_beats_variable_beats_ini(workspace: Workspace, collector: Collector) -> None:
    """A flag overrides SWARM_..., which overrides the INI."""
    path = workspace.csv("bad.csv", ["x"])
    good = workspace.csv("good.csv", rows(1))
    config = workspace.ini(collector.url, {"bad": path, "good": good}, upload={"keep_going": "no"})
    assert (workspace.run(config).code, collector.requests) == (3, [])
    workspace.run(config, env={"SWARM_KEEP_GOING": "yes"})
    assert len(collector.packets("good")) == 1
    wrong = workspace.run(config, env={"SWARM_TIMEOUT": "soon"})
    assert (2, True) == (wrong.code, "SWARM_TIMEOUT" in wrong.err)
    assert workspace.run(config, "--timeout", "9s", env={"SWARM_TIMEOUT": "soon"}).code == 3


def test_an_electrical_file_goes_out_in_register_order(
    workspace: Workspace, collector: Collector
) -> None:
    """21 columns become 21 registers; an empty cell is left out."""
    cells = [f"{n}.5" for n in range(21)]
    cells[4] = ""
    path = workspace.csv("e.csv", ["2023-01-01 00:00:00," + ",".join(cells)])
    assert workspace.run(workspace.ini(collector.url, {"e": path})).code == 0
    names = re.findall(r'"(\w+)":', collector.bodies("e")[0].decode())
    assert names == [
        "id",
        "tsISO8601",
        "aP_1",
        "aP_2",
        "aP_3",
        "rP_1",
        "rP_3",
        "apP_1",
        "apP_2",
        "apP_3",
        "v_1",
        "v_2",
        "v_3",
        "c_1",
        "c_2",
        "c_3",
        "pC_1",
        "pC_2",
        "pC_3",
        "v_12",
        "v_13",
        "v_23",
    ]


def test_several_files_of_a_stream_are_merged_in_time(
    workspace: Workspace, collector: Collector
) -> None:
    """The files of a glob that overlap become one stream in order of time."""
    lines = rows(12)
    workspace.csv("data/a.csv", lines[:5])
    workspace.csv("data/c.csv", lines[3:8])
    workspace.csv("data/b.csv", reversed(lines[8:]))
    config = workspace.ini(collector.url, {"m": "data/*.csv"})
    done = workspace.run(config, "--json", cwd=Path("/")).balanced()
    assert packets("m", lines) == collector.packets("m")
    assert (14, 2) == (done.meters["m"]["rows"], done.meters["m"]["filtered"])


def test_named_credentials_go_with_their_meters(workspace: Workspace, collector: Collector) -> None:
    """Each meter is sent with its own credentials, here one with a password from a variable."""
    meters = {name: workspace.csv(f"{name}.csv", rows(2)) for name in ("a", "b")}
    config = workspace.ini(
        collector.url,
        meters,
        rest="[credentials:site-b]\nusername = other\npassword_env = SITE_B\n"
        "[meter:b]\ncredentials = site-b\n",
    )
    assert workspace.run(config).code == 2
    assert workspace.run(config, env={"SITE_B": "pässword"}).code == 0
    users = {(r.stream, r.headers["authorization"]) for r in collector.requests}
    assert users == {("a", "Basic YWNtZTpzM2NyJWV0"), ("b", "Basic b3RoZXI6cMOkc3N3b3Jk")}


def test_the_utc_route(workspace: Workspace, collector: Collector) -> None:
    """With route = utc the URL's last segment changes, and the packets' times are in UTC."""
    path = workspace.csv("m.csv", ["2023-07-01 12:00:00,1"])
    settings = {"timezone": "Europe/Dublin", "route": "utc"}
    assert workspace.run(workspace.ini(collector.url, {"m": path}, swarm=settings)).code == 0
    post = next(request for request in collector.requests if request.method == "POST")
    assert post.path == "/measurements/v2/unifiedjson_utc/"
    assert collector.packets("m")[0]["tsISO8601"] == "2023-07-01T11:00:00.000+00:00"


def test_the_report_says_when(workspace: Workspace, collector: Collector) -> None:
    """The JSON report has the keys that the reference promises."""
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(3))})
    report = workspace.run(config, "--json").report
    assert list(report) == [
        "swarm",
        "config",
        "collector",
        "started",
        "finished",
        "seconds",
        "exit_code",
        "connections",
        "totals",
        "meters",
    ]
    assert list(report["totals"]) == [
        "rows",
        "filtered",
        "sent",
        "resumed",
        "rejected",
        "late",
        "unsent",
        "retries",
        "possible_duplicates",
        "packets_per_second",
    ]
    assert datetime.fromisoformat(report["started"]) <= datetime.fromisoformat(report["finished"])
    meter = report["meters"][0]
    assert ("2023-01-01T00:00:00.000+00:00", "2023-01-01T00:30:00.000+00:00") == (
        meter["first"],
        meter["last"],
    )
