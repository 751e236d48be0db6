"""An exception that ends a command -> its exit code, and the lines that tell the user."""

import errno
import json
from typing import NamedTuple

import click

from swarm.errors import ExitCode, SwarmError
from swarm.open_files import has_too_many, way_out
from swarm.run.stop import EndNow
from swarm.version import VERSION

#: Errors of a write to a full or broken disk.
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class Failure(NamedTuple):
    """The exit code of a command, and a line for each problem."""

    exit_code: int
    lines: tuple[str, ...] = ()


def failure_of(error: BaseException) -> Failure:
    """Return what an exception means to the user."""
    code: int = ExitCode.BUG
    lines: tuple[str, ...] = ()
    match error:
        case click.exceptions.Exit():
            code = error.exit_code
        case click.ClickException():
            code, lines = error.exit_code, (error.format_message(),)
        case KeyboardInterrupt() | click.Abort():
            code = ExitCode.SIGINT
        case EndNow():
            code = 128 + error.number
            lines = ("ended at once; run the same command again to continue",)
        case SwarmError():
            code = error.exit_code
            text = str(error).splitlines() or [type(error).__name__]
            lines = (*text, *getattr(error, "__notes__", ()))
        case OSError() if has_too_many(error):
            code, lines = ExitCode.STATE, (f"swarm: {way_out()}",)
        case OSError(filename=None) if error.errno in _DISK_ERRORS:
            # An error of any other file names the file, or is a StateError: this is stdout.
            lines = (f"swarm: can't write to standard output: {error.strerror}",)
        case _:
            lines = (f"swarm: a bug: {type(error).__name__}: {error}; -vv shows where",)
    return Failure(code, lines)


def as_json(failure: Failure, **facts: str) -> str:
    """Return a failure as one JSON object, in place of the report of a run."""
    problems = [line for text in failure.lines for line in text.splitlines()]
    document = {"swarm": VERSION, **facts, "exit_code": failure.exit_code, "problems": problems}
    return json.dumps(document, indent=1)
