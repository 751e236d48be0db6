"""A program that sends measurements with the library; it runs in a process of its own."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from swarm import Agent, Config, SimpleMeasurement

_START = datetime(2000, 1, 1, tzinfo=UTC)
_STEP = timedelta(minutes=5)


@dataclass(frozen=True)
class AgentOptions:
    """The load: ``rows`` measurements for each of ``streams``, with a sender for each stream."""

    url: str
    username: str
    password: str
    streams: int
    rows: int


def run(options: AgentOptions) -> dict[str, float]:
    """Send; return the seconds from the first `send` to the last answer, and the CPU seconds."""
    config = Config(options.url, options.username, options.password)
    # Created before the clock starts, as that is the work of the user, not of the library.
    measurements = list(_measurements(options))
    with Agent(maximum_parallel_senders=options.streams) as agent:
        cpu, started = time.process_time(), time.monotonic()
        for measurement in measurements:
            agent.send(measurement, config)
        agent.wait_until_last()
        seconds = time.monotonic() - started
        cpu = time.process_time() - cpu
        sent = agent.sent
    if sent < len(measurements):
        sys.exit(f"of {len(measurements)} measurements {sent} were sent")
    return {"seconds": seconds, "cpu": cpu}


def _measurements(options: AgentOptions) -> Iterator[SimpleMeasurement]:
    for row in range(options.rows):
        for stream in range(options.streams):
            value = 1000 + row % 997 + 0.125
            yield SimpleMeasurement(f"stream-{stream:03}", _START + row * _STEP, value)


if __name__ == "__main__":
    print(json.dumps(run(AgentOptions(**json.loads(sys.argv[1])))))
