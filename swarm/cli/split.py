"""The command ``swarm split``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from swarm.cli.options import CONTEXT, options
from swarm.cli.output import write
from swarm.errors import ExitCode

_FILE = click.Path(path_type=Path)


class _Parsed(click.ParamType[Any]):
    """The type of a value that a function reads; its ValueError says what was expected."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value, or fail with what was found and expected."""
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(f"found '{value}', expected {error}", param, ctx)


def _of_meter(option: str) -> _Parsed:
    """Return the type of a value that is written as this option of a meter in the INI."""

    def parse(text: str) -> Any:
        from swarm.config.csv_parsers import PARSERS

        return PARSERS[option](text)

    return _Parsed(option, parse)


def _ids(text: str) -> tuple[str, ...]:
    from swarm.split.layout import ids_of

    return tuple(ids_of(text))


def _column(text: str) -> str:
    """Return the number or the name of a column."""
    name = text.strip()
    if not name or (name.isdecimal() and not int(name)):
        raise ValueError("a column's number from 1, or its name")
    return name


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
    type=_Parsed("by", _column),
    help="The files are long: this column names the meter of a row. Its number, from 1, or its "
    "name in the header.",
)
@click.option(
    "--ids",
    metavar="IDS",
    type=_Parsed("ids", _ids),
    help="IDs of the meters in a wide file, one for each column but the timestamp's, with commas "
    "between them; '-' leaves a column out.  [default: the names in the header]",
)
@click.option(
    "--timestamp-columns",
    "stamps",
    metavar="COLUMNS",
    type=_of_meter("timestamp_columns"),
    help="Numbers of the timestamp's columns, such as 1, or 1,2 for date and time.  "
    "[default: 1, or 2 with --by 1]",
)
@click.option(
    "--delimiter",
    metavar="CHARACTER",
    type=_of_meter("delimiter"),
    help="Character between cells, such as ; or tab.  [default: detected]",
)
@click.option(
    "--encoding",
    metavar="NAME",
    type=_of_meter("encoding"),
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
