"""``[meters]`` and ``[meter:ID]`` -> the meters of a run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from swarm.config import csv_rules
from swarm.config.credentials import CredentialSets
from swarm.config.document import METERS, Document
from swarm.config.parsers import INVALID
from swarm.config.paths import matching
from swarm.config.settings import CsvRules, Meter, is_chosen
from swarm.config.urls import SANDBOX, with_route
from swarm.text import Names, suggestion

OPTIONS = (*csv_rules.PARSERS, "credentials")


def load(
    document: Document, url: str, sets: CredentialSets, chosen: tuple[str, ...]
) -> list[Meter]:
    """Return every meter; passwords are had for those ``chosen``, for all if none is."""
    named = document.sections.get(METERS, {})
    if named:
        _check_sections(document)
    else:
        document.report(METERS, None, "no meter; add a line such as gas-meter-01 = gas.csv")
        # Else nothing would ask for credentials, and their lack be told only by the next run.
        sets.of("", needed=False)
    common = document.values("swarm", csv_rules.PARSERS, csv_rules.LISTS)
    meters = []
    for name in named:
        values = common | document.values(f"meter:{name}", csv_rules.PARSERS, csv_rules.LISTS)
        route = values.get("route")
        meters.append(
            Meter(
                id=name,
                files=tuple(dict.fromkeys(_files(document, name))),
                rules=_rules(document, name, values),
                url=url if url == SANDBOX or route is INVALID else with_route(url, route),
                credentials=sets.of(name, needed=is_chosen(name, chosen)),
                route=route,
            )
        )
    return meters


def _check_sections(document: Document) -> None:
    """Report sections of meters that there are none of; go on with what was meant."""
    named = document.sections[METERS]
    names = Names(named)
    for name, section in document.named("meter").items():
        if name not in named:
            close = names.closest(name)
            hint = suggestion(close)
            document.report(section, None, f"no such meter under [{METERS}]{hint}")
            if close:
                document.rename(section, f"meter:{close}")
            document.values(section, csv_rules.PARSERS, csv_rules.LISTS)


def _rules(document: Document, meter: str, values: dict[str, Any]) -> CsvRules:
    section = f"meter:{meter}"
    found = list(csv_rules.conflicts(values))
    for option, problem in found:
        if option is None:
            document.report(METERS, meter, problem)
        else:
            place = section if document.entry(section, option) else "swarm"
            document.report(place, option, problem)
    if found or INVALID in values.values():
        return CsvRules(timezone=None)
    return csv_rules.build(values)


def _files(document: Document, meter: str) -> Iterator[Path]:
    text = document.text(METERS, meter, is_list=True) or ""
    for line in filter(None, text.split("\n")):
        yield from matching(line, document.folder)
