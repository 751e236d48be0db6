"""The entry point of the command: it turns every error into a message and an exit code."""

import io
import os
import sys
from contextlib import suppress

from swarm.errors import SettingsError


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
    code = code if isinstance(code, int) else 0
    _end_json_lines(code)
    sys.exit(code)


def _end_json_lines(code: int) -> None:
    """Write the last event of ``--progress json``, unless a run has done so."""
    # Without these modules, no command has begun.
    module = sys.modules.get("swarm.cli.json_lines")
    if module and (lines := module.active()):
        lines.end(code)


def _report_error(error: BaseException) -> int:
    """Print what went wrong; return the exit code."""
    import click

    from swarm.cli import json_lines
    from swarm.cli.failure import as_json, failure_of
    from swarm.cli.log import LOG, set_up

    failure = failure_of(error)
    if isinstance(error, click.UsageError) and json_lines.is_wanted(sys.argv[1:], os.environ):
        # The options were not parsed, so the log was not set up.
        set_up(screen=json_lines.JsonLines())
    elif isinstance(error, click.ClickException):
        error.show()
    if not isinstance(error, click.ClickException | KeyboardInterrupt):
        LOG.debug("where it happened:", exc_info=error)
    if not isinstance(error, click.ClickException) or json_lines.active():
        for line in failure.lines:
            LOG.error("%s", line)
    if failure.exit_code == SettingsError.exit_code and _wants_json():
        with suppress(OSError):
            click.echo(as_json(failure))
    return failure.exit_code


def _wants_json() -> bool:
    """Return True if the user asked for a report as JSON."""
    from swarm.config.parsers import boolean

    with suppress(ValueError):
        return "--json" in sys.argv[1:] or boolean(os.environ.get("SWARM_JSON", "no"))
    return False


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
