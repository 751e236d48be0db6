"""The settled part of a stream: rows that need no look, as files, rules and ledger are the same."""

import pickle
from contextlib import closing, suppress
from pathlib import Path

from swarm.checkpoint import settled as cache
from swarm.checkpoint.ledger import Ledger
from swarm.checkpoint.settled import LedgerSummary, SettledFile
from swarm.config.settings import Meter
from swarm.csv import CheckResult, CheckState, SettledPart, load_state
from swarm.csv.zones.data import zone_digest
from swarm.errors import StateError
from swarm.version import VERSION

#: Changes whenever a check of this version goes on from another state.
_FORMAT = 1


def load_settled(meter: Meter, path: Path) -> tuple[CheckState, LedgerSummary] | None:
    """Return the state from which the check of a meter can go on; None if there is none.

    ``path`` is that of its ledger. Its first records are compared with a summary of them, which is
    returned as well.
    """
    found = cache.load(path, _key(meter))
    if found is None or found.files != tuple(map(str, meter.files))[: len(found.files)]:
        return None
    with suppress(StateError, pickle.UnpicklingError):
        ledger = Ledger.view(path, meter.id, found.ledger)
        if ledger is not None:
            with closing(ledger):
                state = load_state(found.state)
                newest = newest_sent(meter, state.part)
                # Later records of such a row would count instead.
                others = [
                    found.ledger.last.instant,
                    *(entry.instant for entry in ledger.appended(found.ledger)),
                    *(note.instant for note in ledger.in_doubt),
                ]
                if not ledger.unresolved and min(others) > newest:
                    return state, found.ledger
    return None


def known_records(meter: Meter, path: Path) -> LedgerSummary | None:
    """Return the summary of the ledger's records that `load_settled` has compared."""
    found = cache.load(path, _key(meter))
    return found.ledger if found else None


def store_settled(meter: Meter, checked: CheckResult, ledger: Ledger) -> None:
    """Store the state of a check, for the next one; all rows are acknowledged in the ledger."""
    if checked.state is None:
        return  # The files have a single block.
    summary = ledger.summary()
    if summary is not None:
        content = SettledFile(summary, tuple(map(str, meter.files)), checked.state)
        cache.store(ledger.path, _key(meter), content)


def newest_sent(meter: Meter, part: SettledPart) -> int:
    """Return an instant (ms) that no packet of a settled part is after."""
    return part.newest + round(meter.rules.shift * 1000)


def _key(meter: Meter) -> bytes:
    """Return all that the reading of the files depends on, but the files."""
    facts = (_FORMAT, VERSION, meter.id, meter.rules, zone_digest(meter.rules.timezone))
    return repr(facts).encode()
