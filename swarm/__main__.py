"""The one place where errors become text and an exit status."""

import errno
import io
import os
import sys

from swarm.errors import SettingsError, StateError, SwarmError
from swarm.open_files import has_too_many, way_out

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def main() -> None:
    """Run the command line; no traceback reaches a user unless ``-vv`` asks for it."""
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A stream's ID may hold what the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        from swarm.cli.main import swarm

        code = swarm.main(prog_name="swarm", standalone_mode=False)
    except SystemExit:
        # How click ends when the reader of a help text has gone: not an error of ours.
        code = 0
    except BaseException as error:
        code = _report_error(error)
    sys.exit(code if isinstance(code, int) else 0)


def _report_error(error: BaseException) -> int:
    """Say what went wrong; return the exit status."""
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
        LOG.error("ended at once; run the same command again to go on")
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
    if isinstance(error, OSError) and error.filename is None and error.errno in _FULL:
        # Of all that is written, stdout alone has nobody who says so in better words.
        LOG.error("swarm: can't write to standard output: %s", error.strerror)
    else:
        LOG.error("swarm: a bug: %s: %s; -vv shows where", type(error).__name__, error)
    return 1


def _print_error_json(message: str, exit_code: int) -> None:
    """Print what was wrong with usage or INI as one JSON object, where JSON is asked for."""
    import json
    from contextlib import suppress

    import click

    from swarm.config.parsers import boolean
    from swarm.version import VERSION

    is_asked = "--json" in sys.argv[1:]
    with suppress(ValueError):
        is_asked = is_asked or boolean(os.environ.get("SWARM_JSON", "no"))
    if is_asked and exit_code == SettingsError.exit_code:
        problems = message.splitlines()
        facts = {"swarm": VERSION, "exit_code": exit_code, "problems": problems}
        with suppress(OSError):
            click.echo(json.dumps(facts, indent=1))


def _open_closed_streams() -> None:
    """Open what the caller has closed: a file of ours must not become stdout by accident."""
    for number, mode in ((0, "r"), (1, "w"), (2, "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            name = ("stdin", "stdout", "stderr")[number]
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


if __name__ == "__main__":
    main()
