"""Parameters of an `Agent`: the number of senders, and the errors for wrong values."""

import os
import sys
from typing import Any

import pytest

from swarm import Agent, ConfigError
from swarm.agent.agent import sender_count


def test_the_number_of_senders(caplog: pytest.LogCaptureFixture) -> None:
    """0 is twice the processors; above 256 it is cut, with a warning."""
    assert sender_count(0) == min(2 * (os.cpu_count() or 1), 256)
    assert not caplog.text
    with Agent(300):
        assert "300 parallel senders are too many: reduced to 256" in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("maximum_parallel_senders", -1, "a whole number of at least 0"),
        ("maximum_parallel_senders", 2.0, "a whole number of at least 0"),
        ("queue_size", 0, "a whole number of at least 1"),
        ("queue_size", True, "a whole number of at least 1"),
        ("retry_for", "5m", "seconds or None"),
        ("retry_for", float("nan"), "seconds or None"),
        ("settle", -1, "seconds"),
        ("settle", float("inf"), "seconds"),
        ("transport", "x", "auto, curl, requests"),
    ],
)
def test_what_an_agent_can_not_be(name: str, value: Any, expected: str) -> None:
    """The parameter is named, with what was found and what is expected."""
    with pytest.raises(ConfigError) as caught:
        Agent(**{name: value})
    assert (f"{name}: found {value!r}, expected {expected}",) == caught.value.problems


def test_all_problems_of_an_agent_at_once() -> None:
    """One error has them all."""
    with pytest.raises(ConfigError) as caught:
        Agent(-1, queue_size=0, settle=-1)
    assert len(caught.value.problems) == 3


def test_an_engine_that_can_not_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the config that is wrong; no option of the command is named."""
    monkeypatch.setitem(sys.modules, "swarm.collector.transport.curl", None)
    with pytest.raises(ConfigError, match=r"^transport curl: pycurl can't be loaded"):
        Agent(transport="curl")
