"""The options of an upload, in one table: flag, variable and INI key are read from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swarm.config.document import Document
from swarm.config.parsers import (
    INVALID,
    Parser,
    boolean,
    count,
    duration,
    give_up_after,
    level,
    local_time,
    one_of,
    positive_duration,
    rate,
)
from swarm.config.settings import Upload


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
        give_up_after,
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


SECTION = "upload"
PARSERS = {option.key: option.parse for option in OPTIONS}

#: Of each pair only one makes sense.
_CONTRARY = (("quiet", "verbose"), ("restart", "adopt"))


def merge(document: Document, said: Mapping[str, Any], given: Mapping[str, Any]) -> Upload:
    """Return the options of a run: what the INI ``said``, and over it what is ``given``."""
    overruled = {b if a in given else a for a, b in _CONTRARY if (a in given) != (b in given)}
    kept = {
        key: value for key, value in said.items() if value is not INVALID and key not in overruled
    }
    upload = Upload(**{**kept, **given})
    for one, other in _CONTRARY:
        if getattr(upload, one) and getattr(upload, other):
            _report(document, given, other, f"stands beside {one}; keep one of the two")
    if upload.since is not None and upload.until is not None and upload.since >= upload.until:
        _report(document, given, "until", "not later than since: no row lies between the two")
    return upload


def _report(document: Document, given: Mapping[str, Any], key: str, problem: str) -> None:
    if key in given:
        document.report_at(None, f"--{key}: {problem}")
    else:
        document.report(SECTION, key, problem)
