"""The check of all meters, in the parent process: on all cores, or at once if there is little."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from swarm.checkpoint.paths import ledger_path
from swarm.config.settings import Settings
from swarm.csv import CheckResult, Window
from swarm.csv.source import is_compressed, status_of
from swarm.delivery.check import CheckTask
from swarm.delivery.check import check as check_meter
from swarm.run.observer import Observer
from swarm.run.stop import Stop, stoppable, warn_of_end

if TYPE_CHECKING:
    from swarm.run.pool import Pool
    from swarm.run.setup import OpenPool

#: This many meters with so many bytes take less time than the start of a worker process.
_FEW_METERS = 64
_FEW_BYTES = 1024 * 1024
#: A compressed file may have this many times its size.
_COMPRESSION = 16


def check(
    settings: Settings,
    observer: Observer,
    open_pool: "OpenPool | None" = None,
    *,
    with_quality: bool = False,
) -> tuple[list[CheckResult], int | None]:
    """Check every meter's files, without the collector and checkpoints.

    ``open_pool`` brings workers of a cluster. Returns the results, and the signal that ended the
    check early, if one did.
    """
    tasks = make_check_tasks(settings, with_quality=with_quality)
    with stoppable() as stop:
        sizes = _sizes(tasks)
        if open_pool is None and _is_little(sizes):
            return _collect(tasks, _check_here(tasks, stop), observer), stop.signal
        from swarm.run import setup

        open_workers = open_pool or setup.open_pool
        with open_workers(settings, "requests", observer.notice, sends=False) as (pool, _):
            return _check_in(pool, tasks, sizes, observer, stop), stop.signal


def make_check_tasks(
    settings: Settings, *, with_quality: bool = False, resumes: bool = False
) -> list[CheckTask]:
    """Return a task for each meter; with ``resumes``, rows that were sent keep their fold.

    For a report with pictures, quality and values are inspected as well.
    """
    window = Window(settings.upload.since, settings.upload.until)
    with_values = settings.upload.report is not None
    with_quality = with_quality or with_values
    tasks = []
    for meter in settings.meters:
        path = ledger_path(settings.state, settings.collector, meter.id)
        ledger = path if resumes else None
        tasks.append(
            CheckTask(meter, window, with_quality, with_values, ledger, settings.upload.full_check)
        )
    return tasks


def check_all(
    tasks: Sequence[CheckTask], pool: "Pool", observer: Observer, stop: Stop
) -> list[CheckResult]:
    """Check meters in a pool that is used further; after a request to stop, the others are empty.

    If there is little to check, the pool starts meanwhile.
    """
    sizes = _sizes(tasks)
    if not (pool.is_local and _is_little(sizes)):
        return _check_in(pool, tasks, sizes, observer, stop)
    pool.start(len(tasks))
    return _collect(tasks, _check_here(tasks, stop), observer)


def _check_in(
    pool: "Pool", tasks: Sequence[CheckTask], sizes: Sequence[int], observer: Observer, stop: Stop
) -> list[CheckResult]:
    from swarm.run.jobs import run_read_only

    function = "swarm.delivery.check:check"
    found = run_read_only(pool, function, tasks, observer, stop, sizes=sizes)
    return _collect(tasks, found, observer)


def _check_here(tasks: Sequence[CheckTask], stop: Stop) -> Iterator[CheckResult]:
    """Check meters in this process; a request to stop is heard before each."""
    for task in tasks:
        if stop.is_due():
            break
        yield check_meter(task, None)
    if stop.is_due():
        warn_of_end(stop)


def _collect(
    tasks: Sequence[CheckTask], found: Iterator[CheckResult], observer: Observer
) -> list[CheckResult]:
    """Return a result for each task, in their order; one that was not found is empty."""
    results = {task.meter.id: CheckResult(task.meter.id) for task in tasks}
    observer.checking(len(tasks))
    for result in found:
        results[result.meter] = result
        observer.checked(result)
    return list(results.values())


def _is_little(sizes: Sequence[int]) -> bool:
    return len(sizes) <= _FEW_METERS and sum(sizes) <= _FEW_BYTES


def _sizes(tasks: Sequence[CheckTask]) -> list[int]:
    """Return the bytes that each task has to read, about."""
    return [sum(map(_size, task.meter.files)) for task in tasks]


def _size(path: Path) -> int:
    """Return the size of a file, 0 for one that can't be read: that takes no time."""
    try:
        size = status_of(path).st_size
    except OSError:
        return 0
    return size * _COMPRESSION if is_compressed(path) else size
