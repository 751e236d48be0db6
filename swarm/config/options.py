"""The options of an upload: fields of `Upload`, with all that flags, INI and help need."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from swarm.config.parsers import (
    Parser,
    boolean,
    count,
    count_or_auto,
    duration,
    give_up_after,
    level,
    local_time,
    one_of,
    output_file,
    port,
    positive_duration,
    scheduler,
)
from swarm.config.share import Share, parse_share
from swarm.config.timetable import Timetable, parse_rate_limit
from swarm.text import format_interval

_T = TypeVar("_T")

#: The section of an INI with the options of an upload.
SECTION: Final = "upload"

#: The groups of options in the help of a command, in order.
ROWS, PREVIEW, SPEED, PROBLEMS, OUTPUT = GROUPS = (
    "Rows to send",
    "Preview",
    "Speed",
    "Problems",
    "Output",
)


@dataclass(frozen=True)
class Option:
    """One option: its INI key, its parser, and its form on the command line.

    ``default`` is the default as help shows it, empty if there is nothing to show. An option is
    ``flag_only`` if it must not take effect in every run, as it would in an INI.
    """

    parse: Parser
    metavar: str
    help: str
    group: str
    default: str = ""
    short: str | None = None
    is_switch: bool = False
    is_counted: bool = False
    flag_only: bool = False
    key: str = ""

    @property
    def flags(self) -> tuple[str, ...]:
        """The option on the command line: ``--keep-going``, ``-k``."""
        long = "--" + self.key.replace("_", "-")
        return (self.short, long) if self.short else (long,)

    @property
    def variable(self) -> str:
        """The environment variable that sets the option."""
        return "SWARM_" + self.key.upper()


def _option(  # noqa: PLR0913 - the parts of an option
    default: _T, parse: Parser, metavar: str, text: str, group: str, *, unset: str = "", **more: Any
) -> _T:
    """Declare a field of `Upload` that is an option; ``unset`` describes the default None."""
    option = Option(parse, metavar, text, group, _shown(default) or unset, **more)
    declared: _T = field(default=default, metadata={"option": option})
    return declared


def _switch(text: str, group: str, **more: Any) -> bool:
    return _option(False, boolean, "", text, group, is_switch=True, **more)


def _shown(default: object) -> str:
    """Return a default as help shows it: a float is a number of seconds."""
    if isinstance(default, float):
        return format_interval(default)
    return str(default) if default else ""


@dataclass(frozen=True)
class RetryPolicy:
    """The time limit for one packet, and the rules for a packet without a clear answer.

    Times are in seconds. Source: "Delivery" in docs/reference.md.
    """

    retry_for: float = _option(
        900.0,
        give_up_after,
        "D",
        "Stop a meter when one packet has been tried for this long; 'forever' is allowed.",
        PROBLEMS,
    )
    settle: float = _option(
        2.0,
        duration,
        "D",
        "If a packet got no clear answer: wait this long after the end of the exchange, then ask "
        "the collector whether it has the packet.",
        PROBLEMS,
    )
    on_ambiguous: Literal["resend", "stop"] = _option(
        "resend",
        one_of("resend", "stop"),
        "resend|stop",
        "If swarm can't find out whether a packet was stored: send it again, or stop the meter "
        "(exit 5).",
        PROBLEMS,
    )


@dataclass(frozen=True)
class Upload(RetryPolicy):
    """Settings of an upload; durations in seconds, ``since`` and ``until`` as local times in ms.

    ``meters`` are the IDs and patterns of ``--meter``; empty means all.
    """

    meters: tuple[str, ...] = ()
    since: int | None = _option(
        None, local_time, "T", "Only rows at or after this local time.", ROWS, unset="all"
    )
    until: int | None = _option(
        None, local_time, "T", "Only rows before this local time.", ROWS, unset="all"
    )
    late: Literal["report", "send"] = _option(
        "report",
        one_of("report", "send"),
        "report|send",
        "Rows not newer than the last acknowledged row that were never sent, or were sent with "
        "other values: report them (exit 3), or send them.",
        ROWS,
    )
    rejected: Literal["report", "send"] = _option(
        "report",
        one_of("report", "send"),
        "report|send",
        "Rows that the collector rejected before, unchanged: report them (exit 3), or send them "
        "again.",
        ROWS,
    )
    restart: bool = _switch(
        "Forget the checkpoints of the chosen meters and send from the first row.",
        ROWS,
        flag_only=True,
    )
    adopt: bool = _switch(
        "If the checkpoint is missing or out of date: treat the rows up to the collector's last "
        "packet as acknowledged, and continue after it.",
        ROWS,
        flag_only=True,
    )
    full_check: bool = _switch(
        "Read and check all rows, also those that were settled before and have not changed.",
        ROWS,
        flag_only=True,
    )
    dry_run: bool = _switch(
        "Check, then print the first and last packet of each meter; no network, no state.", PREVIEW
    )
    connections: int | Literal["auto"] = _option(
        "auto",
        count_or_auto,
        "N|auto",
        "Streams sent at the same time, over all processes; auto: as many as pay, at most 256.",
        SPEED,
    )
    cluster: str | None = _option(
        None,
        scheduler,
        "ADDRESS",
        "Send from the workers of a Dask cluster: tls://HOST:PORT of its scheduler, or local: one "
        "on this computer, for this run.",
        SPEED,
        unset="that of [cluster], if there is one",
    )
    share: Share | None = _option(  # noqa: RUF009 - a field, as the others
        None,
        parse_share,
        "K/N|auto",
        "Only the streams of share K of N: one of N runs on N hosts. auto: as the variables of a "
        "Slurm array or a Kubernetes Indexed Job say.",
        ROWS,
        unset="all",
    )
    processes: int | None = _option(
        None,
        count,
        "N",
        "Worker processes.",
        SPEED,
        unset="cores, at most the number of meters",
    )
    rate_limit: Timetable | None = _option(  # noqa: RUF009 - a field, as the others
        None,
        parse_rate_limit,
        "N",
        "Requests per second, over all processes; or a timetable in local time: '08:00 50; "
        "18:30 off; sat-08:00 off'.",
        SPEED,
        unset="none",
    )
    transport: Literal["auto", "curl", "requests"] = _option(
        "auto",
        one_of("auto", "curl", "requests"),
        "auto|curl|requests",
        "HTTP engine; auto is curl if it is installed.",
        SPEED,
    )
    keep_going: bool = _switch(
        "If some files have problems, send the meters without problems.", PROBLEMS, short="-k"
    )
    timeout: float = _option(
        30.0, positive_duration, "D", "Time limit for one request, connection included.", PROBLEMS
    )
    max_duration: float | None = _option(
        None,
        positive_duration,
        "D",
        "Stop cleanly after this time (exit 5).",
        PROBLEMS,
        unset="none",
    )
    wait: float = _option(
        0.0,
        duration,
        "D",
        "If another run holds a stream: wait for it for this long, before the stream is left out "
        "(exit 6).",
        PROBLEMS,
    )
    on_reject: Literal["stop", "skip"] = _option(
        "stop",
        one_of("stop", "skip"),
        "stop|skip",
        "If the collector rejects a packet: stop the meter, or write the row to the rejects file "
        "and continue.",
        PROBLEMS,
    )
    progress: Literal["auto", "bar", "plain", "json", "none"] = _option(
        "auto",
        one_of("auto", "bar", "plain", "json", "none"),
        "auto|bar|plain|json|none",
        "auto: bars on a terminal, otherwise one line per minute; json: events as JSON lines. "
        "Always on stderr.",
        OUTPUT,
    )
    metrics_file: Path | None = _option(  # noqa: RUF009 - a field, as the others
        None,
        output_file,
        "FILE",
        "Write metrics of the run to a file for Prometheus, every 15 s and at the end.",
        OUTPUT,
        unset="none",
    )
    report: Path | None = _option(  # noqa: RUF009 - a field, as the others
        None,
        output_file,
        "FILE",
        "Write an HTML page with pictures of the data and of the run; all rows are read for it.",
        OUTPUT,
        unset="none",
    )
    page: int | None = _option(
        None,
        port,
        "PORT",
        "Show the run on a page at this port of the loopback interface, live; 0: a free one.",
        OUTPUT,
        unset="none",
    )
    page_after: float = _option(
        0.0, duration, "D", "Let the page stay for this time after the run's end.", OUTPUT
    )
    json: bool = _switch("Print the report as JSON on stdout instead of the table.", OUTPUT)
    quiet: bool = _switch(
        "Print nothing if the exit code is 0; otherwise the problems and the table.",
        OUTPUT,
        short="-q",
    )
    verbose: int = _option(
        0, level, "", "Log more; -vv logs everything.", OUTPUT, short="-v", is_counted=True
    )


#: Every option of an upload, in the order of help.
OPTIONS: Final[tuple[Option, ...]] = tuple(
    sorted(
        (
            replace(each.metadata["option"], key=each.name)
            for each in fields(Upload)
            if "option" in each.metadata
        ),
        key=lambda option: GROUPS.index(option.group),
    )
)
BY_KEY: Final = {option.key: option for option in OPTIONS}
#: The options that an INI may have, with their parsers.
PARSERS: Final = {option.key: option.parse for option in OPTIONS if not option.flag_only}
FLAG_ONLY: Final = frozenset({"meter", *BY_KEY}) - PARSERS.keys()
