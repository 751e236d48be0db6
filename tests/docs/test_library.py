"""The examples of ``docs/library.md`` and the README run unchanged; the page has all names."""

import inspect
import re
from collections import namedtuple
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import swarm
from swarm import Agent, Config, ElectricityMeasurement, Environment, Response
from tests.support.collector import Collector

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8").partition("## As a library\n")[2]
SNIPPET = "\n".join(re.findall(r"^    (.*)", README.partition("\n## ")[0], re.MULTILINE))
EXAMPLES = [SNIPPET, *re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)]

#: The number of packets that each example sends, the README's first, then in the page's order.
SENT = (1, 1, 1, 288, 3, 2, 1, 8, 1, 2)

Row = namedtuple("Row", "Index meter time kwh")


class Frame:
    """A substitute for a data frame of pandas, with what the page uses of it."""

    def itertuples(self) -> list[Row]:
        """Return the rows."""
        return [Row(n, "gas", datetime(2023, 1, 1, n), n / 4) for n in range(2)]


def pointed_at(url: str, code: str) -> str:
    """Return an example that sends to the test's collector instead of a real one."""
    code = re.sub(r"Environment\.[A-Z]+", repr(url), code)
    return re.sub(r'"https://[^"]+"', repr(url), code)


@pytest.mark.parametrize("example", list(zip(EXAMPLES, SENT, strict=True)))
def test_an_example_runs(
    example: tuple[str, int],
    collector: Collector,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It sends the expected number of packets, and logs no refused, unsettled or unsent one."""
    code, sent = example
    monkeypatch.chdir(tmp_path)
    lines = ["meter,time,kwh", *(f"gas,2023-01-01 0{hour}:00:00,{hour}.5" for hour in range(3))]
    Path("readings.csv").write_text("\n".join(lines))
    exec(compile(pointed_at(collector.url, code), "library.md", "exec"), {"frame": Frame()})
    assert sent == len(collector.requests)
    assert not caplog.records
    if "sent.log" in code:
        assert Path("sent.log").read_text().startswith('200\t{"id":"gas-meter-01"')


def public(kind: type) -> set[str]:
    """Return the public names of a class."""
    return {name for name in vars(kind) if not name.startswith("_")}


def parameters(function: Callable[..., Any]) -> set[str]:
    """Return the names of a function's parameters."""
    return set(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    "names",
    [
        set(swarm.__all__) - {"__version__"},
        public(Agent),
        parameters(Agent),
        parameters(Config),
        {each.name for each in Environment},
        {"code", "text", "is_success"} | public(Response),
    ],
)
def test_nothing_goes_unmentioned(names: set[str]) -> None:
    """Each public name of the library is on the page."""
    assert not {name for name in names if not re.search(rf"\b{name}\b", PAGE)}


def test_every_attribute_is_listed() -> None:
    """The table of electrical values has all 21 attributes."""
    listed = set()
    for first, others in re.findall(r"^\| `(\w+_)a`((?:, `_[bc]`)+)", PAGE, re.MULTILINE):
        listed |= {first + end for end in ("a", *re.findall(r"_([bc])", others))}
    listed |= {f"line_to_line_voltage_phase_{end}" for end in ("ab", "ac", "bc")}
    assert "`line_to_line_voltage_phase_ab`, `_ac`, `_bc`" in PAGE
    assert listed == parameters(ElectricityMeasurement) - {"id", "timestamp"}
