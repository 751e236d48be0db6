"""The one place where errors become text and an exit status."""

import os
import sys
import traceback

from swarm.errors import SwarmError


def main() -> None:
    """Run the command line; no traceback reaches a user unless ``-vv`` asks for it."""
    from swarm.cli import swarm

    try:
        code = swarm.main(prog_name="swarm", standalone_mode=False)
    except Exception as error:
        code = _told(error)
    sys.exit(_flushed(code if isinstance(code, int) else 0))


def _told(error: Exception) -> int:
    import click

    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, click.Abort):
        return 130
    if isinstance(error, BrokenPipeError):
        return 1
    if isinstance(error, SwarmError):
        _say(*(str(error).splitlines() or [type(error).__name__]))
        code = error.exit_code
    else:
        _say(f"swarm: a bug: {type(error).__name__}: {error}; -vv shows where")
        code = 1
    if "-vv" in sys.argv:
        traceback.print_exception(error)
    return code


def _say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201 - the command's voice


def _flushed(code: int) -> int:
    """Flush stdout here: a reader that has gone must not end in a message at exit."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


if __name__ == "__main__":
    main()
