"""Meters whose files grow: what each version has sent of them, in a state folder of its own."""

import shutil
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path

from benchmarks.harness import commands, data
from benchmarks.harness.data import Series
from benchmarks.harness.nginx import LOOPBACK, Nginx
from benchmarks.harness.uploads import stream, write_ini
from benchmarks.harness.versions import Version
from benchmarks.results import NotMeasured
from swarm.text import pluralize

#: How many rows more than at the beginning a file can have.
_MOST_NEW = 1000
_MOST_CONNECTIONS = 64
_QUIET = ("--progress", "none")


class Exports:
    """Equal files of ``rows`` rows, one for each meter, in time zone UTC, a minute apart.

    All versions read the same files.
    """

    def __init__(self, folder: Path, nginx: Nginx, *, rows: int, meters: int = 1) -> None:
        self.rows = rows
        self._folder = folder
        self._nginx = nginx
        self._series = Series(rows + _MOST_NEW, minutes=1)
        self._begin = 0
        self._first_new = rows
        self._sent: Counter[str] = Counter()
        self._files = [f"{number:04}.csv" for number in range(meters)]
        data.write(folder / self._files[0], islice(self._series.in_order(), rows))
        for name in self._files[1:]:
            shutil.copyfile(folder / self._files[0], folder / name)

    def check(self, version: Version) -> float:
        """Return the seconds of a check."""
        ini = self._ini(version, self._nginx.url("http"))
        return version.run(["check", str(ini), *_QUIET], self._folder).seconds

    def check_starter(self, version: Version) -> float:
        """Return the seconds of a check of the INI that ``swarm init`` writes."""
        ini = self._folder / "starter.ini"
        text = version.run(["init", *self._files], self._folder).out
        ini.write_text(text, encoding="utf-8")
        return version.run(["check", str(ini), *_QUIET], self._folder).seconds

    def first_request(self, version: Version) -> float:
        """Return the seconds until an upload without a checkpoint connects to the collector."""
        with socket.create_server((LOOPBACK, 0)) as listener:
            listener.settimeout(600)
            url = f"http://{LOOPBACK}:{listener.getsockname()[1]}/unifiedjson/"
            ini = self._ini(version, url)
            with (self._folder / "first.txt").open("wb") as out:
                started = time.monotonic()
                command = [*version.swarm, "upload", str(ini), *_QUIET]
                number = out.fileno()
                process = commands.start(command, self._folder, number, number, root=version.root)
            try:
                listener.accept()[0].close()
                return time.monotonic() - started
            except TimeoutError:
                raise NotMeasured("the collector was not asked") from None
            finally:
                commands.end(process)

    def first_run(self, version: Version) -> commands.Finished:
        """Send all rows, without a checkpoint."""
        shutil.rmtree(self._folder / _state(version), ignore_errors=True)
        return self._upload(version, sent=self.rows * len(self._files))

    def adopt(self, version: Version) -> None:
        """Take all rows for acknowledged, as if an earlier run had sent them."""
        self._upload(version, "--adopt")

    def settle(self, version: Version) -> None:
        """Run once, to write what makes later runs quick; only if this version can do that."""
        if version.has_option("--full-check"):
            self.nothing_new(version)

    def nothing_new(
        self, version: Version, *, setting: commands.Setting = commands.PLAIN
    ) -> commands.Finished:
        """Run where all rows were sent."""
        return self._upload(version, setting=setting)

    def full_way(self, version: Version) -> commands.Finished:
        """Run where all rows were sent, and check and compare all of them again."""
        has_option = version.has_option("--full-check")
        return self._upload(version, *(["--full-check"] if has_option else []))

    def one_row_new(self, version: Version) -> commands.Finished:
        """Run where one row was appended to the first file since this version's last run."""
        last = self._next(version)
        if last >= self._begin + self.rows:
            with (self._folder / self._files[0]).open("a", encoding="ascii") as file:
                file.write(self._series.line(last))
            self.rows += 1
        return self._upload(version, sent=1)

    def keep_last(self, rows: int) -> None:
        """Shorten the first file to its last rows, as an export does that covers the last days."""
        self._begin += self.rows - rows
        self.rows = rows
        self._write_window()

    def rolled(self, version: Version) -> commands.Finished:
        """Run where the file lost its first row and has a new one since this version's last run."""
        if self._next(version) >= self._begin + self.rows:
            self._begin += 1
            self._write_window()
        return self._upload(version, sent=1)

    def _next(self, version: Version) -> int:
        """Return the number of the row that a version has to send next."""
        number = self._first_new + self._sent[version.name]
        self._sent[version.name] += 1
        return number

    def _write_window(self) -> None:
        rows = range(self._begin, self._begin + self.rows)
        data.write(self._folder / self._files[0], map(self._series.line, rows))

    @contextmanager
    def _last_packets(self) -> Iterator[None]:
        """Let the collector return the last row of the files for each meter."""
        moment, value = self._series.line(self._begin + self.rows - 1).strip().split(",")
        instant = f"{moment.replace(' ', 'T')}.000+00:00"
        names = [stream(number) for number in range(len(self._files))]
        for name in names:
            packet = f'{{"id":"{name}","tsISO8601":"{instant}","value":{value}}}'
            self._nginx.set_last(name, packet.encode("ascii"))
        try:
            yield
        finally:
            for name in names:
                self._nginx.set_last(name, None)

    def _ini(self, version: Version, url: str) -> Path:
        state = _state(version)
        ini = self._folder / f"{state}.ini"
        connections = min(len(self._files), _MOST_CONNECTIONS)
        return write_ini(ini, url, self._files, connections=connections, state=state)

    def _upload(
        self,
        version: Version,
        *options: str,
        sent: int = 0,
        setting: commands.Setting = commands.PLAIN,
    ) -> commands.Finished:
        ini = self._ini(version, self._nginx.url("http"))
        command = ["upload", str(ini), "--json", *_QUIET, *options]
        # Where rows are sent, nginx does not know the last one.
        with nullcontext() if sent else self._last_packets():
            finished = version.run(command, self._folder, setting=setting)
        totals = finished.report["totals"]
        if totals["sent"] != sent or totals["sent"] + totals["resumed"] != totals["rows"]:
            raise NotMeasured(
                f"{pluralize(totals['sent'], 'row')} sent where {sent} were new, "
                f"{totals['resumed']:,} of {totals['rows']:,} resumed"
            )
        return finished


def _state(version: Version) -> str:
    return "state-" + version.name.replace(" ", "-")
