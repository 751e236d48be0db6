"""The results of ``swarm check``: a table for people, JSON for programs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from swarm.cli.table import table
from swarm.config.settings import Settings
from swarm.config.timetable import Timetable
from swarm.csv import CheckResult, Quality
from swarm.packet import timestamp
from swarm.run.forecast import Forecast, forecast
from swarm.text import format_duration, format_interval, format_time, pluralize, printable

#: Limits of the table: gaps listed for each meter, and meters with gaps.
_LISTED_GAPS = 5
_LISTED_METERS = 20
_HEAD = ("meter", "rows", "first", "last", "interval", "gaps", "check")
#: The quality of files with problems.
_UNKNOWN = Quality()


def as_json(
    settings: Settings, results: Sequence[CheckResult], rate: Timetable | None = None
) -> str:
    """Return the results as one JSON object; ``rate`` is the same as for `as_table`."""
    files = {meter.id: meter.files for meter in settings.meters}
    packets = _count_packets(results)
    end = _forecast(packets, rate)
    document = {
        "meters": [_as_dict(result, files[result.meter]) for result in results],
        "packets": packets,
        "rate": rate and (rate.rate_at(datetime.now()) if rate.is_constant else str(rate)),
        "upload_seconds": round(end.seconds, 1) if end and end.seconds is not None else None,
    }
    return json.dumps(document, ensure_ascii=False, indent=1)


def _as_dict(result: CheckResult, files: Sequence[Path]) -> dict[str, Any]:
    first, last = _period(result) if result.ends else (None, None)
    quality = result.quality or _UNKNOWN
    interval = quality.interval
    if interval is not None and interval.is_integer():
        interval = int(interval)
    gaps = [
        {"from": timestamp(*gap.before), "to": timestamp(*gap.after), "missing": gap.missing}
        for gap in quality.gaps
    ]
    return {
        "id": result.meter,
        "files": [str(path) for path in files],
        "rows": result.rows,
        "filtered": result.filtered,
        "first": first,
        "last": last,
        "interval_seconds": interval,
        "gaps": gaps,
        "gap_count": quality.gap_count,
        "missing": quality.missing,
        "duplicates": quality.duplicates,
        "out_of_order": quality.out_of_order,
        "notices": list(result.notices),
        "problems": [asdict(problem) for problem in result.problems],
    }


def as_table(
    results: Sequence[CheckResult], rate: Timetable | None = None, coverage: Sequence[str] = ()
) -> str:
    """Return the results for people: a table, the gaps, and the duration of a full upload.

    ``coverage`` are lines about the coverage of the meters, which follow the table.
    ``rate`` is the packets per second over all streams for that duration, by the time of the week;
    the duration is left out if it is None.
    """
    rows = []
    for result in results:
        quality = result.quality
        first, last = map(format_time, _period(result)) if result.ends else ("-", "-")
        interval = format_interval(quality.interval) if quality and quality.interval else "-"
        gaps = f"{quality.gap_count:,}" if quality else "-"
        verdict = "sound" if result.is_sound else pluralize(result.problem_count, "problem")
        rows.append([result.meter, f"{result.rows:,}", first, last, interval, gaps, verdict])
    lines = [*table(_HEAD, rows, left=(0, 2, 3)), *coverage, *_gap_lines(results)]
    packets = _count_packets(results)
    end = _forecast(packets, rate)
    if rate and end and packets:
        count = pluralize(packets, "packet")
        if rate.is_constant and end.seconds:
            line = f"{count} take {format_duration(end.seconds)} at {end.pace:,g} per second"
        else:
            line = f"{count}, from now on: {end}"
        lines += ["", line]
    return "\n".join(lines)


def _gap_lines(results: Sequence[CheckResult]) -> Iterator[str]:
    """Yield the first gaps of the first meters that have gaps."""
    with_gaps = [
        (result.meter, result.quality)
        for result in results
        if result.quality and result.quality.gap_count
    ]
    for meter, quality in with_gaps[:_LISTED_METERS]:
        count, missing = pluralize(quality.gap_count, "gap"), pluralize(quality.missing, "row")
        yield ""
        yield printable(f"{meter}: {count}, {missing} missing")
        for gap in quality.gaps[:_LISTED_GAPS]:
            before, after = timestamp(*gap.before), timestamp(*gap.after)
            yield f"  {before} .. {after}  {pluralize(gap.missing, 'row')}"
        if quality.gap_count > _LISTED_GAPS:
            yield f"  ... and {quality.gap_count - _LISTED_GAPS:,} more"
    if len(with_gaps) > _LISTED_METERS:
        more = pluralize(len(with_gaps) - _LISTED_METERS, "more meter")
        yield f"\n... and gaps of {more}; --json lists them"


def _forecast(packets: int, rate: Timetable | None) -> Forecast | None:
    """Return when all packets would be sent, from now on; what no limit allows is not known."""
    if rate is None:
        return None
    now = datetime.now()
    return forecast(packets, rate.rate_at(now), None, rate, now)


def _count_packets(results: Sequence[CheckResult]) -> int:
    return sum(result.packets for result in results if result.is_sound)


def _period(result: CheckResult) -> tuple[str, str]:
    """Return the times of the first and last rows, as in their packets."""
    times = [timestamp(row.instant, row.offset) for row in result.ends]
    return times[0], times[-1]
