"""The check of all meters on all cores, in the parent."""

from collections.abc import Mapping

from swarm.checking import CheckTask
from swarm.errors import SwarmError
from swarm.events import Tally
from swarm.meterfile import Survey, Window
from swarm.observer import Observer
from swarm.pool import Lost, Pool
from swarm.settings import Settings
from swarm.stopping import Stop, stoppable
from swarm.workforce import workforce


class CheckLostError(SwarmError):
    """A worker died or failed while it checked a file."""


class _CheckStopped(Exception):  # noqa: N818 - a signal inside this module, not an error
    pass


def check(
    settings: Settings, observer: Observer, *, with_quality: bool = False
) -> tuple[list[Survey], int | None]:
    """Check every meter's files on all cores; no network, no state.

    Returns the surveys, and the signal that ended the check early, if one did.
    """
    with stoppable() as stop, workforce(settings) as (pool, _):
        surveys = check_all(settings, pool, observer, stop, with_quality=with_quality)
        return surveys, stop.signal


def check_all(
    settings: Settings, pool: Pool, observer: Observer, stop: Stop, *, with_quality: bool = False
) -> list[Survey]:
    """Check the meters in a pool; a word to stop leaves the rest unchecked, with no rows.

    That word ends the pool: a check has nothing to save.
    """
    window = Window(settings.upload.since, settings.upload.until)
    tasks = [CheckTask(meter, window, with_quality) for meter in settings.meters]
    surveys = {meter.id: Survey(meter.id) for meter in settings.meters}
    observer.checking(len(tasks))

    def tick(_: Mapping[str, Tally]) -> None:
        if stop.is_due():
            raise _CheckStopped

    try:
        for number, result in pool.run("swarm.checking:check", tasks, tick, need_places=False):
            if isinstance(result, Lost):
                meter = tasks[number].meter.id
                raise result.error or CheckLostError(f"{meter}: not checked: {result.message}")
            surveys[result.meter] = result
            observer.checked(result)
    except _CheckStopped:
        observer.stopping(stop.why or "")
        pool.kill()
    return list(surveys.values())
