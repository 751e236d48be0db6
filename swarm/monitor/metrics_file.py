"""The file of ``--metrics-file``, for the textfile collector of Prometheus' node_exporter."""

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from swarm.errors import SettingsError
from swarm.extras import are_installed, install
from swarm.monitor.events import End, Event, Progress
from swarm.monitor.state import RunState
from swarm.output_file import OutputFile

if TYPE_CHECKING:
    from swarm.monitor.metrics import Series

_SECONDS: Final = 15.0


class MetricsFile:
    """Writes the metrics of a run every 15 s and at its end.

    A series keeps its value of the run before until this run has a new one; so a meter whose file
    is missing keeps the time of its newest acknowledged row. ``meters`` are the IDs of the INI:
    those of other meters are dropped. A write that fails is a notice. Raises `SettingsError` if
    the file can't be written or a package is missing.
    """

    def __init__(
        self,
        path: Path,
        meters: Collection[str],
        notice: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not are_installed("prometheus_client"):
            raise SettingsError(f"--metrics-file needs one more package; run: {install('metrics')}")
        self._file = OutputFile("--metrics-file", path)
        self._notice = notice
        self._clock = clock
        self._due = clock()
        self._state = RunState()
        self._is_failing = False
        self._kept = self._read(frozenset(meters))

    def take(self, event: Event) -> None:
        """Take an event into account, and write the file if it is time."""
        facts = event.with_streams() if isinstance(event, Progress) else event.as_dict()
        self._state.apply(facts)
        if isinstance(event, End) or self._clock() >= self._due:
            self._due = self._clock() + _SECONDS
            self._write()

    def _read(self, meters: frozenset[str]) -> "dict[Series, float]":
        """Return the values of the run before; none if there is no such file, or it is broken."""
        from swarm.monitor.metrics import METRICS, parsed

        try:
            values = parsed(self._file.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            self._notice(f"--metrics-file {self._file.path}: can't be read; it is written anew")
            return {}
        return {
            series: value
            for series, value in values.items()
            if "meter" not in METRICS[series.name][1] or series.labels[1] in meters
        }

    def _write(self) -> None:
        from swarm.monitor.metrics import exposition, values_of

        values = {**self._kept, **values_of(self._state)}
        try:
            with self._file.replaced() as file:
                file.write(exposition(values).decode())
        except OSError as error:
            if not self._is_failing:
                self._is_failing = True
                self._notice(f"--metrics-file {self._file.path}: not written: {error.strerror}")
        else:
            self._is_failing = False
