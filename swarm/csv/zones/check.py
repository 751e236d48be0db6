"""Messages about signs of a wrong ``timezone``: clock changes of the rows that its zone lacks."""

from collections.abc import Iterator, Sequence

from swarm.config.settings import CsvRules
from swarm.csv.zones.clock_changes import Change, alike, jump, offset, repeated_at
from swarm.csv.zones.fit import Trace, names
from swarm.localtime import naive_of

#: The number of zones that a message names; further ones are counted.
_NAMED = 3
_HOUR_MS = 3_600_000
#: The offsets, in hours east of Greenwich, of which there is an Etc/GMT zone.
_FIXED = range(-12, 15)


def trace(rules: CsvRules) -> Trace | None:
    """Return a trace for a meter's rows, or None if its timestamps are no local times."""
    if rules.timezone is None or not rules.has_local_times:
        return None
    return Trace(rules.timezone)


def notices(meter: str, rules: CsvRules, trace: Trace | None) -> Iterator[str]:
    """Yield a notice if a meter's rows are signs of a wrong zone."""
    zone = rules.timezone
    if trace is None or zone is None or trace.is_even:
        return
    likely = trace.likely()
    if likely:
        yield (
            f"{meter}: timezone = {zone} is probably wrong: "
            f"{describe_changes(likely[0].followed)}, as clocks do in "
            f"{listed(names(likely))}; set timezone to the zone of the files' timestamps "
            "(readings sent with a wrong zone can't be corrected in the platform)"
        )
        return
    own = trace.evidence(zone)
    if own.missed and not own.followed:
        yield (
            f"{meter}: the hour that clocks in {zone} repeat occurs only once in the files "
            f"({stretch(own.missed[0])}): if the logger keeps UTC or standard time all year, "
            f"timezone is wrong, expected {fixed(zone, own.missed[0].end)}"
        )


def repeat_hint(rules: CsvRules, wall: int) -> str:
    """Return a hint for two rows of one wall time: common zones that repeat it, or no text.

    It goes before advice to set ``duplicates``.
    """
    zone = rules.timezone
    if zone is None or not rules.has_local_times or jump(zone, wall):
        return ""
    found = dict.fromkeys(name for change in repeated_at(wall) for name in alike((change,)))
    if not found:
        return ""
    return (
        f"a wrong timezone is likely: the clocks repeat this hour in {listed(tuple(found))}, not "
        f"in {zone}; if timezone is right, "
    )


def skipped_hint(zone: str, wall: int) -> str:
    """Return a hint for a row at a wall time that the clocks of a zone skip."""
    return f"if the logger keeps UTC or standard time all year, {fixed(zone, wall)}"


def fixed(zone: str, wall: int) -> str:
    """Return zones without clock changes for a logger in a zone, with its offset at a time."""
    hours, rest = divmod(offset(zone, wall, fold=0), _HOUR_MS)
    if rest or not hours or hours not in _FIXED:
        return "timezone = Etc/UTC"
    # The sign in names of Etc/GMT zones is inverted (POSIX).
    return f"timezone = Etc/UTC, or Etc/GMT{-hours:+d} (which is UTC{hours:+03d}:00)"


def describe_changes(changes: Sequence[Change]) -> str:
    """Return a clause about the files: the hours that they skip and repeat."""
    firsts = {change.is_forward: change for change in reversed(changes)}
    verbs = {True: "skip", False: "repeat"}
    parts = [f"{verbs[each.is_forward]} {stretch(each)}" for each in sorted(firsts.values())]
    more = len(changes) - len(parts)
    others = f" ({more} more such {'hour' if more == 1 else 'hours'})" if more else ""
    return f"the files {' and '.join(parts)}{others}"


def stretch(change: Change) -> str:
    """Return a skipped or repeated stretch as text."""
    return f"{naive_of(change.wall):%Y-%m-%d %H:%M} to {naive_of(change.end):%H:%M}"


def listed(zones: Sequence[str]) -> str:
    """Return the names of the first zones, and the number of the others."""
    more = len(zones) - _NAMED
    named = ", ".join(zones[:_NAMED])
    return f"{named} and {more} more zones" if more > 1 else ", ".join(zones[: _NAMED + 1])
