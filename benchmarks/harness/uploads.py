"""Uploads by the command: an INI with streams, and the throughput of a run."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import commands, data
from benchmarks.harness.bare import PASSWORD, USER
from benchmarks.harness.commands import SWARM
from benchmarks.harness.data import Series
from benchmarks.harness.session import Throughput
from benchmarks.results import NotMeasured

_INI = """\
[swarm]
url = {url}
timezone = {zone}
state = {folder}/state

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
        stderr: int | None = None,
        watch: Callable[[int], None] | None = None,
    ) -> Throughput:
        """Send all rows, without a checkpoint; raise `NotMeasured` unless every row was sent."""
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        command = [*SWARM, "upload", str(self.ini), "--json", *options]
        finished = commands.run(command, self.folder, stderr=stderr, watch=watch)
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
) -> Job:
    """Write ``streams`` equal CSVs, and an INI that sends all of them in parallel."""
    first = data.write(folder / "000.csv", series.shuffled() if shuffled else series.in_order())
    for number in range(1, streams):
        shutil.copyfile(first, folder / f"{number:03}.csv")
    meters = "\n".join(f"stream-{number:03} = {number:03}.csv" for number in range(streams))
    ini = folder / "config.ini"
    text = _INI.format(
        url=url,
        zone=zone,
        folder=folder,
        user=USER,
        password=PASSWORD,
        connections=streams,
        meters=meters,
    )
    ini.write_text(text, encoding="utf-8")
    ini.chmod(0o600)
    return Job(folder, ini, streams * series.rows)
