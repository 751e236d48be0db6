"""Surveys -> what ``swarm check`` tells: a table for people, JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from swarm.meterfile import Survey
from swarm.packet import timestamp
from swarm.table import table
from swarm.settings import Settings


def as_json(settings: Settings, surveys: Sequence[Survey]) -> str:
    """Return the check's results as one JSON object."""
    meters = [_as_dict(settings, survey) for survey in surveys]
    return json.dumps({"meters": meters}, ensure_ascii=False, indent=1)


def as_table(settings: Settings, surveys: Sequence[Survey]) -> str:
    """Return the check's results for people."""
    rows = []
    for survey in surveys:
        facts = _as_dict(settings, survey)
        verdict = "sound" if survey.is_sound else f"{survey.problem_count} problems"
        rows.append(
            [survey.meter, f"{survey.rows:,}", facts["first"] or "-", facts["last"] or "-", verdict]
        )
    return "\n".join(table(["meter", "rows", "first", "last", "check"], rows, left=(0, 2, 3)))


def _as_dict(settings: Settings, survey: Survey) -> dict[str, Any]:
    meter = next(meter for meter in settings.meters if meter.id == survey.meter)
    times = [timestamp(row.instant, row.offset) for row in survey.ends]
    return {
        "id": survey.meter,
        "files": [str(path) for path in meter.files],
        "rows": survey.rows,
        "first": times[0] if times else None,
        "last": times[-1] if times else None,
        "interval_seconds": None,
        "gaps": [],
        "notices": list(survey.notices),
        "problems": [asdict(problem) for problem in survey.problems],
    }
