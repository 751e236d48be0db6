"""Surveys -> what ``swarm check`` tells: a table for people, JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from swarm.meterfile import Survey
from swarm.packet import timestamp
from swarm.settings import Meter, Settings
from swarm.table import counted, table


def as_json(settings: Settings, surveys: Sequence[Survey]) -> str:
    """Return the check's results as one JSON object."""
    meters = {meter.id: meter for meter in settings.meters}
    told = [_as_dict(meters[survey.meter], survey) for survey in surveys]
    return json.dumps({"meters": told}, ensure_ascii=False, indent=1)


def as_table(surveys: Sequence[Survey]) -> str:
    """Return the check's results for people."""
    rows = [
        [survey.meter, f"{survey.rows:,}", *_period(survey), _verdict(survey)] for survey in surveys
    ]
    return "\n".join(table(["meter", "rows", "first", "last", "check"], rows, left=(0, 2, 3)))


def _verdict(survey: Survey) -> str:
    return "sound" if survey.is_sound else counted(survey.problem_count, "problem")


def _period(survey: Survey) -> tuple[str, str]:
    times = [timestamp(row.instant, row.offset) for row in survey.ends]
    return (times[0], times[-1]) if times else ("-", "-")


def _as_dict(meter: Meter, survey: Survey) -> dict[str, Any]:
    first, last = _period(survey) if survey.ends else (None, None)
    return {
        "id": survey.meter,
        "files": [str(path) for path in meter.files],
        "rows": survey.rows,
        "first": first,
        "last": last,
        "notices": list(survey.notices),
        "problems": [asdict(problem) for problem in survey.problems],
    }
