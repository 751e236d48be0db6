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
from swarm.run.report import MeterReport
from swarm.run.upload import _advice
from tests.bench import Bench, packets, rows
from tests.collector_server import Collector, Reply, Request

DATA = Path(__file__).parent.parent / "sample_data"
REAL = {
    "electricity": DATA / "il-electricity-kwh-hourly.csv",
    "gas": DATA / "il-gas-therm-hourly.csv",
}


def test_the_real_files_arrive_whole(bench: Bench, collector: Collector) -> None:
    """38,834 real rows arrive once, in order, with all digits and the offset of their season."""
    config = bench.ini(collector.url, REAL, swarm={"timezone": "America/Chicago"})
    done = bench.run(config, "--json").balanced()
    assert (0, 38_834) == (done.code, done.report["totals"]["sent"])
    for stream, path in REAL.items():
        sent = [body.decode() for body in collector.bodies(stream)]
        assert _wire(stream, path.read_text().splitlines()) == sent
        assert collector.max_in_flight(stream) == 1
        assert done.meters[stream]["verified"] == "yes"


def test_the_other_engine_sends_the_same(bench: Bench, collector: Collector) -> None:
    """A month of the real files through requests: the same packets."""
    config = bench.ini(collector.url, REAL, swarm={"timezone": "America/Chicago"})
    period = ("--since", "2016-11-01", "--until", "2016-12-01")
    assert bench.run(config, "--transport", "requests", *period).code == 0
    for stream, path in REAL.items():
        lines = [line for line in path.read_text().splitlines() if line.startswith("2016-11")]
        assert _wire(stream, lines) == [body.decode() for body in collector.bodies(stream)]


def _wire(stream: str, lines: list[str]) -> list[str]:
    """Return the packets of rows in Chicago, by a reckoning of its own: US rules of 2007."""
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


def test_the_repeated_hour_goes_out_with_both_offsets(bench: Bench, collector: Collector) -> None:
    """The hour that November repeats is sent in the file's order, first summer, then winter."""
    lines = [
        "2016-11-06 00:00:00,1",
        "2016-11-06 01:00:00,2",
        "2016-11-06 01:00:00,3",
        "2016-11-06 02:00:00,4",
    ]
    path = bench.csv("m.csv", lines)
    config = bench.ini(collector.url, {"m": path}, swarm={"timezone": "America/Chicago"})
    assert bench.run(config).code == 0
    assert [(p["tsISO8601"][11:], p["value"]) for p in collector.packets("m")] == [
        ("00:00:00.000-05:00", 1),
        ("01:00:00.000-05:00", 2),
        ("01:00:00.000-06:00", 3),
        ("02:00:00.000-06:00", 4),
    ]


def test_many_streams_and_a_slow_one(bench: Bench) -> None:
    """64 streams go through 2 processes; one slow stream holds up no other."""
    ends: dict[str, float] = {}  # when each stream's last packet came

    def script(request: Request, _: Collector) -> Reply | None:
        if request.method == "GET":
            return None
        ends[request.stream or ""] = time.monotonic()
        return Reply(delay=0.1) if request.stream == "m00" else None

    with Collector(script) as collector:
        meters = {f"m{n:02}": bench.csv(f"{n}.csv", rows(30)) for n in range(64)}
        config = bench.ini(collector.url, meters, upload={"connections": "64", "processes": "2"})
        done = bench.run(config, "--json").balanced()
        assert done.code == 0, done.err
        for stream in meters:
            assert packets(stream, rows(30)) == collector.packets(stream)
            assert collector.max_in_flight(stream) == 1
        assert max(ends, key=lambda stream: ends[stream]) == "m00"
        others = [end for stream, end in ends.items() if stream != "m00"]
        assert ends["m00"] - max(others) > 1.0
        assert collector.connections <= 64


def test_more_streams_than_places(bench: Bench, collector: Collector) -> None:
    """With fewer places than streams, all arrive, over no more connections than places."""
    meters = {f"m{n}": bench.csv(f"{n}.csv", rows(5)) for n in range(20)}
    config = bench.ini(collector.url, meters, upload={"connections": "3", "processes": "2"})
    done = bench.run(config, "--json").balanced()
    assert (0, 100) == (done.code, done.report["totals"]["sent"])
    assert collector.connections <= 3


@pytest.mark.measured
def test_a_second_run_sends_only_what_is_new(bench: Bench, collector: Collector) -> None:
    """What is acknowledged is resumed; appended rows are sent."""
    path = bench.csv("m.csv", rows(10))
    config = bench.ini(collector.url, {"m": path})
    assert bench.run(config, "--json").balanced().meters["m"]["sent"] == 10
    again = bench.run(config)
    assert "Nothing new" in again.out
    bench.csv("m.csv", rows(13))
    third = bench.run(config, "--json").balanced().meters["m"]
    assert (3, 10) == (third["sent"], third["resumed"])
    assert packets("m", rows(13)) == collector.packets("m")


def test_a_file_with_a_problem_stops_the_run(bench: Bench, collector: Collector) -> None:
    """One bad cell: its line and column, exit 3, and nothing is sent of any meter."""
    good = bench.csv("good.csv", rows(3))
    bad = bench.csv("bad.csv", [*rows(2), "2023-01-02 00:00:00,1x5"])
    config = bench.ini(collector.url, {"good": good, "bad": bad})
    done = bench.run(config, "--json").balanced()
    assert done.code == 3
    assert f"{bad}:3:2: " in done.err
    assert not collector.requests
    assert (done.meters["bad"]["state"], done.meters["good"]["state"]) == ("invalid", "not started")
    assert done.meters["bad"]["unsent"] == 3


def test_a_run_that_is_held_back_says_so(bench: Bench, collector: Collector) -> None:
    """The table's last line: how many meters have problems, and what sends the others."""
    good = {name: bench.csv(f"{name}.csv", rows(3)) for name in ("a", "b", "c")}
    bad = {name: bench.csv(f"{name}.csv", ["x"]) for name in ("y", "z")}
    config = bench.ini(collector.url, good | bad)
    last = bench.run(config).out.splitlines()[-1]
    said = "Nothing was sent: 2 of 5 meters have problems; --keep-going sends the other 3"
    assert said == last
    last = bench.run(config, "-m", "a", "-m", "z").out.splitlines()[-1]
    said = "Nothing was sent: 1 of 2 meters has problems; --keep-going sends the other"
    assert said == last
    last = bench.run(config, "-m", "z").out.splitlines()[-1]
    assert last == "Nothing was sent: 1 of 1 meter has problems"
    assert "Nothing was sent" not in bench.run(config, "--keep-going").out


def test_what_may_help_is_added(bench: Bench) -> None:
    """In the notes: the option for a certificate, the command for a collector of one's own."""
    path = bench.csv("m.csv", rows(1))
    local, demo = (load(bench.ini(place, {"m": path}), {}) for place in ("local", "demo"))

    def advice(settings: Settings, *problem: Any) -> str:
        found = MeterReport("m", "m.csv", "stopped", 1, Tally(), problem=StreamProblem(*problem))
        return " ".join(_advice(settings, [found]))

    away = ("temporary", "could not connect to localhost:8080: Connection refused", 5)
    tls = ("tls", "the certificate was not accepted", 4)
    assert ("'swarm sandbox'" in advice(local, *away), advice(demo, *away)) == (True, "")
    assert "'ca_bundle'" in advice(demo, *tls)
    assert advice(replace(demo, ca_bundle="x"), *tls) == ""


@pytest.mark.measured
def test_keep_going_sends_the_sound_files(bench: Bench, collector: Collector) -> None:
    """With --keep-going the meters with sound files are sent; the exit code is still 3."""
    good = bench.csv("good.csv", rows(3))
    config = bench.ini(collector.url, {"good": good, "missing": "none.csv"})
    done = bench.run(config, "--json", "--keep-going").balanced()
    assert done.code == 3
    assert packets("good", rows(3)) == collector.packets("good")
    assert "no such file" in done.err


def test_an_ini_with_five_problems_gets_all_five(bench: Bench, collector: Collector) -> None:
    """Every problem of the INI is told in one go, and the exit code is 2."""
    config = bench.ini(
        collector.url,
        {"m": "m.csv"},
        swarm={"timezone": "Europe/Dubln", "colour": "red"},
        upload={"conections": "9", "timeout": "soon"},
        rest="[meter:n]\ninterval = 15m\n",
    )
    done = bench.run(config)
    assert (2, "") == (done.code, done.out)
    assert len(done.err.splitlines()) == 5
    for part in ("timezone", "colour", "conections", "timeout", "[meter:n]"):
        assert part in done.err
    assert not collector.requests


@pytest.mark.measured
def test_a_wrong_password_ends_the_run(bench: Bench) -> None:
    """A wrong password: exit 4 within seconds, the collector's words, told once for all streams."""
    words = b"no such user, or another password"

    def script(_request: Request, _collector: Collector) -> Reply:
        return Reply(401, words)

    with Collector(script) as collector:
        meters = {f"m{n}": bench.csv(f"{n}.csv", rows(5)) for n in range(8)}
        config = bench.ini(collector.url, meters, upload={"connections": "2"})
        start = time.monotonic()
        done = bench.run(config)
        assert (4, True) == (done.code, time.monotonic() - start < 30)
        assert done.err.count(words.decode()) == 1
        assert len(collector.requests) <= 8


@pytest.mark.measured
def test_a_collector_that_is_down_ends_the_run(bench: Bench, collector: Collector) -> None:
    """A collector that is down: exit 5 after retry_for, not after retry_for times the streams."""
    collector.stop_listening()
    meters = {f"m{n}": bench.csv(f"{n}.csv", rows(5)) for n in range(8)}
    config = bench.ini(collector.url, meters, upload={"connections": "2", "retry_for": "4s"})
    done = bench.run(config, "--json").balanced()
    assert done.code == 5
    assert 4 <= done.report["seconds"] < 14
    assert all(meter["unsent"] == 5 for meter in done.meters.values())
    assert "refused" in done.err


@pytest.mark.measured
def test_a_refused_packet_stops_its_stream(bench: Bench) -> None:
    """A packet refused with 400: exit 3, the row and the reason; other streams go on."""

    def script(request: Request, _: Collector) -> Reply | None:
        if request.stream == "bad" and b'"value":2.25' in request.body:
            return Reply(400, b"value out of range")
        return None

    with Collector(script) as collector:
        meters = {name: bench.csv(f"{name}.csv", rows(5)) for name in ("good", "bad")}
        config = bench.ini(collector.url, meters)
        done = bench.run(config, "--json").balanced()
        assert done.code == 3
        problem = done.meters["bad"]["problem"]
        assert ("rejected", 3, 400) == (problem["kind"], problem["line"], problem["status"])
        assert "value out of range" in problem["message"]
        assert f"{meters['bad']}:3: " in done.err
        assert packets("bad", rows(2)) == collector.packets("bad")
        assert packets("good", rows(5)) == collector.packets("good")
        assert (done.meters["bad"]["rejected"], done.meters["bad"]["unsent"]) == (1, 2)


@pytest.mark.measured
def test_a_dry_run_prints_first_and_last_packet(bench: Bench, collector: Collector) -> None:
    """--dry-run prints two packets a meter to stdout; no network and no state."""
    config = bench.ini(collector.url, {"m": bench.csv("m.csv", rows(9))})
    done = bench.run(config, "--dry-run")
    assert packets("m", [rows(9)[0], rows(9)[-1]]) == [
        json.loads(line) for line in done.out.splitlines()
    ]
    assert (0, []) == (done.code, collector.requests)
    assert not bench.state.exists()


def test_only_the_meters_that_are_named(bench: Bench, collector: Collector) -> None:
    """--meter chooses; an unknown one is a usage error with a suggestion."""
    meters = {name: bench.csv(f"{name}.csv", rows(2)) for name in ("gas-1", "gas-2")}
    config = bench.ini(collector.url, meters)
    assert bench.run(config, "-m", "gas-2").code == 0
    assert (not collector.packets("gas-1"), len(collector.packets("gas-2"))) == (True, 2)
    wrong = bench.run(config, "--meter", "gas-3")
    assert (2, True) == (wrong.code, "did you mean 'gas-" in wrong.err)


def test_the_period_is_chosen_by_local_time(bench: Bench, collector: Collector) -> None:
    """--since and --until choose rows by local time; the others count as filtered."""
    config = bench.ini(collector.url, {"m": bench.csv("m.csv", rows(8))})
    done = bench.run(
        config, "--json", "--since", "2023-01-01T00:30", "--until", "2023-01-01 01:30:00"
    ).balanced()
    assert packets("m", rows(8)[2:6]) == collector.packets("m")
    assert (4, 4) == (done.meters["m"]["filtered"], done.meters["m"]["sent"])


def test_flag_beats_variable_beats_ini(bench: Bench, collector: Collector) -> None:
    """A flag wins over SWARM_..., which wins over the INI."""
    path = bench.csv("bad.csv", ["x"])
    good = bench.csv("good.csv", rows(1))
    config = bench.ini(collector.url, {"bad": path, "good": good}, upload={"keep_going": "no"})
    assert (bench.run(config).code, collector.requests) == (3, [])
    bench.run(config, env={"SWARM_KEEP_GOING": "yes"})
    assert len(collector.packets("good")) == 1
    wrong = bench.run(config, env={"SWARM_TIMEOUT": "soon"})
    assert (2, True) == (wrong.code, "SWARM_TIMEOUT" in wrong.err)
    assert bench.run(config, "--timeout", "9s", env={"SWARM_TIMEOUT": "soon"}).code == 3


def test_an_electrical_file_goes_out_in_register_order(bench: Bench, collector: Collector) -> None:
    """21 columns make 21 registers; an empty cell is left out."""
    cells = [f"{n}.5" for n in range(21)]
    cells[4] = ""
    path = bench.csv("e.csv", ["2023-01-01 00:00:00," + ",".join(cells)])
    assert bench.run(bench.ini(collector.url, {"e": path})).code == 0
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


def test_several_files_of_a_stream_are_merged_in_time(bench: Bench, collector: Collector) -> None:
    """A glob and overlapping files make one stream in order of time."""
    lines = rows(12)
    bench.csv("data/a.csv", lines[:5])
    bench.csv("data/c.csv", lines[3:8])
    bench.csv("data/b.csv", reversed(lines[8:]))
    config = bench.ini(collector.url, {"m": "data/*.csv"})
    done = bench.run(config, "--json", cwd=Path("/")).balanced()
    assert packets("m", lines) == collector.packets("m")
    assert (14, 2) == (done.meters["m"]["rows"], done.meters["m"]["filtered"])


def test_named_credentials_go_with_their_meters(bench: Bench, collector: Collector) -> None:
    """Each meter is sent under its own credentials, a password from a variable among them."""
    meters = {name: bench.csv(f"{name}.csv", rows(2)) for name in ("a", "b")}
    config = bench.ini(
        collector.url,
        meters,
        rest="[credentials:site-b]\nusername = other\npassword_env = SITE_B\n"
        "[meter:b]\ncredentials = site-b\n",
    )
    assert bench.run(config).code == 2
    assert bench.run(config, env={"SITE_B": "pässword"}).code == 0
    users = {(r.stream, r.headers["authorization"]) for r in collector.requests}
    assert users == {("a", "Basic YWNtZTpzM2NyJWV0"), ("b", "Basic b3RoZXI6cMOkc3N3b3Jk")}


def test_the_utc_route(bench: Bench, collector: Collector) -> None:
    """Route = utc changes the URL's last segment, and the packets' times to UTC."""
    path = bench.csv("m.csv", ["2023-07-01 12:00:00,1"])
    settings = {"timezone": "Europe/Dublin", "route": "utc"}
    assert bench.run(bench.ini(collector.url, {"m": path}, swarm=settings)).code == 0
    post = next(request for request in collector.requests if request.method == "POST")
    assert post.path == "/measurements/v2/unifiedjson_utc/"
    assert collector.packets("m")[0]["tsISO8601"] == "2023-07-01T11:00:00.000+00:00"


def test_the_report_says_when(bench: Bench, collector: Collector) -> None:
    """The JSON report holds what the reference promises."""
    config = bench.ini(collector.url, {"m": bench.csv("m.csv", rows(3))})
    report = bench.run(config, "--json").report
    assert list(report) == [
        "swarm",
        "config",
        "collector",
        "started",
        "finished",
        "seconds",
        "exit_code",
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
