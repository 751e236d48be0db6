"""The state of a run as Prometheus metrics, and back from a file of them."""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from swarm.monitor.state import RunState

LAST_SUCCESS: Final = "swarm_last_success_timestamp_seconds"
#: The metrics: their help and their labels. Source: "Metrics" in docs/reference.md.
METRICS: Final = {
    "swarm_last_run_timestamp_seconds": ("Time of the last run's beginning", ("config",)),
    LAST_SUCCESS: ("Time of the end of the last run that had exit code 0", ("config",)),
    "swarm_exit_code": ("Exit code of the last run", ("config",)),
    "swarm_duration_seconds": ("Duration of the last run", ("config",)),
    "swarm_packets_per_second": ("Packets a second of the last run", ("config",)),
    "swarm_meter_rows": ("Rows of a meter by outcome", ("config", "meter", "outcome")),
    "swarm_meter_last_acknowledged_timestamp_seconds": (
        "Time of the newest acknowledged row of a meter",
        ("config", "meter"),
    ),
    "swarm_meter_retries": ("Retries of a meter's packets", ("config", "meter")),
}
_OUTCOMES: Final = ("sent", "resumed", "filtered", "rejected", "late", "unsent")


class Series(NamedTuple):
    """The name of a metric, and the values of its labels."""

    name: str
    labels: tuple[str, ...]


#: The value of each series.
Values = Mapping[Series, float]


def values_of(state: RunState) -> dict[Series, float]:
    """Return what is known of a run."""
    config = (PurePath(state.start.get("config", "")).name,)
    end, started = state.end, _seconds(state.start.get("time"))
    values = {
        Series("swarm_last_run_timestamp_seconds", config): started,
        Series("swarm_duration_seconds", config): (
            end["seconds"] if end else max(time.time() - started, 0.0)
        ),
        Series("swarm_packets_per_second", config): (
            end["packets_per_second"] if end else state.progress.get("rate", 0.0)
        ),
    }
    if end:
        values[Series("swarm_exit_code", config)] = end["exit_code"]
        if not end["exit_code"]:
            values[Series(LAST_SUCCESS, config)] = _seconds(end["time"])
    for name, stream in state.streams.items():
        meter, facts = (*config, name), stream.facts
        for outcome in _OUTCOMES:
            if outcome in facts:
                values[Series("swarm_meter_rows", (*meter, outcome))] = facts[outcome]
        if facts.get("last_acknowledged"):
            newest = Series("swarm_meter_last_acknowledged_timestamp_seconds", meter)
            values[newest] = _seconds(facts["last_acknowledged"])
        if "retries" in facts:
            values[Series("swarm_meter_retries", meter)] = facts["retries"]
    return values


def exposition(values: Values) -> bytes:
    """Return values in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Metrics(values))
    return generate_latest(registry)


def parsed(text: str) -> dict[Series, float]:
    """Return the values of these metrics in a text; raises ValueError if it is another format."""
    return {
        Series(sample.name, tuple(sample.labels.get(label, "") for label in labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if (labels := METRICS.get(sample.name, ("", ()))[1])
    }


class _Metrics(Collector):
    def __init__(self, values: Values) -> None:
        self._values = values

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that have a value."""
        families = {
            name: GaugeMetricFamily(name, text, labels=labels)
            for name, (text, labels) in METRICS.items()
        }
        for series, value in self._values.items():
            families[series.name].add_metric(series.labels, value)
        yield from (family for family in families.values() if family.samples)


def _seconds(text: str | None) -> float:
    """Return the Unix time (s) of an ISO 8601 time, 0 without one."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0
