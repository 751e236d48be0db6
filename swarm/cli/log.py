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
#: Forms of the log file.
TEXT, JSON = FORMATS = ("text", "json")
#: The level of notices, and of progress without bars: they are shown unless ``-q`` is given.
NOTICE = 25

_LEVELS = (NOTICE, logging.INFO, logging.DEBUG)
_LINE = "%(asctime)s [%(process)d] %(levelname)s %(message)s"
_TIME = "%Y-%m-%dT%H:%M:%S%z"


def notice(text: str) -> None:
    """Show a notice that is no event of a run."""
    LOG.log(NOTICE, "notice: %s", text)


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

    def __init__(self, path: Path, form: str) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self.setLevel(logging.INFO)
        self.setFormatter(_json_formatter() if form == JSON else _Formatter(_LINE, _TIME))

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


def _json_formatter() -> logging.Formatter:
    """Return a formatter of JSON lines; what `event` has added to a record is in its line, too."""
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter(
        ["asctime", "levelname", "process", "message"],
        datefmt=_TIME,
        rename_fields={"asctime": "time", "levelname": "level"},
        json_ensure_ascii=False,
    )


class _Formatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        # A stream's ID may contain control characters: they must not move the cursor.
        record.message = printable(record.message)
        return super().formatMessage(record)


SCREEN = Screen()


def event(name: str, **facts: str) -> dict[str, str]:
    """Return ``extra`` of a record that tells the same as an event of `swarm.monitor.events`."""
    return {"event": name, **facts}


def set_up(
    verbose: int = 0,
    *,
    quiet: bool = False,
    file: Path | None = None,
    form: str = TEXT,
    screen: logging.Handler | None = None,
) -> None:
    """Log to stderr, and from level INFO on to the file; ``verbose`` is the number of ``-v``.

    ``form`` is one of `FORMATS`. ``screen`` takes the place of plain lines on stderr. Raises
    `SettingsError` if the file can't be opened.
    """
    screen = screen or SCREEN
    for handler in LOG.handlers[:]:
        LOG.removeHandler(handler)
        handler.close()
    logging.addLevelName(NOTICE, "NOTICE")
    level = _LEVELS[min(verbose, 2)]
    shown = logging.ERROR if quiet else level
    screen.setLevel(shown)
    # The log file needs INFO, whatever stderr shows.
    LOG.setLevel(min(level, logging.INFO) if file else shown)
    LOG.addHandler(screen)
    if file is not None:
        try:
            LOG.addHandler(_LogFile(file, form))
        except OSError as error:
            raise SettingsError(f"log_file: {file}: can't be written: {error.strerror}") from None
