"""What the bars cost: CPU time with them on a terminal, against none."""

import fcntl
import os
import pty
import struct
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from benchmarks.bench import Bench, Pace, ratios, side_by_side
from benchmarks.rates import sized
from benchmarks.results import MICROSECONDS, PERCENT, Result, at_most
from benchmarks.uploads import Job

_LINES, _COLUMNS = 50, 120
_TIMES_THE_PAIRS = 2
_STREAMS = 64


def bars(bench: Bench) -> list[Result]:
    """Measure uploads without latency, with stderr on a terminal."""
    work = sized(bench, bench.room("bars"), bench.nginx.now, _STREAMS)
    pairs = bench.plan.pairs * _TIMES_THE_PAIRS
    shown, hidden = side_by_side(pairs, partial(_send, work, "bar"), partial(_send, work, "none"))
    with_bars, without = ([run.cpu * 1e6 for run in runs] for runs in (shown, hidden))
    more = [(ratio - 1) * 100 for ratio in ratios(with_bars, without)]
    name = f"bars on a terminal, {_STREAMS} streams"
    return [
        Result(f"{name}: CPU a packet with bars", with_bars, MICROSECONDS),
        Result(f"{name}: CPU a packet without", without, MICROSECONDS),
        Result(f"{name}: more CPU", more, PERCENT, at_most(3)),
    ]


def _send(work: Job, progress: str) -> Pace:
    with _terminal() as stderr:
        return work.send("--progress", progress, "--transport", "curl", stderr=stderr)


@contextmanager
def _terminal() -> Iterator[int]:
    """Yield the descriptor of a terminal that shows nobody anything."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
    reader = threading.Thread(target=_drain, args=(ours,))
    reader.start()
    try:
        yield theirs
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)


def _drain(terminal: int) -> None:
    """Read until the other end is closed by all."""
    with suppress(OSError):
        while os.read(terminal, 65536):
            pass
