"""The check of all meters on all cores, in the parent."""

from collections.abc import Sequence
from pathlib import Path

from swarm.checkpoint.paths import ledger_path
from swarm.config.settings import Meter, Settings
from swarm.csv import CheckResult, Window
from swarm.delivery.check import CheckTask
from swarm.run.jobs import run_read_only
from swarm.run.observer import Observer
from swarm.run.pool import Pool
from swarm.run.setup import open_pool
from swarm.run.stop import Stop, stoppable


def check(
    settings: Settings, observer: Observer, *, with_quality: bool = False
) -> tuple[list[CheckResult], int | None]:
    """Check every meter's files on all cores; no network, no state.

    Returns the surveys, and the signal that ended the check early, if one did.
    """
    with stoppable() as stop, open_pool(settings) as (pool, _):
        surveys = check_all(
            make_check_tasks(settings, with_quality=with_quality), pool, observer, stop
        )
        return surveys, stop.signal


def make_check_tasks(
    settings: Settings, *, with_quality: bool = False, resumes: bool = False
) -> list[CheckTask]:
    """Return what there is to check; ``resumes`` lets rows that were sent keep their reading."""
    window = Window(settings.upload.since, settings.upload.until)
    return [
        CheckTask(meter, window, with_quality, _ledger(settings, meter) if resumes else None)
        for meter in settings.meters
    ]


def _ledger(settings: Settings, meter: Meter) -> Path:
    return ledger_path(settings.state, settings.collector, meter.id)


def check_all(
    tasks: Sequence[CheckTask], pool: Pool, observer: Observer, stop: Stop
) -> list[CheckResult]:
    """Check the meters in a pool; a word to stop leaves the rest unchecked, with no rows."""
    surveys = {task.meter.id: CheckResult(task.meter.id) for task in tasks}
    observer.checking(len(tasks))
    for survey in run_read_only(pool, "swarm.delivery.check:check", tasks, observer, stop):
        surveys[survey.meter] = survey
        observer.checked(survey)
    return list(surveys.values())
