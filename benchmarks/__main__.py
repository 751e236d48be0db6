"""The command: runs the chosen measurements, prints the table, and writes it to a document."""

import argparse
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import machine, results
from benchmarks.harness import versions
from benchmarks.harness.session import LOG, Plan, Session
from benchmarks.harness.versions import Version
from benchmarks.pictures import Picture
from benchmarks.results import Missing, NotMeasured, Result
from benchmarks.suites import (
    bars,
    checking,
    cluster,
    connections,
    drawings,
    growth,
    ledger,
    memory,
    packet_cpu,
    rates,
    sandbox,
    splitting,
    start,
)
from swarm.text import pluralize

MEASURES: dict[str, Callable[[Session], Sequence[Result | Missing]]] = {
    "http-64": partial(rates.no_latency, scheme="http", streams=64),
    "https-64": partial(rates.no_latency, scheme="https", streams=64),
    "https-256": partial(rates.no_latency, scheme="https", streams=256),
    "plain-requests": rates.plain_requests,
    "latency-http-64": partial(rates.with_latency, scheme="http", streams=64, bar=0.9),
    "latency-http-256": partial(rates.with_latency, scheme="http", streams=256, bar=0.95),
    "latency-https-64": partial(rates.with_latency, scheme="https", streams=64, bar=0.9),
    "latency-https-256": partial(rates.with_latency, scheme="https", streams=256, bar=0.95),
    "latency-https-1000": partial(rates.with_latency, scheme="https", streams=1000, bar=0.4),
    "latency-requests": partial(
        rates.with_latency, scheme="http", streams=32, bar=0.5, transport="requests"
    ),
    "one-stream": rates.one_stream,
    "library": partial(rates.library, has_latency=False),
    "library-latency": partial(rates.library, has_latency=True),
    "connections-20-ms": partial(connections.latency, line="20"),
    "connections-80-ms": partial(connections.latency, line="80"),
    "connections-poor-line": connections.poor_line,
    "sandbox": sandbox.sandbox,
    "cluster": cluster.cluster,
    "memory-dry-run": memory.dry_run,
    "memory-upload": memory.upload,
    "check": checking.one_core,
    "check-many-files": checking.many_files,
    "split": splitting.split,
    "growth-rows": growth.rows,
    "growth-many-rows": growth.many_rows,
    "growth-meters": growth.meters,
    "growth-streams": growth.streams,
    "start": start.start,
    "start-small-runs": start.small_runs,
    "bars": bars.bars,
    "report": drawings.report,
    "page": drawings.page,
    "ledger": ledger.ledger,
    "packet-cpu": packet_cpu.packet_cpu,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if something could not be measured, else 0, for any figures."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan = Plan(
        pairs=options.pairs or (2 if options.quick else 3),
        seconds=options.seconds or (2.0 if options.quick else 5.0),
        is_quick=options.quick,
    )
    try:
        if options.out:
            results.split(options.out)
        other = versions.checkout(options.against) if options.against else None
        rows, pictures = measure(plan, list(dict.fromkeys(options.only or MEASURES)), other)
        text = results.markdown(_heading(plan), rows, other.name if other else None)
        print(text)
        if options.out:
            results.insert(text, options.out)
        folder = options.pictures or (options.out.parent / "pictures" if options.out else None)
        if folder:
            for picture in pictures:
                LOG.info("%s", picture.write(folder))
    except KeyboardInterrupt:
        return 130
    except (NotMeasured, OSError) as error:
        LOG.error("benchmarks: %s", error)
        return 1
    return int(any(isinstance(row, Missing) for row in rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure how fast swarm is, and its memory."
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="short runs, to see that everything works")
    names = ", ".join(MEASURES)
    add("--only", nargs="+", choices=MEASURES, metavar="NAME", help=f"only these, of: {names}")
    add("--pairs", type=_pairs, metavar="N", help="pairs of runs; default 3, with --quick 2")
    add(
        "--seconds",
        type=_seconds,
        metavar="S",
        help="length of an upload; default 5, with --quick 2",
    )
    add(
        "--out",
        type=Path,
        metavar="FILE",
        help="Markdown file to write the table to, between its marks",
    )
    add(
        "--pictures",
        type=Path,
        metavar="FOLDER",
        help="folder for the pictures of the curves; default 'pictures' beside the file of --out",
    )
    add(
        "--against",
        type=Path,
        metavar="CHECKOUT",
        help="measure the swarm of another checkout side by side; its Python is in its .venv",
    )
    return parser


def _pairs(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"found '{text}', expected a whole number from 1")
    return int(text)


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0.5 <= (seconds := float(text)) <= 3600:
            return seconds
    raise argparse.ArgumentTypeError(f"found '{text}', expected a number from 0.5 to 3600")


def measure(
    plan: Plan, names: Sequence[str], other: Version | None = None
) -> tuple[list[Result | Missing], list[Picture]]:
    """Take the measurements of some names; return the rows of the table and the pictures."""
    rows: list[Result | Missing] = []
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="swarm-benchmarks-"))
        session = Session(plan, Path(folder), stack, other)
        for name in names:
            LOG.info("%s", name)
            started = time.monotonic()
            try:
                rows += MEASURES[name](session)
            except (NotMeasured, OSError) as error:
                LOG.error("  not measured: %s", error)
                rows.append(Missing(name, str(error)))
            LOG.info("  %.0f s", time.monotonic() - started)
    return rows, session.pictures


def _heading(plan: Plan) -> Iterator[str]:
    yield from machine.facts()
    runs = f"{pluralize(plan.pairs, 'pair')} of most, uploads of about {plan.seconds:g} s"
    yield f"a quick run, too short to go by: {runs}" if plan.is_quick else runs


if __name__ == "__main__":
    sys.exit(main())
