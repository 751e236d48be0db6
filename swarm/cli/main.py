"""The command line: the only place that prints results."""

import errno
import os
import stat
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from swarm.cli.completion import Commands, meters
from swarm.cli.options import GroupedCommand, Parsed, options
from swarm.config.options import BY_KEY
from swarm.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm.cli.progress import SilentProgress
    from swarm.config.settings import Settings
    from swarm.csv import CheckResult


#: \b keeps click from wrapping the lines below it.
_ABOUT = """Send meter readings from CSV files to the Wattics collector.

Each stream is sent in order of time, every row once.

\b
swarm init data/*.csv > meters.ini   write an INI for your files; check what it says
swarm check meters.ini               check every file, send nothing
swarm meters.ini                     send what is new; run it again to continue
"""
_FORMS = (
    "CONFIG is the INI: 'swarm init' writes one. T is 2023-01-31 or 2023-01-31T12:30; D is 90s, "
    "15m, 2h or 1h30m. Most options can also be set in the INI, under [upload], or in a variable "
    "such as SWARM_KEEP_GOING; a flag wins over both."
)
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_INI = click.Path(path_type=Path)


_METER = click.option(
    "-m",
    "--meter",
    "meters",
    metavar="ID",
    multiple=True,
    shell_complete=meters,
    help="Only this stream, or those that a pattern names ('QG*'); repeatable.  [default: all]",
)


@click.group(
    cls=Commands,
    no_args_is_help=True,
    context_settings=_CONTEXT,
    help=_ABOUT,
    epilog="* default: used when no command is given. 'swarm COMMAND --help' lists its options.",
)
@click.version_option(VERSION, prog_name="swarm")
def swarm() -> None:
    """Take a command; a file alone is one to upload."""


def _settings(config: Path, values: dict[str, Any], *, secrets: bool = True) -> "Settings":
    """Read the INI under the options that were given: also `--settle 0s` and SWARM_JSON=no."""
    from swarm.cli.log import set_up
    from swarm.config.ignored import drop_key_log
    from swarm.config.load import load

    source = click.get_current_context().get_parameter_source
    unset = (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
    given = {key: value for key, value in values.items() if source(key) not in unset}
    set_up(given.get("verbose", 0))
    settings = load(config, given, secrets=secrets)
    drop_key_log()  # ahead of TLS, here and in the processes to come
    return settings


@click.command(cls=GroupedCommand, context_settings=_CONTEXT, epilog=_FORMS)
@click.argument("config", type=_INI)
@_METER
@options()
def upload(config: Path, **given: Any) -> int:
    """Check every file, then send what is new, in order.

    What was acknowledged is kept: after any end, the same command goes on where it stopped.
    """
    settings = _settings(config, given)
    if settings.upload.dry_run:
        return _dry_run(settings)
    from swarm.cli import upload_report as reports
    from swarm.cli.log import LOG
    from swarm.run import upload as uploads
    from swarm.run.rehearsal import opened

    with _watch(settings, settings.log_file) as observer:
        report = uploads.upload(settings, observer, opened if settings.sandbox else None)
    for line in reports.problem_lines(report.meters):
        LOG.error("%s", line)
    for line in (*reports.closing(report), f"exit {report.exit_code}"):
        LOG.info("%s", line)
    result = reports.as_json(report) if settings.upload.json else reports.as_table(report)
    return _tell(settings, result, report.exit_code)


@click.command(cls=GroupedCommand, context_settings=_CONTEXT, epilog=_FORMS)
@click.argument("config", type=_INI)
@_METER
@options("since", "until", "processes", "progress", "json", "quiet", "verbose")
@click.option(
    "--rate",
    type=Parsed(replace(BY_KEY["rate_limit"], key="rate")),
    metavar="N",
    help="Tell how long sending all rows takes at so many packets a second, over all streams.  "
    "[default: the INI's rate_limit]",
)
def check(config: Path, rate: float | None, **given: Any) -> int:
    """Check every file and send nothing.

    Tells each meter's rows, period, interval, gaps and problems; needs no password and no network.
    """
    settings = _settings(config, given, secrets=False)
    surveys = _surveys(settings, settings.log_file, with_quality=True)
    from swarm.cli import check_report

    rate = rate or settings.upload.rate_limit
    as_json = check_report.as_json(settings, surveys, rate)
    result = as_json if settings.upload.json else check_report.as_table(surveys, rate)
    return _tell(settings, result, 3 if any(not survey.is_sound for survey in surveys) else 0)


@click.command(context_settings=_CONTEXT)
@click.argument("config", type=_INI)
@_METER
@click.option("--offline", is_flag=True, help="Do not ask the collector; no password is needed.")
@options("processes", "connections", "timeout", "transport")
@options("progress", "json", "quiet", "verbose")
def status(config: Path, *, offline: bool, **given: Any) -> int:
    """Tell what is acknowledged and what waits.

    Per meter: rows of its files, acknowledged, waiting; the collector's own last packet. Nothing is
    sent or locked, nor written but to a log_file: it may be asked while an upload runs.
    """
    settings = _settings(config, given, secrets=not offline)
    from swarm.cli import status_report as reports
    from swarm.cli.log import LOG
    from swarm.run.status import status as looked

    with _watch(settings, settings.log_file) as observer:
        standings, ended_by = looked(settings, observer, offline=offline)
    if ended_by is not None:
        raise click.exceptions.Exit(128 + ended_by)
    for line in reports.problem_lines(standings):
        LOG.error("%s", line)
    result = reports.as_json(standings) if settings.upload.json else reports.as_table(standings)
    return _tell(settings, result, reports.exit_code(standings))


@click.command(context_settings=_CONTEXT)
@click.argument("csvs", type=_INI, nargs=-1, metavar="[CSV]...")
@click.option("--timezone", metavar="ZONE", help="Zone of the files' timestamps: Europe/Dublin.")
@click.option(
    "--add",
    "known",
    type=_INI,
    metavar="INI",
    help="Add the CSVs that this INI lacks to it, in place; all else in it stays as it is.",
)
@click.option("--from", "old", type=_INI, metavar="INI", help="Rewrite an INI of the original app.")
def init(csvs: tuple[Path, ...], timezone: str | None, known: Path | None, old: Path | None) -> int:
    """Write an INI to begin with, a meter for each CSV.

    It goes to standard output, with comments; 'swarm check' accepts it as it stands. What
    a meter's section needs is guessed from the first part of its file, its zone from all of it.
    Paths stay as they are given: run 'swarm init data/*.csv > meters.ini' in the folder that the
    INI is for. Later, 'swarm init --add meters.ini data/*.csv' adds the files that are new.
    """
    from swarm.cli.log import LOG, set_up

    set_up()
    if old and (csvs or timezone or known):
        raise click.UsageError("--from stands alone: without CSVs, --add and --timezone")
    if known and not csvs:
        raise click.UsageError("--add needs the CSVs to add: swarm init --add INI data/*.csv")
    if known:
        from swarm.init.add import add

        written = add(known, csvs, timezone)
    elif old:
        from swarm.init.migrate import migrate

        written = migrate(old)
    else:
        from swarm.init.generate import generate

        written = generate(csvs, timezone)
    for note in written.notes:
        LOG.warning("%s", note)
    for problem in written.problems:
        LOG.error("%s", problem)
    if written.text:
        _show(written.text.encode())
    return 3 if written.problems else 0


@click.command(context_settings=_CONTEXT)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port on the loopback interface; 0 takes a free one.",
)
@click.option(
    "--store",
    metavar="FILE",
    type=_INI,
    default=None,
    help="SQLite file that keeps the packets.  "
    "[default: sandbox.sqlite in the user's state folder]",
)
@click.option(
    "--accept-late/--refuse-late",
    default=True,
    show_default=True,
    help="Take packets that are not newer than the newest of their stream, or answer 409.",
)
@click.option(
    "--user",
    metavar="NAME",
    default=None,
    help="Take this user alone; others, and a wrong password, get 401.  [default: any]",
)
@click.option(
    "--password-env",
    metavar="VARIABLE",
    default="SWARM_SANDBOX_PASSWORD",
    show_default=True,
    help="Environment variable with the password of --user.",
)
def sandbox(
    port: int, store: Path | None, *, accept_late: bool, user: str | None, password_env: str
) -> int:
    """Run a collector to rehearse with, until it is stopped.

    It listens on this computer alone, in the foreground, and takes any user and password, unless
    --user names one: 'environment = local' sends to it. 'environment = sandbox' starts one of its
    own. What it takes stays in its store, which may be removed when the sandbox has stopped.
    """
    from swarm.config.paths import default_state
    from swarm.errors import StateError
    from swarm.files import make_folder
    from swarm.sandbox.server import serve
    from swarm.text import printable

    folder = default_state()
    if not (store or folder):
        raise click.UsageError("there is no home folder for the store; name a file with --store")
    path = store or (folder or Path()) / "sandbox.sqlite"
    try:
        make_folder(path.parent)
    except OSError as error:
        raise StateError(
            f"{path.parent}: can't be made: {error.strerror}; name another place with --store"
        ) from None

    credentials = [_sandbox_user(user, password_env)] if user is not None else None
    who = f"user {printable(user)}" if user is not None else "any user and password"

    def ready(url: str) -> None:
        click.echo(
            f"sandbox collector at {url} ({who}), packets in {path}; Ctrl-C stops it", err=True
        )

    serve(path, port=port, credentials=credentials, accept_late=accept_late, on_ready=ready)
    return 0


def _sandbox_user(user: str, variable: str) -> tuple[str, str]:
    from swarm.config.credentials import SecretError, password

    if not user or ":" in user:
        raise click.UsageError("--user: found no user name; expected text without ':'")
    try:
        return user, password("password_env", variable, Path())
    except SecretError as error:
        raise click.UsageError(
            f"--user: {error}; set it to the password, or name another with --password-env"
        ) from None


def _dry_run(settings: "Settings") -> int:
    from swarm.run.upload import packet_of

    surveys = _surveys(settings)
    for survey in surveys:
        if survey.is_sound:
            for row in survey.ends:
                _show(packet_of(survey, row).decode())
    return 3 if any(not survey.is_sound for survey in surveys) else 0


def _surveys(
    settings: "Settings", log_file: Path | None = None, *, with_quality: bool = False
) -> "list[CheckResult]":
    from swarm.run.check import check as checked

    with _watch(settings, log_file) as observer:
        surveys, ended_by = checked(settings, observer, with_quality=with_quality)
    if ended_by is not None:
        raise click.exceptions.Exit(128 + ended_by)
    return surveys


@contextmanager
def _watch(settings: "Settings", log_file: Path | None) -> "Iterator[SilentProgress]":
    """Open the log and the observer of a run; INI warnings come first."""
    from swarm.cli.log import LOG, set_up
    from swarm.cli.progress import make_progress

    upload = settings.upload
    set_up(upload.verbose, quiet=upload.quiet, file=log_file)
    LOG.info("swarm %s: %s", VERSION, settings.config)
    for warning in settings.warnings:
        LOG.warning("warning: %s", warning)
    watcher = make_progress(upload.progress, quiet=upload.quiet, is_terminal=_draws(sys.stderr))
    try:
        yield watcher
    finally:
        watcher.close()


def _tell(settings: "Settings", result: str, exit_code: int) -> int:
    """Print a command's result, but with ``--quiet`` no table that has nothing to say."""
    if settings.upload.json or exit_code or not settings.upload.quiet:
        _show(result)
    return exit_code


def _show(result: str | bytes) -> None:
    """Print a result; a reader that has gone, or a terminal, is no error."""
    from swarm.text import printable_json

    # JSON is UTF-8, whatever the terminal's encoding.
    if isinstance(result, str) and result.startswith("{"):
        result = printable_json(result).encode()
    try:
        click.echo(result)
    except BrokenPipeError:
        _print_no_more()
    except OSError as error:
        if error.errno != errno.EIO or not stat.S_ISCHR(os.fstat(sys.stdout.fileno()).st_mode):
            raise
        _print_no_more()


def _print_no_more() -> None:
    """Leave what is still to be printed to nobody: Python would fail with it at its end."""
    nobody = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nobody, sys.stdout.fileno())
    os.close(nobody)


def _draws(stream: Any) -> bool:
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


for _command in (upload, check, status, init, sandbox):
    swarm.add_command(_command)
