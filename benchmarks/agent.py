"""A program that sends measurements with the library; run as one, in a process of its own."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.bare import PASSWORD, USER
from swarm import Agent, Config, SimpleMeasurement

_START = datetime(2000, 1, 1, tzinfo=UTC)
_STEP = timedelta(minutes=5)


@dataclass(frozen=True)
class Order:
    """What to send: ``rows`` measurements of each of ``streams``, with a sender for each."""

    url: str
    streams: int
    rows: int


def obey(order: Order) -> dict[str, float]:
    """Send, and return the seconds from the first measurement given to the last one answered."""
    config = Config(order.url, USER, PASSWORD)
    # Made before the clock starts: that is the user's work, not the library's.
    measurements = list(_measurements(order))
    with Agent(maximum_parallel_senders=order.streams) as agent:
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


def _measurements(order: Order) -> Iterator[SimpleMeasurement]:
    for row in range(order.rows):
        for stream in range(order.streams):
            value = 1000 + row % 997 + 0.125
            yield SimpleMeasurement(f"stream-{stream:03}", _START + row * _STEP, value)


if __name__ == "__main__":
    print(json.dumps(obey(Order(**json.loads(sys.argv[1])))))
