"""``swarm status`` in the parent process: check the files, then read each stream's status."""

import logging
from dataclasses import replace

from swarm.checkpoint.paths import check_folder
from swarm.collector.transport import available
from swarm.config.parsers import AUTO
from swarm.config.settings import Settings
from swarm.delivery.result import StreamProblem
from swarm.delivery.status import StreamStatus, as_sent
from swarm.delivery.task import make_tasks
from swarm.errors import ExitCode, StateError
from swarm.run import rehearsal
from swarm.run.check import check_all, make_check_tasks
from swarm.run.jobs import run_read_only
from swarm.run.observer import Observer
from swarm.run.setup import open_pool
from swarm.run.stop import stoppable

_LOG = logging.getLogger(__name__)
#: The longest time (s) that an unreachable collector is tried: a person waits for the result.
_LONGEST_TRY = 5.0
#: The number of connections with ``auto``: a question for each stream is too little to measure.
_CONNECTIONS = 32


def status(
    settings: Settings, observer: Observer, *, offline: bool = False
) -> tuple[list[StreamStatus], int | None]:
    """Return each stream's status, and the signal that ended this early, if one did.

    With ``offline`` the collector is not asked. Nothing is sent, written or locked.
    """
    retry_for = min(settings.upload.retry_for, _LONGEST_TRY)
    settings = replace(settings, upload=replace(settings.upload, retry_for=retry_for))
    warning = check_folder(settings.state, settings.collector)
    if warning:
        _LOG.warning("warning: %s", warning)
    asks = not offline and not settings.sandbox
    function = "swarm.delivery.status:" + ("read_status" if asks else "read_status_offline")
    engine = available(settings.upload.transport) if asks else "requests"
    found: dict[str, StreamStatus] = {}
    with stoppable() as stop, open_pool(settings, engine) as (pool, shared):
        checks = make_check_tasks(settings, resumes=True)
        checked = {each.meter: each for each in check_all(checks, pool, observer, stop)}
        if stop.end is None:
            shared.restart_clock()
            tasks = make_tasks(settings, checked)
            if settings.upload.connections == AUTO:
                pool.resize(min(_CONNECTIONS, pool.most_slots))
            for each in run_read_only(pool, function, tasks, observer, stop, need_slots=asks):
                found[each.id] = each
        signal = stop.signal
    statuses = [found[meter.id] for meter in settings.meters if meter.id in found]
    return statuses if offline or asks else _with_sandbox(settings, statuses), signal


def _with_sandbox(settings: Settings, statuses: list[StreamStatus]) -> list[StreamStatus]:
    """Add what the sandbox's store holds: the sandbox itself runs during an upload only."""
    try:
        times = rehearsal.last_times(settings)
    except StateError as error:
        problem = StreamProblem("temporary", str(error), ExitCode.TEMPORARY)
        return [replace(each, problems=(*each.problems, problem)) for each in statuses]
    return [
        replace(each, collector_last=as_sent(times[each.id])) if each.id in times else each
        for each in statuses
    ]
