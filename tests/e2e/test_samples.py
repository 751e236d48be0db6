"""Every sample is sent to a collector, and the packets are compared with an independent reading."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from swarm.packet import REGISTERS
from tests.support.collector import Collector
from tests.support.workspace import Workspace

ROOT = Path(__file__).parents[2]
VARIABLES = {"WATTICS_PASSWORD": "x", "DUBLIN_PASSWORD": "y", "CHICAGO_PASSWORD": "z"}


def single(cells: list[str]) -> dict[str, Decimal]:
    """Read one value."""
    return {"value": Decimal(cells[0])}


def registers(cells: list[str]) -> dict[str, Decimal]:
    """Read 21 registers."""
    return dict(zip(REGISTERS, map(Decimal, cells), strict=True))


def slot(cells: list[str]) -> dict[str, Decimal]:
    """Convert the energy (Wh) of a quarter of an hour to power (W)."""
    return {"aP_1": Decimal(cells[0]) * 4, "pC_1": Decimal(cells[0])}


def office(cells: list[str]) -> dict[str, Decimal]:
    """Read kW and kWh with a decimal comma, and skip a column."""
    power, energy, _ = (cell.replace(",", ".") for cell in cells)
    return {"aP_1": Decimal(power) * 1000, "pC_1": Decimal(energy) * 1000}


@dataclass(frozen=True)
class Plain:
    """An independent reading of a meter's files, without swarm."""

    files: tuple[str, ...]
    cells: Callable[[list[str]], dict[str, Decimal]] = single
    zone: str = "Europe/Dublin"
    shift: int = 0
    pads: bool = False
    delimiter: str = ","
    form: str = "%Y-%m-%d %H:%M:%S"
    header: int = 0

    def rows(self) -> list[tuple[datetime, list[str]]]:
        """Return instants and cells; a repeated time is in the second hour."""
        found: list[tuple[datetime, list[str]]] = []
        before = None
        for name in self.files:
            with (ROOT / "sample_data" / name).open(newline="") as file:
                lines = list(csv.reader(file, delimiter=self.delimiter))[self.header :]
                for moment, *cells in lines[YEAR] if name.startswith("il-") else lines:
                    naive = datetime.strptime(moment, self.form).replace(fold=moment == before)
                    found.append((naive.replace(tzinfo=ZoneInfo(self.zone)), cells))
                    before = moment
        return found

    def packets(self, stream: str) -> list[dict[str, object]]:
        """Return the packets that swarm must send for the meter."""
        rows = self.rows()
        shift = timedelta(minutes=self.shift)
        moved = [((when.astimezone(ZoneInfo("UTC")) + shift), cells) for when, cells in rows]
        if self.pads:
            moved.insert(0, (rows[0][0], rows[1][1]))
        return [
            {
                "id": stream,
                "tsISO8601": when.astimezone(ZoneInfo(self.zone)).isoformat(
                    timespec="milliseconds"
                ),
                **self.cells(cells),
            }
            for when, cells in moved
        ]


COLD_ROOM = ("cold-room-kwh-2024-05.csv", "cold-room-kwh-2024-06.csv")
#: The rows of the two long files that are sent here: October 2016 to April 2017.
YEAR = slice(8000, 12_000)
CHICAGO = "America/Chicago"
SAMPLES = {
    "quickstart.ini": {
        "il-electricity": Plain(("il-electricity-kwh-hourly.csv",), zone=CHICAGO),
        "il-gas": Plain(("il-gas-therm-hourly.csv",), zone=CHICAGO),
    },
    "cluster.ini": {
        "il-electricity": Plain(("il-electricity-kwh-hourly.csv",), zone=CHICAGO),
        "il-gas": Plain(("il-gas-therm-hourly.csv",), zone=CHICAGO),
    },
    "production.ini": {
        "water-main": Plain(("water-m3-hourly.csv",)),
        "cold-room": Plain(COLD_ROOM),
    },
    "many-meters.ini": {
        "water-main": Plain(("water-m3-hourly.csv",)),
        "cold-room": Plain(COLD_ROOM),
        "office": Plain(
            ("office-export.csv",), office, delimiter=";", form="%d/%m/%Y %H:%M", header=1
        ),
        "Illinois: electricity [kWh]": Plain(("il-electricity-kwh-hourly.csv",), zone=CHICAGO),
        "Illinois: gas [therm]": Plain(("il-gas-therm-hourly.csv",), zone=CHICAGO),
        "workshop-heat": Plain(COLD_ROOM, shift=60),
    },
    "electrical.ini": {
        "workshop": Plain(("workshop-three-phase-15min.csv",), registers),
        "workshop-compressor": Plain(("energy-slots-wh-15min.csv",), slot, shift=15),
    },
    "original-app.ini": {
        "workshop-compressor": Plain(
            ("energy-slots-wh-15min.csv",), slot, zone="UTC", shift=15, pads=True
        ),
    },
}


def test_every_sample_is_tested() -> None:
    """Every sample has an entry in this module."""
    assert {path.name for path in (ROOT / "sample_configs").glob("*.ini")} == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_goes_through(workspace: Workspace, collector: Collector, name: str) -> None:
    """A sample with another collector sends the packets of the independent reading."""
    for folder in ("sample_configs", "sample_data"):
        shutil.copytree(ROOT / folder, workspace.folder / folder)
    for path in (workspace.folder / "sample_data").glob("il-*.csv"):
        path.write_text("".join(path.read_text().splitlines(keepends=True)[YEAR]))
    config = workspace.folder / "sample_configs" / name
    text = config.read_text()
    for setting in ("environment = sandbox", "environment = production", "environment = demo"):
        text = text.replace(
            f"\n{setting}\n", f"\nurl = {collector.url}\nstate = {workspace.state}\n"
        )
    text = text.replace("rate_limit = 200\n", "")
    config.write_text(
        text.replace("http://localhost:8080/measurements/v2/unifiedjson/", collector.url)
    )
    done = workspace.run(config, env=VARIABLES)
    assert done.code == 0, done.err
    for stream, plain in SAMPLES[name].items():
        sent = [
            json.loads(body, parse_float=Decimal, parse_int=Decimal)
            for body in collector.bodies(stream)
        ]
        assert plain.packets(stream) == sent
    assert {request.stream for request in collector.requests} == set(SAMPLES[name])


def test_the_quick_start_as_it_stands(workspace: Workspace) -> None:
    """The README's run, of one month, has no warning and can be repeated."""
    config = ROOT / "sample_configs" / "quickstart.ini"
    arguments = (config, "--progress", "none", "--since", "2016-03-01", "--until", "2016-04-01")
    done = workspace.run(*arguments)
    assert (0, "") == (done.code, done.err)
    assert "The sandbox holds 1,486 packets" in done.out
    again = workspace.run(*arguments)
    assert (0, True) == (again.code, "Nothing new: 1,486 rows" in again.out)
