"""Logging of a run: on stderr, more of it with ``-v``, and with times in ``log_file``."""

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
#: Shown unless ``-q`` is given: progress where there are no bars, and what a user should know.
NOTICE = 25

_LEVELS = (NOTICE, logging.INFO, logging.DEBUG)


def plainly(text: str) -> None:
    """Write a line to stderr."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the command's voice


class Screen(logging.Handler):
    """Shows lines on stderr; who draws there puts its own way to write in place of `plainly`."""

    def __init__(self) -> None:
        super().__init__()
        self.write: Callable[[str], None] = plainly
        self.setFormatter(_Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Show a line; a run does not end because nobody reads it any more."""
        with suppress(OSError, ValueError):
            self.write(self.format(record))


class _File(WatchedFileHandler):
    """Appends to the log file, also after it has been rotated away."""

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
        """Go on without the file: what is sent matters more than what is told of it."""
        LOG.removeHandler(self)
        with suppress(OSError):
            self.close()
        error = sys.exc_info()[1]
        reason = getattr(error, "strerror", None) or error
        LOG.warning("warning: log_file: %s: can't be written: %s", self.baseFilename, reason)


class _Formatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        # A stream's ID may hold anything; it is to move no cursor and begin no line.
        record.message = printable(record.message)
        return super().formatMessage(record)


SCREEN = Screen()


def set_up(verbose: int = 0, *, quiet: bool = False, file: Path | None = None) -> None:
    """Log to stderr, and from INFO on to the file; ``verbose`` counts ``-v``."""
    for handler in LOG.handlers[:]:
        LOG.removeHandler(handler)
        handler.close()
    logging.addLevelName(NOTICE, "NOTICE")
    level = _LEVELS[min(verbose, 2)]
    SCREEN.setLevel(logging.ERROR if quiet else level)
    # Two -v show where an error came from also where -q is given.
    LOG.setLevel(min(level, logging.INFO))
    LOG.addHandler(SCREEN)
    if file is not None:
        LOG.addHandler(_opened(file))


def _opened(path: Path) -> _File:
    try:
        return _File(path)
    except OSError as error:
        raise SettingsError(f"log_file: {path}: can't be written: {error.strerror}") from None
