"""The page: one self-contained HTML file, written atomically at the end of a command."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from swarm.config.settings import Settings
from swarm.csv import CheckResult
from swarm.errors import SettingsError
from swarm.extras import install
from swarm.output_file import OutputFile
from swarm.report.charts import course
from swarm.report.days import Kind, days_of
from swarm.report.facts import (
    QUANTILE_NAMES,
    MeterFacts,
    meter_facts,
    pictures,
)
from swarm.run.report import Report
from swarm.web.pages import template

#: The worst meters that the first screen names.
_WORST = 10
#: Counts that have a column in the table of meters, if any of them is not zero.
_OUTCOMES = ("sent", "resumed", "filtered", "rejected", "late", "unsent")
#: The worker processes share the first two if they are imported before these are forked.
_PACKAGES = ("orjson", "fastdigest", "jinja2")


class ReportFile:
    """The file of ``--report``; raises `SettingsError` if it can't be had, before any work."""

    def __init__(self, path: Path) -> None:
        try:
            for package in _PACKAGES[:2]:
                import_module(package)
            has_all = find_spec(_PACKAGES[2]) is not None
        except (ImportError, ValueError):
            has_all = False
        if not has_all:
            raise SettingsError(f"--report needs more packages; run: {install('report')}")
        self._file = OutputFile("--report", path)

    def write_check(
        self, settings: Settings, checks: Sequence[CheckResult], exit_code: int
    ) -> None:
        """Write the page of a check; raises OSError."""
        self._write(settings, checks, None, exit_code)

    def write_upload(self, settings: Settings, report: Report) -> None:
        """Write the page of an upload; raises OSError."""
        self._write(settings, report.checked, report, report.exit_code)

    def _write(
        self,
        settings: Settings,
        checks: Sequence[CheckResult],
        report: Report | None,
        exit_code: int,
    ) -> None:
        parts = _parts(settings, checks, report, exit_code)
        with self._file.replaced() as file:
            for part in template("swarm.report", "report.html").generate(parts):
                file.write(part)


def _parts(
    settings: Settings, checks: Sequence[CheckResult], report: Report | None, exit_code: int
) -> Mapping[str, Any]:
    """Return the values that the template names."""
    outcomes = report.meters if report else None
    days = [
        days_of(meter, checked, outcomes[number] if outcomes else None)
        for number, (meter, checked) in enumerate(zip(settings.meters, checks, strict=True))
    ]
    facts = [
        meter_facts(
            number, settings.meters[number], checked, each, outcomes[number] if outcomes else None
        )
        for number, (checked, each) in enumerate(zip(checks, days, strict=True))
    ]
    worst = sorted(facts, key=lambda each: each.severity)
    shares = [each.share for each in facts if each.share is not None]
    return {
        "config": settings.config.name,
        "made": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "exit_code": int(exit_code),
        "report": report,
        "course": course(report.timeline) if report else None,
        "facts": facts,
        "worst": [each for each in worst if not each.is_good or (each.share or 1) < 1][:_WORST],
        "sound": sum(each.is_good for each in facts),
        "rows": sum(each.rows for each in facts),
        "missing": sum(each.missing for each in facts),
        "share_all": sum(shares) / len(shares) if shares else None,
        "quantiles": QUANTILE_NAMES,
        "kinds": [kind for kind in Kind if any(kind in each.kinds for each in facts)],
        # The pictures are drawn one meter at a time, while the page is written.
        "meters": zip(facts, map(pictures, checks, days), strict=True),
        "has_outcome": report is not None,
        "outcomes": [name for name in _OUTCOMES if report and report.totals[name]],
        "next_steps": list(_next_steps(settings, facts, report)),
    }


def _next_steps(
    settings: Settings, facts: Sequence[MeterFacts], report: Report | None
) -> Iterator[str]:
    """Yield what the user can do next."""
    config = settings.config.name
    broken = [each for each in facts if each.problem_count]
    if broken:
        yield (
            f"Mend the files with problems, listed below by file, line and column, and run "
            f"'swarm check {config}' again. --keep-going sends the other meters meanwhile."
        )
    if report is None:
        if not broken:
            yield f"The files are sound: 'swarm {config}' sends them."
        return
    totals = report.totals
    if totals["rejected"]:
        yield "The collector refused rows: their meters name the reason and the rejects file."
    if totals["late"]:
        yield (
            "Late rows are not newer than what was sent before, or have other values now: "
            "--late send sends them."
        )
    if totals["unsent"] and not broken:
        yield f"Not all rows were sent: run 'swarm {config}' again, it goes on where it stopped."
    if not (broken or totals["rejected"] or totals["late"] or totals["unsent"]):
        yield "Every row is acknowledged: there is nothing to do."
