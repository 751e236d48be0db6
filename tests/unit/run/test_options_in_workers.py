"""Every option of an upload reaches the worker processes, and is read by some code."""

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from swarm.collector.transport import available
from swarm.config.load import load
from swarm.config.options import OPTIONS, Option, Upload
from swarm.csv import CheckResult
from swarm.delivery.task import make_tasks
from swarm.run.setup import open_pool
from tests.support.ini import ini_text

ROOT = Path(__file__).parents[3] / "swarm"
#: A value of each option that is not its default.
VALUES = {
    "since": "2023-01-01",
    "until": "2023-02-01",
    "late": "send",
    "restart": "yes",
    "adopt": "yes",
    "full_check": "yes",
    "dry_run": "yes",
    "connections": "3",
    "processes": "1",
    "cluster": "none",
    "share": "1/1",
    "rejected": "send",
    "wait": "5m",
    "metrics_file": "swarm.prom",
    "rate_limit": "7",
    "transport": "requests",
    "keep_going": "yes",
    "timeout": "31s",
    "retry_for": "16m",
    "settle": "3s",
    "on_ambiguous": "stop",
    "max_duration": "2h",
    "on_reject": "skip",
    "progress": "none",
    "report": "report.html",
    "page": "8090",
    "page_after": "5m",
    "json": "yes",
    "quiet": "yes",
    "verbose": "1",
}


@pytest.mark.parametrize("option", OPTIONS, ids=[option.key for option in OPTIONS])
def test_an_option_reaches_the_worker(tmp_path: Path, option: Option) -> None:
    """A task and its worker process have the value that the INI or the flag gives."""
    value = option.parse(VALUES[option.key])
    assert value != getattr(Upload(), option.key), "the test needs another value"
    path = tmp_path / "meters.ini"
    path.write_text(ini_text())
    settings = load(path, {option.key: value, "meters": ()}, secrets=False)
    tasks = make_tasks(settings, {"gas": CheckResult("gas")})
    with open_pool(settings, available(settings.upload.transport)) as (pool, _):
        results = dict(pool.run("tests.support.spawned:echo_options", tasks, lambda _: None))
    in_task, in_worker = results[0]
    assert value == getattr(in_task, option.key) == getattr(in_worker, option.key)


def attributes() -> Iterator[str]:
    """Yield every attribute that the code outside of swarm/config reads."""
    for path in ROOT.rglob("*.py"):
        if path.parent.name != "config":
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    yield node.attr


def test_every_option_is_read() -> None:
    """No option is without effect: code outside of swarm/config reads each of them.

    ``meters`` and ``share`` choose the meters of the settings.
    """
    assert {field.name for field in fields(Upload)} - {"meters", "share"} <= set(attributes())
