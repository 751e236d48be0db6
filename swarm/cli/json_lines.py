"""The log on stderr as JSON lines, for ``--progress json``."""

import logging
from collections.abc import Mapping, Sequence

from swarm.cli.log import LOG, NOTICE, write_stderr
from swarm.config.options import BY_KEY
from swarm.monitor.events import End, Event, Notice, Problem, as_line


class JsonLines(logging.Handler):
    """Writes events to stderr, one JSON object a line; records of the log become events, too.

    A record that tells the same as an event is left out, and nothing follows the end of the
    command. With ``quiet``, there are only problems, and the end of a command that failed.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__()
        self._quiet = quiet
        self._has_ended = False

    def setLevel(self, level: int | str) -> None:  # noqa: N802 - logging's name
        """Ignore levels below notices: -v logs more to the log file alone."""
        super().setLevel(level if isinstance(level, str) else max(level, NOTICE))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record of the log as an event."""
        if hasattr(record, "event"):
            return
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            self.take(Problem("", "error", text))
        else:
            self.take(Notice(text.removeprefix("notice: ")))

    def take(self, event: Event) -> None:
        """Write an event; the run goes on if stderr is closed."""
        is_failure = isinstance(event, Problem) or (isinstance(event, End) and event.exit_code)
        if self._has_ended or (self._quiet and not is_failure):
            return
        self._has_ended = isinstance(event, End)
        try:
            write_stderr(as_line(event.as_dict()))
        except (OSError, ValueError):
            self._has_ended = True

    def end(self, exit_code: int) -> None:
        """Write the end of a command that had no run."""
        self.take(End(exit_code, 0.0))


def is_wanted(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Return True if ``--progress json`` is among arguments, parsed or not, or in a variable."""
    words = [*arguments, ""]
    flags = [
        word.partition("=")[2] or words[index + 1]
        for index, word in enumerate(arguments)
        if word.partition("=")[0] == "--progress"
    ]
    return (flags or [environment.get(BY_KEY["progress"].variable, "")])[-1].lower() == "json"


def active() -> JsonLines | None:
    """Return the handler of this command, None without ``--progress json``."""
    return next((each for each in LOG.handlers if isinstance(each, JsonLines)), None)
