"""Standard output of a command."""

import errno
import os
import stat
import sys

import click


def write(text: str | bytes) -> None:
    """Write to standard output; it is not an error if the reader has gone."""
    from swarm.text import printable_json

    # JSON is UTF-8, whatever the terminal's encoding.
    if isinstance(text, str) and text.startswith("{"):
        text = printable_json(text).encode()
    try:
        click.echo(text)
    except OSError as error:
        # A closed pipe, or a terminal that was closed. EIO of a file is an error of its disk.
        if not isinstance(error, BrokenPipeError):
            mode = os.fstat(sys.stdout.fileno()).st_mode
            if error.errno != errno.EIO or not stat.S_ISCHR(mode):
                raise
        # Python flushes standard output when it exits: that must not fail again.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
