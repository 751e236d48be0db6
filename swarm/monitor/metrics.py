"""The state of a run as Prometheus metrics."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import PurePath

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from swarm.monitor.state import RunState

_OUTCOMES = ("sent", "resumed", "filtered", "rejected", "late", "unsent")


class _Metrics(Collector):
    def __init__(self, state: RunState) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the run, and of each meter."""
        state = self._state
        config = PurePath(state.start.get("config", "")).name
        end = state.end
        started = _seconds(state.start.get("time"))
        whole = {
            "swarm_last_run_timestamp_seconds": ("Time of the last run's beginning", started),
            "swarm_packets_per_second": (
                "Packets a second of the last run",
                end["packets_per_second"] if end else state.progress.get("rate", 0.0),
            ),
            "swarm_duration_seconds": (
                "Duration of the last run",
                end["seconds"] if end else max(time.time() - started, 0.0),
            ),
        }
        if end:
            whole["swarm_exit_code"] = ("Exit code of the last run", end["exit_code"])
            if not end["exit_code"]:
                whole["swarm_last_success_timestamp_seconds"] = (
                    "Time of the last run that ended with exit code 0",
                    _seconds(end["time"]),
                )
        for name, (text, value) in whole.items():
            metric = GaugeMetricFamily(name, text, labels=["config"])
            metric.add_metric([config], value)
            yield metric
        yield from self._meters(config)

    def _meters(self, config: str) -> Iterator[Metric]:
        rows = GaugeMetricFamily(
            "swarm_meter_rows", "Rows of a meter by outcome", labels=["config", "meter", "outcome"]
        )
        newest = GaugeMetricFamily(
            "swarm_meter_last_acknowledged_timestamp_seconds",
            "Time of the newest acknowledged row of a meter",
            labels=["config", "meter"],
        )
        retries = GaugeMetricFamily(
            "swarm_meter_retries", "Retries of a meter's packets", labels=["config", "meter"]
        )
        for name, stream in self._state.streams.items():
            facts = stream.facts
            for outcome in _OUTCOMES:
                if outcome in facts:
                    rows.add_metric([config, name, outcome], facts[outcome])
            if facts.get("last_acknowledged"):
                newest.add_metric([config, name], _seconds(facts["last_acknowledged"]))
            retries.add_metric([config, name], facts.get("retries", 0))
        yield from (rows, newest, retries)


def _seconds(text: str | None) -> float:
    """Return the Unix time (s) of an ISO 8601 time, 0 without one."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def exposition(state: RunState) -> bytes:
    """Return the metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Metrics(state))
    return generate_latest(registry)
