"""The log of threads that have to go on: a logging handler that raises ends none of them."""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any


class ThreadLog(logging.LoggerAdapter[logging.Logger]):
    """A logger for swarm's own threads, on which streams and handlers of users depend.

    The handlers of `logging` see to their own errors; those that users write may not. No signal's
    handler runs in these threads: whatever is raised comes from the log.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log; an error on the way goes to stderr, as those of `logging` do."""
        try:
            super().log(level, msg, *args, **kwargs)
        except BaseException:
            if logging.raiseExceptions and sys.stderr is not None:
                with suppress(Exception):
                    traceback.print_exc()

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Name the caller's line as the one that logs, not this class's."""
        return msg, {"stacklevel": 2, **kwargs}
