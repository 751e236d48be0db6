"""The cost of progress bars: CPU time with bars on a terminal, against that without."""

import fcntl
import os
import pty
import struct
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from benchmarks.harness.commands import Setting
from benchmarks.harness.session import Session, Throughput, ratios, side_by_side
from benchmarks.harness.uploads import Job
from benchmarks.results import MICROSECONDS, PERCENT, Result, at_most
from benchmarks.suites.rates import sized_job

_LINES, _COLUMNS = 50, 120
_TIMES_THE_PAIRS = 2
_STREAMS = 64


def bars(session: Session) -> list[Result]:
    """Measure uploads without latency, with stderr on a terminal."""
    job = sized_job(session, session.make_folder("bars"), session.nginx.immediate, _STREAMS)
    pairs = session.plan.pairs * _TIMES_THE_PAIRS
    shown, hidden = side_by_side(pairs, partial(_send, job, "bar"), partial(_send, job, "none"))
    with_bars, without = ([run.cpu * 1e6 for run in runs] for runs in (shown, hidden))
    more = [(ratio - 1) * 100 for ratio in ratios(with_bars, without)]
    name = f"bars on a terminal, {_STREAMS} streams"
    return [
        Result(f"{name}: CPU a packet with bars", with_bars, MICROSECONDS),
        Result(f"{name}: CPU a packet without", without, MICROSECONDS),
        Result(f"{name}: more CPU", more, PERCENT, at_most(3)),
    ]


def _send(job: Job, progress: str) -> Throughput:
    with _terminal() as stderr:
        return job.send(
            "--progress", progress, "--transport", "curl", setting=Setting(stderr=stderr)
        )


@contextmanager
def _terminal() -> Iterator[int]:
    """Yield the descriptor of a pseudo-terminal whose output is discarded."""
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
    """Read until the other end is closed everywhere."""
    with suppress(OSError):
        while os.read(terminal, 65536):
            pass
