"""A logger for threads that must go on when a logging handler raises."""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any


class ThreadLog(logging.LoggerAdapter[logging.Logger]):
    """A logger for swarm's own threads, which all streams and all handlers of an agent depend on.

    The handlers of `logging` catch their own errors; those of the program may not. No signal
    handler runs in these threads, so whatever is raised comes from a logging handler.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a message; print an error of a handler to stderr, as `logging` does."""
        try:
            super().log(level, msg, *args, **kwargs)
        except BaseException:
            if logging.raiseExceptions and sys.stderr is not None:
                with suppress(Exception):
                    traceback.print_exc()

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Record the line of the caller, not that of this class."""
        return msg, {"stacklevel": 2, **kwargs}
