"""The clocks of several files -> the zone that they share, and those of the files that differ."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from swarm.csv.zones.check import describe_changes, fixed, listed, stretch
from swarm.csv.zones.fit import Trace, names
from swarm.init.writer import Setting

_ASKED = "is it the zone of the files' timestamps (an IANA name)?"
_WRONG = "with a wrong zone, every reading is at a wrong time in the platform, for good"
_UTC = "Etc/UTC"


@dataclass(frozen=True)
class Zones:
    """The zone of all files, and of each file that it can't be the zone of, by its name."""

    common: Setting
    own: Mapping[str, Setting] = field(default_factory=dict)


def zones(files: Mapping[str, Trace], host: str | None) -> Zones:
    """Return the zone that most files are of, or else this computer's.

    Without any sign it is the computer's own, ``host``, where that is known.
    """
    likely = {name: names(found) for name, trace in files.items() if (found := trace.likely())}
    zone, doubt = _common(files, likely, host)
    return Zones(Setting("timezone", zone, doubt), _own(files, likely, zone, host))


def differing(files: Mapping[str, Trace], zone: str, host: str | None) -> Mapping[str, Setting]:
    """Return the zones of those files that another, which is known to be that of most, can't be."""
    likely = {name: names(found) for name, trace in files.items() if (found := trace.likely())}
    return _own(files, likely, zone, host)


def _common(
    files: Mapping[str, Trace], likely: Mapping[str, tuple[str, ...]], host: str | None
) -> tuple[str, str]:
    own = host or _UTC
    whose = "It is this computer's" if host else "It stands for this computer's, not known"
    if not likely:
        against = [name for name, trace in files.items() if trace.evidence(own).against]
        if 2 * len(against) > len(files):
            hour = stretch(files[against[0]].evidence(own).against[0])
            return _UTC, (
                f"{_ASKED} There are rows at {hour}, which clocks in {own} skip, this computer's "
                f"zone; so the logger keeps UTC, or standard time all year, or is elsewhere; "
                f"{_WRONG}."
            )
        return own, f"{_ASKED} {whose}; {_WRONG}."
    votes = Counter(zone for each in likely.values() for zone in each)
    most = max(votes.values())
    best = [zone for zone in votes if votes[zone] == most]
    zone = own if own in best else best[0]
    trace = next(files[name] for name, each in likely.items() if zone in each)
    seen = f"{describe_changes(trace.likely()[0].followed)}, as clocks in {listed(best)}"
    if zone == own:
        return zone, f"{_ASKED} {whose}, and {seen}; {_WRONG}."
    return zone, f"{_ASKED} {seen[0].upper()}{seen[1:]}, not in {own}; {_WRONG}."


def _own(
    files: Mapping[str, Trace],
    likely: Mapping[str, tuple[str, ...]],
    zone: str,
    host: str | None,
) -> dict[str, Setting]:
    own = {}
    for name, trace in files.items():
        found = likely.get(name, ())
        against = trace.evidence(zone).against
        if found and zone not in found:
            other = host if host in found else found[0]
            seen = f"{describe_changes(trace.likely()[0].followed)}, as clocks in {listed(found)}"
            own[name] = Setting(
                "timezone", other or found[0], f"{_ASKED} Here {seen}, not in {zone}."
            )
        elif against and not found:
            doubt = (
                f"{_ASKED} Here are rows at {stretch(against[0])}, which clocks in {zone} skip; a "
                f"logger that keeps UTC or standard time all year is likely: "
                f"{fixed(zone, against[0].wall)}."
            )
            own[name] = Setting("timezone", _UTC, doubt)
    return own
