"""The command: measures what is asked for, prints the table, and puts it into a document."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import bars, checking, ledger, machine, memory, rates, results, start
from benchmarks.bench import LOG, Bench, Plan
from benchmarks.errors import NotMeasured
from benchmarks.results import Missing, Result
from swarm.text import pluralize

MEASURES: dict[str, Callable[[Bench], list[Result]]] = {
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
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 if something could not be measured, else 0, whatever the figures are."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan = Plan(
        pairs=given.pairs or (2 if given.quick else 5),
        seconds=given.seconds or (2.0 if given.quick else 20.0),
        is_quick=given.quick,
    )
    try:
        if given.out:
            results.parted(given.out)
        rows = _measured(plan, list(dict.fromkeys(given.only or MEASURES)))
        text = results.markdown(_heading(plan), rows)
        print(text)
        if given.out:
            results.put(text, given.out)
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
    add("--only", nargs="+", choices=MEASURES, metavar="NAME", help=f"these alone, of: {names}")
    add("--pairs", type=_pairs, metavar="N", help="pairs of runs; 5, with --quick 2")
    add("--seconds", type=_seconds, metavar="S", help="an upload takes; 20, with --quick 2")
    add("--out", type=Path, metavar="FILE", help="Markdown that takes the table between its marks")
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


def _measured(plan: Plan, names: Sequence[str]) -> list[Result | Missing]:
    rows: list[Result | Missing] = []
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="swarm-benchmarks-"))
        bench = Bench(plan, Path(folder), stack)
        for name in names:
            LOG.info("%s", name)
            try:
                rows += MEASURES[name](bench)
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
