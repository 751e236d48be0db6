"""The options of an upload, in one table: flag, variable and INI key are read from it."""

from dataclasses import dataclass
from typing import Literal

from swarm.values import (
    Parser,
    boolean,
    count,
    duration,
    level,
    local_time,
    one_of,
    patience,
    positive_duration,
    rate,
)


@dataclass(frozen=True)
class Upload:
    """Settings of an upload; durations in seconds, ``since`` and ``until`` as wall times in ms."""

    meters: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    dry_run: bool = False
    keep_going: bool = False
    restart: bool = False
    adopt: bool = False
    late: Literal["report", "send"] = "report"
    processes: int | None = None
    connections: int = 32
    rate_limit: float | None = None
    timeout: float = 30.0
    retry_for: float = 900.0
    max_duration: float | None = None
    on_reject: Literal["stop", "skip"] = "stop"
    on_ambiguous: Literal["resend", "stop"] = "resend"
    settle: float = 2.0
    transport: Literal["auto", "curl", "requests"] = "auto"
    progress: Literal["auto", "bar", "plain", "none"] = "auto"
    json: bool = False
    quiet: bool = False
    verbose: int = 0


@dataclass(frozen=True)
class Option:
    """One option: its INI key, parser, and how the command line shows it."""

    key: str
    parse: Parser
    metavar: str
    help: str
    default: str | None = None
    short: str | None = None
    flag: bool = False
    counted: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """The option on the command line: ``--keep-going``, ``-k``."""
        long = "--" + self.key.replace("_", "-")
        return (self.short, long) if self.short else (long,)

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "SWARM_" + self.key.upper()


OPTIONS: tuple[Option, ...] = (
    Option("since", local_time, "T", "Only rows at or after this local time.", "all"),
    Option("until", local_time, "T", "Only rows before this local time.", "all"),
    Option(
        "dry_run",
        boolean,
        "",
        "Check, then print each meter's first and last packet; no network, no state.",
        flag=True,
    ),
    Option(
        "keep_going",
        boolean,
        "",
        "Send the meters whose files are sound where others have problems.",
        short="-k",
        flag=True,
    ),
    Option(
        "late",
        one_of("report", "send"),
        "report|send",
        "Rows not newer than the last acknowledged that were never sent, or were sent "
        "with other values: tell, or send them.",
        "report",
    ),
    Option("processes", count, "N", "Worker processes.", "cores, at most the number of meters"),
    Option("connections", count, "N", "Streams sent at the same time, over all processes.", "32"),
    Option("rate_limit", rate, "N", "Requests a second, over all processes.", "none"),
    Option("timeout", positive_duration, "D", "Whole time of one request.", "30s"),
    Option(
        "retry_for",
        patience,
        "D",
        "How long one packet is tried before its meter stops; 'forever' is allowed.",
        "15m",
    ),
    Option("max_duration", positive_duration, "D", "Stop cleanly after this long.", "none"),
    Option(
        "on_reject",
        one_of("stop", "skip"),
        "stop|skip",
        "A packet that the collector refuses "
        "for good: stop that meter, or keep the row in the rejects file and go on.",
        "stop",
    ),
    Option(
        "on_ambiguous",
        one_of("resend", "stop"),
        "resend|stop",
        "When it can't be settled whether a packet was stored.",
        "resend",
    ),
    Option(
        "settle",
        duration,
        "D",
        "How long to wait, from the end of the exchange, before asking "
        "what became of an unsettled packet.",
        "2s",
    ),
    Option(
        "transport",
        one_of("auto", "curl", "requests"),
        "auto|curl|requests",
        "HTTP engine; auto is curl where it is installed.",
        "auto",
    ),
    Option(
        "progress",
        one_of("auto", "bar", "plain", "none"),
        "auto|bar|plain|none",
        "Bars on a terminal, else a line a minute; always on stderr.",
        "auto",
    ),
    Option("json", boolean, "", "The report as JSON on stdout, in place of the table.", flag=True),
    Option(
        "quiet",
        boolean,
        "",
        "Nothing at all where the exit code is 0, else the problems and the table.",
        short="-q",
        flag=True,
    ),
    Option("verbose", level, "", "More log; twice for still more.", short="-v", counted=True),
)

BY_KEY = {option.key: option for option in OPTIONS}

#: What an INI can't hold: it would happen in every run.
FLAG_ONLY = frozenset({"meter", "restart", "adopt"})
