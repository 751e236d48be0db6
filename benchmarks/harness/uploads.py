"""Uploads by the command: an INI with streams, and the throughput of a run."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import commands, data
from benchmarks.harness.bare import PASSWORD, USER
from benchmarks.harness.data import Series
from benchmarks.harness.session import Throughput
from benchmarks.harness.versions import THIS, Version
from benchmarks.results import NotMeasured

#: In place of a URL: the sandbox that swarm starts for a run.
SANDBOX = "sandbox"

_INI = """\
[swarm]
{collector}
timezone = {zone}
state = {folder}/{state}
{ca}

[credentials]
username = {user}
password = {password}

[upload]
connections = {connections}

[meters]
{meters}
"""


@dataclass(frozen=True)
class Job:
    """An INI, its folder, and the total number of rows of its streams."""

    folder: Path
    ini: Path
    rows: int

    def send(
        self,
        *options: str,
        version: Version = THIS,
        setting: commands.Setting = commands.PLAIN,
    ) -> Throughput:
        """Send all rows, without a checkpoint; raise `NotMeasured` unless every row was sent."""
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        finished = version.run(
            ["upload", str(self.ini), "--json", *options], self.folder, setting=setting
        )
        totals = finished.report["totals"]
        if totals["sent"] != self.rows or totals["retries"]:
            raise NotMeasured(f"of {self.rows} rows {totals['sent']} were sent")
        rate = totals["packets_per_second"]
        return Throughput(rate, finished.cpu / self.rows, finished.seconds - self.rows / rate)


def write_job(  # noqa: PLR0913 - all of them are options
    folder: Path,
    url: str,
    series: Series,
    *,
    streams: int,
    zone: str = "UTC",
    shuffled: bool = False,
    ca: Path | None = None,
) -> Job:
    """Write ``streams`` equal CSVs, and an INI that sends all of them in parallel.

    ``ca`` is the file of the CA of an HTTPS URL.
    """
    first = data.write(folder / "000.csv", series.shuffled() if shuffled else series.in_order())
    files = [first.name, *(f"{number:03}.csv" for number in range(1, streams))]
    for name in files[1:]:
        shutil.copyfile(first, folder / name)
    ini = write_ini(folder / "config.ini", url, files, zone=zone, connections=streams, ca=ca)
    return Job(folder, ini, streams * series.rows)


def write_ini(  # noqa: PLR0913 - all of them are options
    path: Path,
    url: str,
    files: Sequence[str],
    *,
    connections: int,
    zone: str = "UTC",
    ca: Path | None = None,
    state: str = "state",
) -> Path:
    """Write an INI with a stream for each file, named for its place in the list."""
    meters = "\n".join(f"{stream(number)} = {name}" for number, name in enumerate(files))
    text = _INI.format(
        collector="environment = sandbox" if url == SANDBOX else f"url = {url}",
        zone=zone,
        folder=path.parent,
        state=state,
        ca=f"ca_bundle = {ca}" if ca else "",
        user=USER,
        password=PASSWORD,
        connections=connections,
        meters=meters,
    )
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def stream(number: int) -> str:
    """Return the ID of a stream by its place in an INI."""
    return f"stream-{number:03}"
