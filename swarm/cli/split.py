"""The command ``swarm split``."""

import codecs
from pathlib import Path
from typing import Any

import click

from swarm.cli.options import CONTEXT, options
from swarm.cli.output import write
from swarm.errors import ExitCode

_FILE = click.Path(path_type=Path)


def _ids(_context: click.Context, _option: click.Parameter, text: str | None) -> Any:
    if text is None:
        return None
    from swarm.split.layout import ids_of

    try:
        return tuple(ids_of(text))
    except ValueError as error:
        raise click.BadParameter(f"found '{text}', expected {error}") from None


def _columns(_context: click.Context, _option: click.Parameter, text: str | None) -> Any:
    if text is None:
        return None
    numbers = [part.strip() for part in text.split(",")]
    is_sound = all(part.isascii() and part.isdecimal() and int(part) for part in numbers)
    if not is_sound or len(set(numbers)) < len(numbers):
        raise click.BadParameter(f"found '{text}', expected numbers from 1, such as 1 or 1,2")
    return tuple(map(int, numbers))


def _delimiter(_context: click.Context, _option: click.Parameter, text: str | None) -> Any:
    if text is None:
        return None
    from swarm.config.csv_parsers import delimiter

    try:
        return delimiter(text)
    except ValueError as error:
        raise click.BadParameter(f"found '{text}', expected {error}") from None


def _encoding(_context: click.Context, _option: click.Parameter, text: str | None) -> Any:
    if text is None:
        return None
    try:
        "".encode(text)
        return codecs.lookup(text).name
    except (LookupError, ValueError):
        raise click.BadParameter(
            f"found '{text}', expected an encoding such as utf-8, cp1252 or utf-16"
        ) from None


def _by(_context: click.Context, _option: click.Parameter, text: str | None) -> Any:
    if text is not None and (not text.strip() or (text.isdecimal() and not int(text))):
        raise click.BadParameter(f"found '{text}', expected a column's number from 1, or its name")
    return text.strip() if text else None


@click.command(context_settings=CONTEXT)
@click.argument("files", type=_FILE, nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--into",
    metavar="FOLDER",
    type=_FILE,
    required=True,
    help="Folder for the CSVs; it is created if it is missing. Other files in it stay.",
)
@click.option(
    "--by",
    metavar="COLUMN",
    callback=_by,
    help="The files are long: this column names the meter of a row. Its number, from 1, or its "
    "name in the header.",
)
@click.option(
    "--ids",
    metavar="IDS",
    callback=_ids,
    help="IDs of the meters in a wide file, one for each column but the timestamp's, with commas "
    "between them; '-' leaves a column out.  [default: the names in the header]",
)
@click.option(
    "--timestamp-columns",
    "stamps",
    metavar="COLUMNS",
    callback=_columns,
    help="Numbers of the timestamp's columns, such as 1, or 1,2 for date and time.  "
    "[default: 1, or 2 with --by 1]",
)
@click.option(
    "--delimiter",
    metavar="CHARACTER",
    callback=_delimiter,
    help="Character between cells, such as ; or tab.  [default: detected]",
)
@click.option(
    "--encoding",
    metavar="NAME",
    callback=_encoding,
    help="Encoding of the files, such as cp1252.  [default: that of the byte order mark, or UTF-8]",
)
@click.option(
    "--skip-rows",
    metavar="N",
    type=click.IntRange(min=0),
    help="Lines before the first row, with the header.  [default: detected]",
)
@click.option("--timezone", metavar="ZONE", help="Time zone of the files' timestamps, for the INI.")
@options("quiet")
def split(files: tuple[Path, ...], into: Path, **given: Any) -> int:
    """Write a CSV for each meter of an export.

    A wide file has a column for each meter, with the meters' IDs in its header. A long one has a
    row for each meter and time. The rows go to FOLDER/ID.csv without a header, each cell as it is
    in the file. All CSVs take their places when they are complete; if a file has a problem, none
    does. An INI for them is written to standard output, as 'swarm init' writes it: redirect it to
    a file the first time. From cron, run 'swarm split -q export.csv --into data && swarm
    meters.ini'.
    """
    from swarm.cli.log import LOG, notice, set_up
    from swarm.split.layout import Form
    from swarm.split.split import split as run_split
    from swarm.text import pluralize

    quiet, timezone = bool(given.pop("quiet")), given.pop("timezone")
    set_up(quiet=quiet)
    form = Form(**given)
    if form.by and form.ids:
        raise click.UsageError("--by is for long files and --ids for wide ones: give one of them")
    files = tuple(dict.fromkeys(files))
    done = run_split(files, into, form, timezone)
    for line in done.lines():
        LOG.error("%s", line)
    if done.problem_count:
        LOG.error("%s: nothing was written", into)
        return ExitCode.DATA
    for path in done.held_back:
        notice(f"{path}: the last line may still be being written, and is left out")
    for meter in done.empty:
        notice(f"{meter}: no value in the files, and so no CSV")
    if not quiet:
        for note in done.ini.notes:
            LOG.warning("%s", note)
        meters, rows = pluralize(done.meters, "meter"), pluralize(done.rows, "row")
        LOG.warning("%s: %s, %s from %s", into, meters, rows, pluralize(len(files), "file"))
        write(done.ini.text.encode())
    return ExitCode.OK
