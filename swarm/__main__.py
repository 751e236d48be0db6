"""The entry point of the command: it turns every error into a message and an exit code."""

import errno
import io
import os
import sys

from swarm.errors import SettingsError, StateError, SwarmError
from swarm.open_files import has_too_many, way_out

#: Errors of a write to a full or broken disk.
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def main() -> None:
    """Run the command line; the user sees a traceback only with ``-vv``."""
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A stream's ID may contain characters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        from swarm.cli.main import swarm

        code = swarm.main(prog_name="swarm", standalone_mode=False)
    except SystemExit:
        # Raised by click if the pipe that reads a help text is closed: not an error.
        code = 0
    except BaseException as error:
        code = _report_error(error)
    sys.exit(code if isinstance(code, int) else 0)


def _report_error(error: BaseException) -> int:
    """Print what went wrong; return the exit code."""
    import click

    from swarm.cli.log import LOG
    from swarm.run.stop import EndNow

    if isinstance(error, click.ClickException):
        error.show()
        _print_error_json(error.format_message(), error.exit_code)
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return 130
    LOG.debug("where it happened:", exc_info=error)
    if isinstance(error, EndNow):
        LOG.error("ended at once; run the same command again to continue")
        return 128 + error.number
    if isinstance(error, SwarmError):
        lines = str(error).splitlines() or [type(error).__name__]
        lines += getattr(error, "__notes__", ())
        for line in lines:
            LOG.error("%s", line)
        _print_error_json("\n".join(lines), error.exit_code)
        return error.exit_code
    if has_too_many(error):
        LOG.error("swarm: %s", way_out())
        return StateError.exit_code
    if isinstance(error, OSError) and error.filename is None and error.errno in _DISK_ERRORS:
        # An error of any other file names the file, or is a StateError: this is standard output.
        LOG.error("swarm: can't write to standard output: %s", error.strerror)
    else:
        LOG.error("swarm: a bug: %s: %s; -vv shows where", type(error).__name__, error)
    return 1


def _print_error_json(message: str, exit_code: int) -> None:
    """Print problems of the usage or the INI as one JSON object if the user asked for JSON."""
    import json
    from contextlib import suppress

    import click

    from swarm.config.parsers import boolean
    from swarm.version import VERSION

    wants_json = "--json" in sys.argv[1:]
    with suppress(ValueError):
        wants_json = wants_json or boolean(os.environ.get("SWARM_JSON", "no"))
    if wants_json and exit_code == SettingsError.exit_code:
        problems = message.splitlines()
        document = {"swarm": VERSION, "exit_code": exit_code, "problems": problems}
        with suppress(OSError):
            click.echo(json.dumps(document, indent=1))


def _open_closed_streams() -> None:
    """Open the null device for each standard stream that the calling process has closed.

    Otherwise the next file that swarm opens would get descriptor 0, 1 or 2.
    """
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(fd, mode, closefd=False))


if __name__ == "__main__":
    main()
