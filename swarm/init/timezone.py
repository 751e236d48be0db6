"""Propose the common time zone of several files, and other zones for files that can't be in it."""

import logging
import warnings
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import tzlocal

from swarm.config.csv_parsers import zone as iana_zone
from swarm.csv.zones.check import describe_changes, fixed, listed, stretch
from swarm.csv.zones.fit import Trace, names
from swarm.init.writer import Setting

_QUESTION = "is it the zone of the files' timestamps (an IANA name)?"
_WARNING = "readings sent with a wrong zone can't be corrected in the platform"
_UTC = "Etc/UTC"


@dataclass(frozen=True)
class Zones:
    """The zone of most files, and by name the zones of the files that can't be in it."""

    common: Setting
    own: Mapping[str, Setting] = field(default_factory=dict)


def host_zone() -> str | None:
    """Return the IANA name of this computer's zone; None if it is not known or not valid."""
    # For conflicting or damaged files in /etc, tzlocal logs, warns or raises. The zone is only a
    # proposal that the user has to check, so none of that is worth a message.
    logging.getLogger("tzlocal").setLevel(logging.CRITICAL)
    with warnings.catch_warnings(action="ignore"), suppress(LookupError, OSError, ValueError):
        name = tzlocal.get_localzone_name()
        return iana_zone(name) if name else None
    return None


def zones(files: Mapping[str, Trace], host: str | None) -> Zones:
    """Return the zone that fits most files, and the zones of the files that can't be in it.

    If the files give no sign of their zone, the common one is ``host``, this computer's zone, or
    UTC if that is not known.
    """
    likely = {name: names(found) for name, trace in files.items() if (found := trace.likely())}
    zone = own = host or _UTC
    doubt = (
        "It is this computer's zone"
        if host
        else "It is a placeholder, because this computer's zone is not known"
    )
    if likely:
        votes = Counter(zone for fitting in likely.values() for zone in fitting)
        most = max(votes.values())
        best = [zone for zone in votes if votes[zone] == most]
        zone = own if own in best else best[0]
        trace = next(files[name] for name, fitting in likely.items() if zone in fitting)
        seen = f"{describe_changes(trace.likely()[0].followed)}, as clocks do in {listed(best)}"
        is_own = zone == own
        doubt = (
            f"{doubt}, and {seen}" if is_own else f"{seen[0].upper()}{seen[1:]}, but not in {own}"
        )
    else:
        against = [name for name, trace in files.items() if trace.evidence(own).against]
        if 2 * len(against) > len(files):
            zone = _UTC
            hour = stretch(files[against[0]].evidence(own).against[0])
            doubt = (
                f"There are rows at {hour}, but clocks in {own}, this computer's zone, skip that "
                "hour: the logger keeps UTC, or standard time all year, or is in another zone"
            )
    common = Setting("timezone", zone, f"{_QUESTION} {doubt}; {_WARNING}.")
    return Zones(common, differing(files, zone, host))


def differing(files: Mapping[str, Trace], zone: str, host: str | None) -> Mapping[str, Setting]:
    """Return the zones of the files that can't be in ``zone``, the zone of the others."""
    own = {}
    for name, trace in files.items():
        fitting = names(found) if (found := trace.likely()) else ()
        against = trace.evidence(zone).against
        if fitting and zone not in fitting:
            other = host if host and host in fitting else fitting[0]
            seen = f"{describe_changes(found[0].followed)}, as clocks do in {listed(fitting)}"
            own[name] = Setting("timezone", other, f"{_QUESTION} Here {seen}, but not in {zone}.")
        elif against and not fitting:
            doubt = (
                f"{_QUESTION} Here are rows at {stretch(against[0])}, but clocks in {zone} skip "
                "that hour; a logger that keeps UTC or standard time all year is likely: "
                f"{fixed(zone, against[0].wall)}."
            )
            own[name] = Setting("timezone", _UTC, doubt)
    return own
