"""The pictures of a command: the report, the coverage on a terminal.

Each is loaded only if it is asked for.
"""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from swarm.cli.log import notice
from swarm.config.settings import Settings
from swarm.csv import CheckResult

if TYPE_CHECKING:
    from swarm.report.file import ReportFile


def report_file(settings: Settings) -> "ReportFile | None":
    """Return the file of ``--report``, if it was asked for; raises `SettingsError`."""
    if settings.upload.report is None:
        return None
    from swarm.report.file import ReportFile

    return ReportFile(settings.upload.report)


def write_report(settings: Settings, write: Callable[[], None]) -> None:
    """Write the page of a run; a failure is a notice and changes no exit code."""
    try:
        write()
    except OSError as error:
        notice(f"{settings.upload.report}: not written: {error.strerror}")


def coverage(settings: Settings, results: Sequence[CheckResult]) -> list[str]:
    """Return the lines of blocks that a check shows on a terminal, none elsewhere."""
    if settings.upload.json or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return []
    from swarm.cli.coverage_lines import can_be_shown, coverage_lines

    if not can_be_shown(sys.stdout.encoding):
        return []
    columns = shutil.get_terminal_size().columns
    return list(coverage_lines(settings.meters, results, columns))
