"""The metrics, the alerts and the dashboard, as Prometheus' own tool sees them."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contrib import CONTRIB
from tests.docs.test_readme import ROOT
from tests.support.collector import Collector
from tests.support.workspace import Workspace, rows

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: install Debian's prometheus"
)
RULES = CONTRIB / "prometheus" / "swarm.rules.yml"
MONITORING = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")


def promtool(*words: str | Path, text: str = "") -> str:
    """Run promtool, which must succeed; return its output."""
    done = subprocess.run(
        ["promtool", *words], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_metrics_of_a_run(workspace: Workspace, collector: Collector) -> None:
    """Names, units, types and help are as they should be, and any ID is escaped."""
    workspace.csv("a.csv", rows(3))
    config = workspace.ini(collector.url, {'a "b" \\n ü': "a.csv"})
    assert 0 == workspace.run(config, "--metrics-file", "m.prom").code
    text = (workspace.folder / "m.prom").read_text(encoding="utf-8")
    assert 8 == text.count("# TYPE")
    assert "" == promtool("check", "metrics", text=text)


def test_the_alerts() -> None:
    """Each alert comes when it should, and not before."""
    assert "6 rules found" in promtool("check", "rules", RULES)
    assert "SUCCESS" in promtool("test", "rules", RULES.with_name("swarm.rules.test.yml"))
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))
    tested = RULES.with_name("swarm.rules.test.yml").read_text(encoding="utf-8")
    assert alerts == re.findall(r"^\| `(\w+)` \|", MONITORING, re.MULTILINE)
    assert set(alerts) == set(re.findall(r"alertname: (\w+)\n +exp_alerts", tested))


def test_the_rule_in_the_page() -> None:
    """It is the one of the file."""
    (rule,) = re.findall(r"```yaml\n(.*?)```", MONITORING, re.DOTALL)
    file = [line.strip() for line in RULES.read_text(encoding="utf-8").splitlines()]
    assert all(line.strip() in file for line in rule.splitlines())


def test_the_dashboard(tmp_path: Path) -> None:
    """Its queries are valid and name metrics that there are; no panel covers another."""
    text = (CONTRIB / "grafana" / "swarm.json").read_text(encoding="utf-8")
    dashboard = json.loads(text)
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    recorded = [
        {"record": f"panel:{number}", "expr": query.replace("$config", ".*")}
        for number, query in enumerate(queries)
    ]
    path = tmp_path / "queries.yml"
    path.write_text(json.dumps({"groups": [{"name": "g", "rules": recorded}]}), encoding="utf-8")
    assert f"{len(queries)} rules found" in promtool("check", "rules", path)
    from swarm.monitor.metrics import METRICS

    assert set(re.findall(r"swarm_\w+", " ".join(queries))) == METRICS.keys()
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in dashboard["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
