"""The file of ``--metrics-file``."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from swarm.errors import SettingsError
from swarm.monitor.events import End, Notice, Progress, Start, Stream, StreamPosition
from swarm.monitor.metrics_file import MetricsFile

TIME = "2026-01-31T12:00:00.000+00:00"
UNIX = 1769860800.0
START = Start("1.0.0", "/etc/swarm/m.ini", "sandbox", 2, time=TIME)


class Watched:
    """A metrics file with a clock that is set by hand."""

    def __init__(self, path: Path, *meters: str) -> None:
        self.path = path
        self.now = 0.0
        self.notices: list[str] = []
        self.file = MetricsFile(path, meters, self.notices.append, lambda: self.now)

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """Return the values of a metric by its labels except the INI's name."""
        found = text_string_to_metric_families(self.path.read_text(encoding="utf-8"))
        samples = [each for family in found for each in family.samples if each.name == name]
        assert all(each.labels.pop("config") == "m.ini" for each in samples)
        return {tuple(each.labels.values()): each.value for each in samples}


def stream(name: str, *, newest: str | None = TIME, state: str = "done", sent: int = 5) -> Stream:
    """Return the end of a stream of which ``sent`` rows were sent."""
    counts = {"resumed": 0, "filtered": 0, "rejected": 0, "late": 0, "unsent": 0, "retries": 0}
    return Stream(
        name, state, sent, sent, **counts, verified="yes", last_acknowledged=newest, time=TIME
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the file."""
    return tmp_path / "swarm.prom"


def test_it_is_written_at_once_every_15_s_and_at_the_end(path: Path) -> None:
    """A scraper sees a long run while it lasts."""
    watched = Watched(path, "a", "b")
    watched.file.take(START)
    assert {(): UNIX} == watched.values("swarm_last_run_timestamp_seconds")
    watched.file.take(stream("a"))
    watched.now = 14.9
    watched.file.take(Notice("nothing"))
    assert {} == watched.values("swarm_meter_rows")
    watched.now = 15.0
    positions = {"b": StreamPosition(9, 4, 3, "503")}
    watched.file.take(Progress(9, 4, 2.5, None, 1, 1, "", 2, "", positions))
    assert 5 == watched.values("swarm_meter_rows")["a", "sent"]
    assert {("a",): 0, ("b",): 3} == watched.values("swarm_meter_retries")
    assert {(): 2.5} == watched.values("swarm_packets_per_second")
    assert {} == watched.values("swarm_exit_code")
    watched.file.take(End(0, 21.5, 14, 14, 0, 7.0, time=TIME))
    assert {(): 0} == watched.values("swarm_exit_code")
    assert {(): UNIX} == watched.values("swarm_last_success_timestamp_seconds")
    assert {(): 21.5} == watched.values("swarm_duration_seconds")
    assert {(): 7} == watched.values("swarm_packets_per_second")
    assert [path] == list(path.parent.iterdir())
    assert not watched.notices


def test_values_stay_until_there_are_new_ones(path: Path) -> None:
    """A failed run keeps the last success, and the newest row of a meter that it can't read."""
    first = Watched(path, "a", "b", "gone")
    for event in (START, stream("a"), stream("b"), stream("gone"), End(0, 1.0, time=TIME)):
        first.file.take(event)
    second = Watched(path, "a", "b")
    later = "2026-02-01T12:00:00.000+00:00"
    second.file.take(Start("1.0.0", "m.ini", "sandbox", 2, time=later))
    assert {(): 0} == second.values("swarm_exit_code")
    second.file.take(stream("a", newest=later, sent=1))
    second.file.take(stream("b", newest=None, state="invalid", sent=0))
    second.file.take(End(3, 1.0, time=later))
    assert {(): 3} == second.values("swarm_exit_code")
    assert {(): UNIX} == second.values("swarm_last_success_timestamp_seconds")
    assert {(): UNIX + 86_400} == second.values("swarm_last_run_timestamp_seconds")
    newest = {("a",): UNIX + 86_400, ("b",): UNIX}
    assert newest == second.values("swarm_meter_last_acknowledged_timestamp_seconds")
    rows = second.values("swarm_meter_rows")
    assert (1, 0) == (rows["a", "sent"], rows["b", "sent"])
    assert not any("gone" in labels for labels in rows)


def test_a_file_of_another_kind_is_replaced(path: Path) -> None:
    """A file that can't be read holds up no run."""
    path.write_bytes(b"\xff{")
    watched = Watched(path, "a")
    assert [f"--metrics-file {path}: can't be read; it is written anew"] == watched.notices
    watched.file.take(START)
    assert {(): UNIX} == watched.values("swarm_last_run_timestamp_seconds")


def test_metrics_of_others_are_not_kept(path: Path) -> None:
    """A file that another program has written there loses its metrics."""
    path.write_text('other{config="m.ini"} 7\nswarm_exit_code{config="m.ini"} 5\n')
    watched = Watched(path)
    watched.file.take(START)
    assert {(): 5} == watched.values("swarm_exit_code")
    assert "other" not in path.read_text(encoding="utf-8")


def test_writes_that_fail_are_told_once(tmp_path: Path) -> None:
    """The run goes on, and the file comes back with its folder."""
    folder = tmp_path / "textfiles"
    folder.mkdir()
    watched = Watched(folder / "m.prom", "a")
    folder.rmdir()
    for _ in range(3):
        watched.now += 15
        watched.file.take(START)
    assert [f"--metrics-file {folder}/m.prom: not written: No such file or directory"] == (
        watched.notices
    )
    folder.mkdir()
    watched.now += 15
    watched.file.take(START)
    assert {(): UNIX} == watched.values("swarm_last_run_timestamp_seconds")


def test_a_file_that_can_not_be_had_is_told_first(tmp_path: Path) -> None:
    """A folder, and a file in a folder that does not exist."""
    for path, why in ((tmp_path, "is a folder"), (tmp_path / "x" / "y", "no file can be written")):
        with pytest.raises(SettingsError, match=why):
            MetricsFile(path, (), print)


def test_a_missing_package_is_told_with_its_command(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, with the command that installs it."""
    monkeypatch.setattr("swarm.monitor.metrics_file.are_installed", lambda *_: False)
    with pytest.raises(SettingsError, match=r"needs one more package; run: .*pip install '?prom"):
        MetricsFile(path, (), print)
