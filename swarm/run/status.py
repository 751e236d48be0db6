"""``swarm status`` in the parent: check, then look at each stream, on all cores."""

import logging
from dataclasses import replace

from swarm.checkpoint.paths import check_folder
from swarm.collector.transport import available
from swarm.config.settings import Settings
from swarm.delivery.result import StreamProblem
from swarm.delivery.status import StreamStatus, as_sent
from swarm.delivery.task import make_tasks
from swarm.errors import StateError
from swarm.run import rehearsal
from swarm.run.check import check_all, make_check_tasks
from swarm.run.jobs import run_read_only
from swarm.run.observer import Observer
from swarm.run.setup import open_pool
from swarm.run.stop import stoppable

_LOG = logging.getLogger(__name__)
#: How long a collector that is out of reach is tried, in seconds: a person is looking.
_PATIENCE = 5.0


def status(
    settings: Settings, observer: Observer, *, offline: bool = False
) -> tuple[list[StreamStatus], int | None]:
    """Return how each meter's stream stands, and the signal that ended this early, if one did.

    With ``offline`` the collector is not asked. Nothing is sent, written or locked.
    """
    settings = _impatient(settings)
    warning = check_folder(settings.state, settings.collector)
    if warning:
        _LOG.warning("warning: %s", warning)
    asks = not offline and not settings.sandbox
    function = "swarm.delivery.status:" + ("read_status" if asks else "read_status_offline")
    found: dict[str, StreamStatus] = {}
    engine = available(settings.upload.transport) if asks else "requests"
    with stoppable() as stop, open_pool(settings, engine) as (pool, board):
        checks = make_check_tasks(settings, resumes=True)
        surveys = {each.meter: each for each in check_all(checks, pool, observer, stop)}
        if stop.why is None:
            board.restart_clock()
            tasks = make_tasks(settings, surveys)
            for standing in run_read_only(pool, function, tasks, observer, stop, need_places=asks):
                found[standing.id] = standing
        ended_by = stop.signal
    standings = [found[meter.id] for meter in settings.meters if meter.id in found]
    return standings if offline or asks else _rehearsed(settings, standings), ended_by


def _impatient(settings: Settings) -> Settings:
    retry_for = min(settings.upload.retry_for, _PATIENCE)
    return replace(settings, upload=replace(settings.upload, retry_for=retry_for))


def _rehearsed(settings: Settings, standings: list[StreamStatus]) -> list[StreamStatus]:
    """Add what the sandbox's store holds: the sandbox itself runs for an upload alone."""
    try:
        times = rehearsal.last_times(settings)
    except StateError as error:
        problem = StreamProblem("temporary", str(error), 5)
        return [replace(each, problems=(*each.problems, problem)) for each in standings]
    return [
        replace(each, collector_last=as_sent(times[each.id])) if each.id in times else each
        for each in standings
    ]
