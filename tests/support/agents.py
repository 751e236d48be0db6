"""Helpers for tests of the library's `Agent`: measurements, answers, programs, interruptions."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from swarm import Agent, Measurement, Response, SimpleMeasurement
from tests.support.collector import Collector, Reply, Request

START = datetime(2023, 1, 1, tzinfo=UTC)
#: The folder that holds `swarm` and `tests`.
ROOT = str(Path(__file__).parents[2])

Answers = list[tuple[Measurement, Response | None]]


def at(minute: int, value: float = 1, name: str = "gas") -> SimpleMeasurement:
    """Return a measurement of a minute of the year."""
    return SimpleMeasurement(name, START + timedelta(minutes=minute), value)


def kept(agent: Agent) -> Answers:
    """Return a list that grows with the agent's answers."""
    answers: Answers = []
    agent.add_measurement_sent_handler(lambda *answer: answers.append(answer))
    return answers


def codes(answers: Answers) -> list[int | None]:
    """Return the answers' status codes."""
    return [None if response is None else response.code for _, response in answers]


def minutes(collector: Collector, name: str = "gas") -> list[int]:
    """Return the minutes that the collector holds of a stream, in the order they came."""
    times = [datetime.fromisoformat(each["tsISO8601"]) for each in collector.packets(name)]
    return [(moment - START) // timedelta(minutes=1) for moment in times]


def scripted(status: int, *, stream: str = "gas", **reply: Any) -> Callable[..., Reply | None]:
    """Return a script that answers a stream's packets with a status."""

    def script(request: Request, _: Collector) -> Reply | None:
        is_meant = request.method == "POST" and request.stream == stream
        return Reply(status, **reply) if is_meant else None

    return script


def start_program(
    text: str,
    url: str,
    *,
    arguments: tuple[str, ...] = (),
    is_measured: bool = True,
    **options: Any,
) -> "subprocess.Popen[str]":
    """Start a program that uses the library."""
    environment = {
        name: value for name, value in os.environ.items() if is_measured or "COVERAGE" not in name
    }
    head = f"""
import os, signal, sys, threading
from datetime import datetime, UTC
from swarm import Agent, AgentError, Config, SimpleMeasurement
config = Config({url!r}, "acme", "s3cr%et")
def at(minute, name="gas"):
    return SimpleMeasurement(name, datetime(2023, 1, 1, 0, minute, tzinfo=UTC), 1)
"""
    return subprocess.Popen(
        [sys.executable, "-c", head + text, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, "PYTHONPATH": ROOT},
        **options,
    )


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class InterruptionError(Exception):
    """Raised by the handler of a signal."""


def interrupted(step: int, handler: Callable[[], None], function: Callable[[], object]) -> bool:
    """Call a function, and interrupt it with a handler; return True if the handler was called.

    The handler runs at the ``step``-th place where a signal's could: where a function begins, or
    where one in C has returned.
    """
    left = step

    def profile(_frame: object, event: str, _arg: object) -> None:
        nonlocal left
        left -= event in {"call", "c_return"}
        if not left:
            left = -1
            sys.setprofile(None)
            handler()

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return left < 0
