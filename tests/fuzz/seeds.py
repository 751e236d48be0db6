"""Valid INIs with their CSVs, to be mutated: the samples, the contract's, the app's."""

import gzip
import re
from pathlib import Path

from tests.fuzz.mutation import Files

#: A password of which no message may show a piece; its characters have a meaning in INIs.
SECRET = "Zk9v=Q7pX#2wLm"
#: The name of the sample file that contains it.
PASSWORD_FILE = "demo-password.txt"
_ROOT = Path(__file__).parents[2]
_ROWS = 30

_WHOLE = f"""[swarm]
environment = production
timezone = Europe/Dublin
state = state
[credentials]
username = acme
password = {SECRET}
[credentials:site-b]
username = other
password_env = SITE_B_PASSWORD
[upload]
connections = 64
[meters]
gas-meter-01 = data/gas.csv
elec-meter-02 = data/elec-*.csv
Zähler: 3 [kWh] = data/energy.csv.gz
clock =
    data/clock-1.csv
    data/clock-2.csv
[meter:elec-meter-02]
credentials = site-b
timezone = America/Chicago
columns = aP_1, -, pC_1
unit = kW, kWh
timestamp_format = %d/%m/%Y %H:%M
delimiter = ;
decimal = ,
skip_rows = 1
interval = 15m
duplicates = last
empty_rows = skip
ambiguous_time = second
[meter:Zähler: 3 [kWh]]
shift = 15m
pad_first = yes
power_from_energy = 15m
[meter:clock]
route = utc
"""
_APP = f"""[Web DC]
URL=https://web-collector.wattics.com/measurements/v2/unifiedjson/
Username=acme
Password={SECRET}
[General]
Filename=data/gas.csv
ChannelType=other
ChannelReference=gas-01
MinutesShift=15
[Logs]
Level=INFO
"""


def seeds() -> list[Files]:
    """Return the inputs to start with."""
    whole, app = {"x.ini": _WHOLE.encode()}, {"x.ini": _APP.encode()}
    return [whole | _csvs(), whole | _csvs(), app | _csvs(), *map(_sample, _samples())]


def _samples() -> list[Path]:
    return sorted((_ROOT / "sample_configs").glob("*.ini"))


def _sample(ini: Path) -> Files:
    """Return a sample with its shortened CSVs, and with the secret as its password."""
    text = re.sub("Password=.*", f"Password={SECRET}", ini.read_text(encoding="utf-8"))
    names = sorted({*re.findall(r"sample_data/([\w-]+\.csv)", text), "cold-room-kwh-2024-05.csv"})
    csvs = {f"sample_data/{name}": _head(_ROOT / "sample_data" / name) for name in names}
    secret = {f"sample_configs/{PASSWORD_FILE}": f"{SECRET}\n".encode()}
    return {f"sample_configs/{ini.name}": text.encode(), **csvs, **secret}


def _head(path: Path) -> bytes:
    return b"".join(path.read_bytes().splitlines(keepends=True)[:_ROWS])


def _csvs() -> Files:
    """Return CSVs for the two INIs: plain rows, an export, a clock change over two files."""
    hours = [f"2023-10-29 {hour:02}:{minute:02}:00" for hour in (0, 1, 2) for minute in (0, 30)]
    passes = [*hours[:4], *hours[2:]]
    clock = [f"{time},{at}\r\n" for at, time in enumerate(passes)]
    export = [f"{day:02}/01/2023 00:{day}0;{day},5;ok;{1000 + day}\n" for day in range(1, 6)]
    gas = [f"2023-01-01 {hour:02}:00:00,{hour}.{hour}0\n" for hour in range(24)]
    return {
        "data/gas.csv": "".join(gas).encode(),
        "data/elec-1.csv": "".join(["Time;kW;Status;kWh\n", *export]).encode(),
        "data/elec-2.csv": b"Time;kW;Status;kWh\n06/01/2023 00:00;;;\n",
        "data/energy.csv.gz": gzip.compress("".join(gas).encode(), mtime=0),
        "data/clock-1.csv": "".join(clock[:6]).encode(),
        "data/clock-2.csv": "".join(clock[6:]).encode(),
    }
