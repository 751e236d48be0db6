"""Surveys -> what ``swarm check`` tells: a table for people, JSON for programs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from swarm.cli.table import table
from swarm.config.settings import Meter, Settings
from swarm.csv import CheckResult, Gap, Quality
from swarm.packet import timestamp
from swarm.text import format_duration, format_interval, format_time, pluralize, printable

#: So many gaps of a meter, and so many meters with gaps, are listed for people.
_LISTED_GAPS = 5
_LISTED_METERS = 20
_HEAD = ("meter", "rows", "first", "last", "interval", "gaps", "check")
_UNKNOWN = Quality()


def as_json(settings: Settings, surveys: Sequence[CheckResult], rate: float | None = None) -> str:
    """Return the check's results as one JSON object; ``rate`` is as with `as_table`."""
    meters = {meter.id: meter for meter in settings.meters}
    told = [_as_dict(meters[survey.meter], survey) for survey in surveys]
    packets = _packets(surveys)
    facts = {
        "meters": told,
        "packets": packets,
        "rate": rate,
        "upload_seconds": round(packets / rate, 1) if rate else None,
    }
    return json.dumps(facts, ensure_ascii=False, indent=1)


def as_table(surveys: Sequence[CheckResult], rate: float | None = None) -> str:
    """Return the check's results for people.

    ``rate`` is in packets a second over all streams: it tells how long sending all would take.
    """
    lines = table(_HEAD, [_row(survey) for survey in surveys], left=(0, 2, 3))
    return "\n".join([*lines, *_gap_lines(surveys), *_estimate(surveys, rate)])


def _row(survey: CheckResult) -> list[str]:
    found = survey.quality
    first, last = map(format_time, _period(survey)) if survey.ends else ("-", "-")
    interval = format_interval(found.interval) if found and found.interval else "-"
    gaps = f"{found.gap_count:,}" if found else "-"
    return [survey.meter, f"{survey.rows:,}", first, last, interval, gaps, _verdict(survey)]


def _verdict(survey: CheckResult) -> str:
    return "sound" if survey.is_sound else pluralize(survey.problem_count, "problem")


def _gap_lines(surveys: Sequence[CheckResult]) -> Iterator[str]:
    """Yield the first gaps of each meter, as it would be too much to list them all."""
    gappy = [(survey, survey.quality) for survey in surveys if _has_gaps(survey)]
    for survey, found in gappy[:_LISTED_METERS]:
        if found is not None:
            missing = pluralize(found.missing, "row")
            yield ""
            yield printable(
                f"{survey.meter}: {pluralize(found.gap_count, 'gap')}, {missing} missing"
            )
            yield from map(_gap_line, found.gaps[:_LISTED_GAPS])
            if found.gap_count > _LISTED_GAPS:
                yield f"  ... and {found.gap_count - _LISTED_GAPS:,} more"
    if len(gappy) > _LISTED_METERS:
        more = pluralize(len(gappy) - _LISTED_METERS, "more meter")
        yield f"\n... and gaps of {more}; --json lists them"


def _has_gaps(survey: CheckResult) -> bool:
    return survey.quality is not None and survey.quality.gap_count > 0


def _gap_line(gap: Gap) -> str:
    return f"  {timestamp(*gap.before)} .. {timestamp(*gap.after)}  {pluralize(gap.missing, 'row')}"


def _estimate(surveys: Sequence[CheckResult], rate: float | None) -> Iterator[str]:
    packets = _packets(surveys)
    if rate and packets:
        yield ""
        duration = format_duration(packets / rate)
        yield f"{pluralize(packets, 'packet')} take {duration} at {rate:,g} a second"


def _packets(surveys: Sequence[CheckResult]) -> int:
    return sum(survey.packets for survey in surveys if survey.is_sound)


def _period(survey: CheckResult) -> tuple[str, str]:
    times = [timestamp(row.instant, row.offset) for row in survey.ends]
    return times[0], times[-1]


def _as_dict(meter: Meter, survey: CheckResult) -> dict[str, Any]:
    first, last = _period(survey) if survey.ends else (None, None)
    found = survey.quality or _UNKNOWN
    return {
        "id": survey.meter,
        "files": [str(path) for path in meter.files],
        "rows": survey.rows,
        "filtered": survey.filtered,
        "first": first,
        "last": last,
        "interval_seconds": _whole(found.interval),
        "gaps": [_gap_as_dict(gap) for gap in found.gaps],
        "gap_count": found.gap_count,
        "missing": found.missing,
        "duplicates": found.duplicates,
        "out_of_order": found.out_of_order,
        "notices": list(survey.notices),
        "problems": [asdict(problem) for problem in survey.problems],
    }


def _gap_as_dict(gap: Gap) -> dict[str, Any]:
    return {
        "from": timestamp(*gap.before),
        "to": timestamp(*gap.after),
        "missing": gap.missing,
    }


def _whole(seconds: float | None) -> float | None:
    return int(seconds) if seconds is not None and seconds.is_integer() else seconds
