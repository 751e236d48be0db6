"""Uploads by the command itself: an INI with streams, and what a run of it took."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import commands, data
from benchmarks.bare import PASSWORD, USER
from benchmarks.bench import Pace
from benchmarks.commands import SWARM
from benchmarks.data import Series
from benchmarks.errors import NotMeasured

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
    """An INI, its folder, and how many rows its streams hold in all."""

    folder: Path
    ini: Path
    rows: int

    def send(
        self,
        *options: str,
        stderr: int | None = None,
        watch: Callable[[int], None] | None = None,
    ) -> Pace:
        """Send all, from no checkpoint; `NotMeasured` unless every row was sent."""
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        command = [*SWARM, "upload", str(self.ini), "--json", *options]
        done = commands.run(command, self.folder, stderr=stderr, watch=watch)
        totals = done.report["totals"]
        if totals["sent"] != self.rows or totals["retries"]:
            raise NotMeasured(f"of {self.rows} rows {totals['sent']} were sent")
        rate = totals["packets_per_second"]
        return Pace(rate, done.cpu / self.rows, done.seconds - self.rows / rate)


def job(  # noqa: PLR0913 - what there is to choose
    folder: Path,
    url: str,
    series: Series,
    *,
    streams: int,
    zone: str = "UTC",
    shuffled: bool = False,
) -> Job:
    """Write ``streams`` equal CSVs, and an INI that sends all of them at once."""
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
