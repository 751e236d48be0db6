"""The commands of the command line: each loads the settings, does its work and prints the result.

What a command needs is imported in its function, so that ``swarm --help`` is quick.
"""

import os
import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from swarm.cli.completion import Commands, meters
from swarm.cli.options import CONTEXT as _CONTEXT
from swarm.cli.options import GroupedCommand, Parsed, options
from swarm.cli.output import write as _print
from swarm.cli.split import split
from swarm.config.options import BY_KEY
from swarm.errors import ExitCode, SettingsError, StateError
from swarm.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarm.cli.watch import Watch
    from swarm.config.settings import Settings
    from swarm.config.timetable import Timetable
    from swarm.csv import CheckResult
    from swarm.run.setup import OpenPool

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
    "such as SWARM_KEEP_GOING. A flag overrides both."
)
_FILE = click.Path(path_type=Path)
_METER = click.option(
    "-m",
    "--meter",
    "meters",
    metavar="ID",
    multiple=True,
    shell_complete=meters,
    help="Only this stream, or those that match a pattern ('QG*'); repeatable.  [default: all]",
)


@click.group(
    cls=Commands,
    no_args_is_help=True,
    context_settings=_CONTEXT,
    help=_ABOUT,
    epilog="* default: used if no command is given. 'swarm COMMAND --help' lists its options.",
)
@click.version_option(VERSION, prog_name="swarm")
def swarm() -> None:
    """Run a command, or upload if no command is named."""


def _load_settings(config: Path, values: dict[str, Any], *, secrets: bool = True) -> "Settings":
    """Return the settings: those of the INI, overridden by flags and variables.

    An option counts as given also if its value is false or zero: ``--settle 0s``, SWARM_JSON=no.
    """
    from swarm.cli.json_lines import JsonLines
    from swarm.cli.log import set_up
    from swarm.cli.platform import require_posix
    from swarm.config.ignored import drop_key_log
    from swarm.config.load import load

    context = click.get_current_context()
    source = context.get_parameter_source
    unset = (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
    given = {key: value for key, value in values.items() if source(key) not in unset}
    lines = JsonLines() if given.get("progress") == "json" else None
    set_up(given.get("verbose", 0), screen=lines)
    require_posix(str(context.info_name))
    settings = load(config, given, secrets=secrets)
    drop_key_log()  # before TLS is loaded, here and in the worker processes
    return settings


@click.command(cls=GroupedCommand, context_settings=_CONTEXT, epilog=_FORMS)
@click.argument("config", type=_FILE)
@_METER
@options()
def upload(config: Path, **given: Any) -> int:
    """Check every file, then send what is new, in order.

    Swarm records which rows are acknowledged. After any interruption, the same command continues
    where the last run stopped.
    """
    settings = _load_settings(config, given)
    if settings.upload.dry_run:
        return _dry_run(settings)
    from swarm.cli import pictures, upload_report
    from swarm.cli.log import LOG, event
    from swarm.run.rehearsal import opened
    from swarm.run.stop import stoppable
    from swarm.run.upload import upload as run_upload

    opens, page = _open_pool(settings), pictures.report_file(settings)
    with _watched(settings, settings.log_file, is_upload=True) as watch:
        sandbox = opened if settings.sandbox else None
        # A signal after the last packet must not cost the report.
        with stoppable(settings.upload.max_duration) as stop:
            report = run_upload(settings, watch.observer, stop, sandbox, **opens)
            watch.progress.close()
            for line in upload_report.problem_lines(report.meters):
                LOG.error("%s", line, extra=event("problem"))
            for line in (*upload_report.closing(report), f"exit {report.exit_code}"):
                LOG.info("%s", line)
            if page:
                pictures.write_report(settings, partial(page.write_upload, settings, report))
            render = upload_report.as_json if settings.upload.json else upload_report.as_table
            _print_report(settings, partial(render, report), report.exit_code)
            watch.finish(report)
            watch.notify(report.exit_code, upload_report.as_json(report))
        watch.stay()
    return report.exit_code


def _dry_run(settings: "Settings") -> int:
    """Check the files, then print the first and the last packet of each meter."""
    from swarm.run.upload import packet_of

    results, exit_code = _check_files(settings)
    for result in results:
        if result.is_sound:
            for row in result.ends:
                _print(packet_of(result, row).decode())
    return exit_code


def _check_files(
    settings: "Settings", log_file: Path | None = None, *, with_quality: bool = False
) -> "tuple[list[CheckResult], int]":
    """Return the results of the check and its exit code; a signal ends the command."""
    from swarm.run.check import check as run_check

    with _watched(settings, log_file) as watch:
        results, signal = run_check(
            settings, watch.observer, with_quality=with_quality, **_open_pool(settings)
        )
        if signal is not None:
            raise click.exceptions.Exit(128 + signal)
        exit_code = ExitCode.OK if all(result.is_sound for result in results) else ExitCode.DATA
        watch.end(exit_code, sum(result.rows for result in results))
    return results, exit_code


@click.command(cls=GroupedCommand, context_settings=_CONTEXT, epilog=_FORMS)
@click.argument("config", type=_FILE)
@_METER
@options("since", "until", "processes", "cluster", "share")
@options("progress", "report", "json", "quiet", "verbose")
@click.option(
    "--rate",
    type=Parsed(replace(BY_KEY["rate_limit"], key="rate")),
    metavar="N",
    help="Estimate how long a full upload takes at N packets per second, over all streams, "
    "or by a timetable, ignoring what was sent earlier.  [default: the INI's rate_limit]",
)
def check(config: Path, rate: "Timetable | None", **given: Any) -> int:
    """Check every file and send nothing.

    Print the rows, period, interval, gaps and problems of each meter. No password and no network
    are needed.
    """
    settings = _load_settings(config, given, secrets=False)
    from swarm.cli import check_report, pictures

    page = pictures.report_file(settings)
    results, exit_code = _check_files(settings, settings.log_file, with_quality=True)
    if page:
        pictures.write_report(settings, partial(page.write_check, settings, results, exit_code))
    rate = rate or settings.upload.rate_limit
    render = partial(check_report.as_table, results, rate, pictures.coverage(settings, results))
    if settings.upload.json:
        render = partial(check_report.as_json, settings, results, rate)
    _print_report(settings, render, exit_code)
    return exit_code


@click.command(context_settings=_CONTEXT)
@click.argument("config", type=_FILE)
@_METER
@click.option("--offline", is_flag=True, help="Do not ask the collector; no password is needed.")
@options("processes", "connections", "timeout", "transport")
@options("progress", "json", "quiet", "verbose")
def status(config: Path, *, offline: bool, **given: Any) -> int:
    """Show how many rows are acknowledged and how many are waiting.

    Show for each meter how many rows its files have, how many are acknowledged and how many wait,
    and the last packet that the collector holds. Nothing is sent, locked or written, except to a
    log_file, so status can be run during an upload.
    """
    settings = _load_settings(config, given, secrets=not offline)
    from swarm.cli import status_report
    from swarm.cli.log import LOG
    from swarm.run.status import status as run_status

    with _watched(settings, settings.log_file) as watch:
        statuses, signal = run_status(settings, watch.observer, offline=offline)
        if signal is not None:
            raise click.exceptions.Exit(128 + signal)
        for line in status_report.problem_lines(statuses):
            LOG.error("%s", line)
        exit_code = status_report.exit_code(statuses)
        watch.end(exit_code, sum(each.rows for each in statuses))
    render = status_report.as_json if settings.upload.json else status_report.as_table
    _print_report(settings, partial(render, statuses), exit_code)
    return exit_code


def _open_pool(settings: "Settings") -> "dict[str, OpenPool]":
    """Return what opens the pool of a run, if that is not one of processes of this computer.

    Raises `SettingsError` if the packages for a cluster are missing.
    """
    if settings.cluster is None or settings.upload.dry_run:
        return {}
    try:
        from swarm.cluster.open import open_pool
    except ImportError as error:
        from swarm.extras import install

        raise SettingsError(
            f"--cluster: a package is missing ({error}); run: {install('cluster')}"
        ) from None
    return {"open_pool": open_pool}


@contextmanager
def _watched(
    settings: "Settings", log_file: Path | None = None, *, is_upload: bool = False
) -> "Iterator[Watch]":
    """Set up the log, open the watchers of a command, and show the warnings of the INI."""
    from swarm.cli.json_lines import JsonLines
    from swarm.cli.log import LOG, set_up
    from swarm.cli.progress import make_progress
    from swarm.cli.watch import watched

    upload = settings.upload
    set_up(
        upload.verbose,
        quiet=upload.quiet,
        file=log_file,
        form=settings.log_format,
        screen=JsonLines(quiet=upload.quiet) if upload.progress == "json" else None,
    )
    LOG.info("swarm %s: %s", VERSION, settings.config)
    can_draw = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    progress = make_progress(
        upload.progress, upload.rate_limit, quiet=upload.quiet, is_terminal=can_draw
    )
    try:
        with watched(settings, progress, is_upload=is_upload) as watch:
            for warning in settings.warnings:
                LOG.warning("warning: %s", warning)
            yield watch
    finally:
        progress.close()


def _print_report(settings: "Settings", render: "Callable[[], str]", exit_code: int) -> None:
    """Print the report of a run; ``--quiet`` leaves out the table of a run that went well."""
    if settings.upload.json or exit_code or not settings.upload.quiet:
        _print(render())


@click.command(context_settings=_CONTEXT)
@click.argument("csvs", type=_FILE, nargs=-1, metavar="[CSV]...")
@click.option(
    "--timezone", metavar="ZONE", help="Time zone of the files' timestamps, such as Europe/Dublin."
)
@click.option(
    "--add",
    "known",
    type=_FILE,
    metavar="INI",
    help="Add the CSVs that this INI lacks to it, in place. Everything else in it stays unchanged.",
)
@click.option(
    "--from",
    "old",
    type=_FILE,
    metavar="INI",
    help="Print the settings of an INI of the original app in the new form.",
)
def init(csvs: tuple[Path, ...], timezone: str | None, known: Path | None, old: Path | None) -> int:
    """Write a starter INI with one meter per CSV file.

    Files whose names differ only by a year, a month or a day are one meter. The INI is written to
    standard output, with comments; 'swarm check' accepts it without changes. The settings of a
    meter are detected from the first part of its file, the time zone from the whole file. What the
    files don't show is marked CHECK. Paths are written as given: run 'swarm init data/*.csv >
    meters.ini' in the folder that will hold the INI. Later, 'swarm init --add meters.ini
    data/*.csv' adds the new files.
    """
    from swarm.cli.log import LOG, set_up

    set_up()
    if old and (csvs or timezone or known):
        raise click.UsageError("--from can't be used together with CSVs, --add or --timezone")
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
        _print(written.text.encode())
    return ExitCode.DATA if written.problems else 0


@click.command(context_settings=_CONTEXT)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port on the loopback interface; 0 takes a free port.",
)
@click.option(
    "--store",
    metavar="FILE",
    type=_FILE,
    default=None,
    help="SQLite file that keeps the packets.  "
    "[default: sandbox.sqlite in the user's state folder]",
)
@click.option(
    "--accept-late/--refuse-late",
    default=True,
    show_default=True,
    help="Accept packets that are not newer than the newest packet of their stream, or answer 409.",
)
@click.option(
    "--user",
    metavar="NAME",
    default=None,
    help="Accept only this user; others, and a wrong password, get 401.  [default: any]",
)
@click.option(
    "--password-env",
    metavar="VARIABLE",
    default="SWARM_SANDBOX_PASSWORD",
    show_default=True,
    help="Environment variable that holds the password of --user.",
)
def sandbox(
    port: int, store: Path | None, *, accept_late: bool, user: str | None, password_env: str
) -> int:
    """Run a rehearsal collector until it is stopped.

    It runs in the foreground until Ctrl-C, and listens only on this computer. It accepts any user
    and password, unless --user names a user. 'environment = local' sends to it; 'environment =
    sandbox' starts a sandbox of its own for each run. The packets stay in the store, a file that
    you may delete when the sandbox has stopped.
    """
    from swarm.cli.platform import require_posix
    from swarm.config.credentials import SecretError, password
    from swarm.config.paths import default_state
    from swarm.files import make_folder
    from swarm.sandbox.server import serve
    from swarm.text import printable

    require_posix("sandbox")
    folder = default_state()
    if store is None:
        if folder is None:
            raise click.UsageError(
                "there is no home folder for the store; give a file with --store"
            )
        store = folder / "sandbox.sqlite"
    try:
        make_folder(store.parent)
    except OSError as error:
        raise StateError(
            f"{store.parent}: can't be created: {error.strerror}; give another file with --store"
        ) from None

    credentials, accepted = None, "any user and password"
    if user is not None:
        if not user or ":" in user:
            raise click.UsageError("--user: expected a user name without ':'")
        try:
            credentials = [(user, password("password_env", password_env, Path()))]
        except SecretError as error:
            raise click.UsageError(
                f"--user: {error}; set it to the password, or give another variable with "
                "--password-env"
            ) from None
        accepted = f"user {printable(user)}"

    def on_ready(url: str) -> None:
        click.echo(
            f"sandbox collector at {url} ({accepted}), packets in {store}; Ctrl-C stops it",
            err=True,
        )

    serve(store, port=port, credentials=credentials, accept_late=accept_late, on_ready=on_ready)
    return 0


for _command in (upload, check, status, init, split, sandbox):
    swarm.add_command(_command)
