"""``[meters]`` and ``[meter:ID]`` -> the meters of a run."""

from typing import Any

from swarm.config import csv_parsers, csv_rules
from swarm.config.credentials import CredentialSets
from swarm.config.document import METERS, Document
from swarm.config.parsers import INVALID
from swarm.config.paths import matching
from swarm.config.settings import CsvRules, Meter, is_chosen
from swarm.text import Names, suggestion

OPTIONS = (*csv_parsers.PARSERS, "credentials")


def load(document: Document, sets: CredentialSets, chosen: tuple[str, ...]) -> list[Meter]:
    """Return every meter, with the passwords of those that are ``chosen``; empty means all."""
    meters = document.sections.get(METERS, {})
    if not meters:
        document.report(METERS, None, "no meter; add a line such as gas-meter-01 = gas.csv")
        # Report missing credentials now, rather than in the next run.
        sets.of("", needed=False)
    sections = document.named("meter") if meters else {}
    unknown = [name for name in sections if name not in meters]
    if unknown:
        names = Names(meters)
        for name in unknown:
            section, hint = sections[name], suggestion(names.closest(name))
            document.report(section, None, f"no such meter under [{METERS}]{hint}")
            document.values(section, csv_parsers.PARSERS, csv_parsers.LISTS)
    common = document.values("swarm", csv_parsers.PARSERS, csv_parsers.LISTS)
    # One object for meters with the same rules: there may be thousands.
    common_rules: CsvRules | None = None
    shared: dict[CsvRules, CsvRules] = {}
    folder, found = document.folder, []
    for name in meters:
        own = document.values(f"meter:{name}", csv_parsers.PARSERS, csv_parsers.LISTS)
        lines = (document.text(METERS, name, is_list=True) or "").split("\n")
        files = [file for line in lines if line for file in matching(line, folder)]
        rules = None if own else common_rules
        rules = rules or _rules(document, name, common | own)
        if rules is not None:
            rules = shared.setdefault(rules, rules)
            common_rules = common_rules if own else rules
        meter = Meter(
            id=name,
            files=tuple(dict.fromkeys(files)),
            rules=rules or CsvRules(timezone=None),
            credentials=sets.of(name, needed=is_chosen(name, chosen)),
            route=(common | own).get("route"),
        )
        found.append(meter)
    return found


def _rules(document: Document, meter: str, values: dict[str, Any]) -> CsvRules | None:
    """Return the rules of a meter; report conflicts between their values, and return None."""
    section = f"meter:{meter}"
    conflicts = list(csv_rules.conflicts(values))
    for option, problem in conflicts:
        if option is None:
            document.report(METERS, meter, problem)
        else:
            place = section if document.entry(section, option) else "swarm"
            document.report(place, option, problem)
    if conflicts or INVALID in values.values():
        return None
    return csv_rules.build(values)
