"""The command: runs the chosen measurements, prints the table, and writes it to a document."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import machine, results
from benchmarks.harness.session import LOG, Plan, Session
from benchmarks.results import Missing, NotMeasured, Result
from benchmarks.suites import bars, checking, ledger, memory, packet_cpu, rates, start
from swarm.text import pluralize

MEASURES: dict[str, Callable[[Session], list[Result]]] = {
    "no-latency": rates.no_latency,
    "latency-64": partial(rates.with_latency, streams=64, transport="curl", bar=0.9),
    "latency-256": partial(rates.with_latency, streams=256, transport="curl", bar=0.8),
    "latency-requests": partial(rates.with_latency, streams=32, transport="requests", bar=0.5),
    "one-stream": rates.one_stream,
    "library": partial(rates.library, has_latency=False),
    "library-latency": partial(rates.library, has_latency=True),
    "memory-dry-run": memory.dry_run,
    "memory-upload": memory.upload,
    "check": checking.one_core,
    "check-many-files": checking.many_files,
    "start": start.start,
    "bars": bars.bars,
    "ledger": ledger.ledger,
    "packet-cpu": packet_cpu.packet_cpu,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if something could not be measured, else 0, for any figures."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan = Plan(
        pairs=options.pairs or (2 if options.quick else 5),
        seconds=options.seconds or (2.0 if options.quick else 20.0),
        is_quick=options.quick,
    )
    try:
        if options.out:
            results.split(options.out)
        rows = _measure(plan, list(dict.fromkeys(options.only or MEASURES)))
        text = results.markdown(_heading(plan), rows)
        print(text)
        if options.out:
            results.insert(text, options.out)
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
    add("--pairs", type=_pairs, metavar="N", help="pairs of runs; default 5, with --quick 2")
    add(
        "--seconds",
        type=_seconds,
        metavar="S",
        help="length of an upload; default 20, with --quick 2",
    )
    add(
        "--out",
        type=Path,
        metavar="FILE",
        help="Markdown file to write the table to, between its marks",
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


def _measure(plan: Plan, names: Sequence[str]) -> list[Result | Missing]:
    rows: list[Result | Missing] = []
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="swarm-benchmarks-"))
        session = Session(plan, Path(folder), stack)
        for name in names:
            LOG.info("%s", name)
            try:
                rows += MEASURES[name](session)
            except (NotMeasured, OSError) as error:
                LOG.error("  not measured: %s", error)
                rows.append(Missing(name, str(error)))
    return rows


def _heading(plan: Plan) -> Iterator[str]:
    yield from machine.facts()
    runs = f"{pluralize(plan.pairs, 'pair')} of most, uploads of about {plan.seconds:g} s"
    yield f"a quick run, too short to go by: {runs}" if plan.is_quick else runs


if __name__ == "__main__":
    sys.exit(main())
