"""Logging of a run: to stderr, more with each ``-v``, and with times to the ``log_file``."""

import logging
import sys
from contextlib import suppress
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from swarm.errors import SettingsError
from swarm.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

LOG = logging.getLogger("swarm")
#: The level of notices, and of progress without bars: they are shown unless ``-q`` is given.
NOTICE = 25

_LEVELS = (NOTICE, logging.INFO, logging.DEBUG)


def write_stderr(text: str) -> None:
    """Write a line to stderr."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the log's output


class Screen(logging.Handler):
    """Writes lines to stderr with ``write``, which progress bars replace while they are drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.write: Callable[[str], None] = write_stderr
        self.setFormatter(_Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; the run continues if stderr is closed."""
        with suppress(OSError, ValueError):
            self.write(self.format(record))


class _LogFile(WatchedFileHandler):
    """Appends to the log file, and opens a new one after the old one was rotated away."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self.setLevel(logging.INFO)
        form = "%(asctime)s [%(process)d] %(levelname)s %(message)s"
        self.setFormatter(_Formatter(form, "%Y-%m-%dT%H:%M:%S%z"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Continue without the file: sending matters more than its log."""
        LOG.removeHandler(self)
        with suppress(OSError):
            self.close()
        error = sys.exc_info()[1]
        reason = getattr(error, "strerror", None) or error
        LOG.warning("warning: log_file: %s: can't be written: %s", self.baseFilename, reason)


class _Formatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        # A stream's ID may contain control characters: they must not move the cursor.
        record.message = printable(record.message)
        return super().formatMessage(record)


SCREEN = Screen()


def set_up(verbose: int = 0, *, quiet: bool = False, file: Path | None = None) -> None:
    """Log to stderr, and from level INFO on to the file; ``verbose`` is the number of ``-v``.

    Raises `SettingsError` if the file can't be opened.
    """
    for handler in LOG.handlers[:]:
        LOG.removeHandler(handler)
        handler.close()
    logging.addLevelName(NOTICE, "NOTICE")
    level = _LEVELS[min(verbose, 2)]
    shown = logging.ERROR if quiet else level
    SCREEN.setLevel(shown)
    # The log file needs INFO, whatever stderr shows.
    LOG.setLevel(min(level, logging.INFO) if file else shown)
    LOG.addHandler(SCREEN)
    if file is not None:
        try:
            LOG.addHandler(_LogFile(file))
        except OSError as error:
            raise SettingsError(f"log_file: {file}: can't be written: {error.strerror}") from None
