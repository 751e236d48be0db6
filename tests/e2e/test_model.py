"""Faults and kills in any order: the collector always holds a prefix of the stream, in order, once.

Each run is a forked process that sends with the real engine over real sockets and files, and that
may be killed before a packet is sent, or after its answer and before its record.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from swarm.checkpoint.ledger import Ledger
from swarm.collector import retry
from swarm.collector.transport.base import Access, Engine
from swarm.config.options import Upload
from swarm.config.settings import CsvRules, Meter
from swarm.csv import Window, check_files
from swarm.delivery.deliver import deliver
from swarm.delivery.task import Task
from swarm.run.context import WorkerConfig, WorkerContext
from swarm.run.shared import SharedState
from tests.support.collector import (
    Behaviour,
    CloseAfterStoring,
    Collector,
    Garbage,
    Raw,
    Reply,
    ResetAfterStoring,
    ResetBeforeStoring,
    TruncatedHeader,
)
from tests.support.jobs import in_job
from tests.support.workspace import packets, rows

FAULTS: tuple[Behaviour | None, ...] = (
    None,
    None,
    None,
    ResetBeforeStoring(),
    ResetAfterStoring(),
    CloseAfterStoring(),
    Raw(store=False),
    Garbage(),
    Garbage(store=False),
    TruncatedHeader(),
    Reply(500, store=True),
    Reply(500, store=False),
    Reply(503, store=False),
    Reply(429, store=False, headers={"Retry-After": "0"}),
)


_LONGEST = 15  # seconds
ENGINES: tuple[Engine, ...] = ("curl", "requests")


class Delivery(RuleBasedStateMachine):
    """A file that grows, runs that fail and die, and a collector that misbehaves."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "m.csv"
        self.collector = Collector()
        self.length = 0

    @initialize()
    def begin(self) -> None:
        """Begin with some rows."""
        self.grow(3)

    @rule(more=st.integers(1, 8))
    def grow(self, more: int) -> None:
        """Append rows to the file."""
        self.length += more
        self.path.write_text("".join(f"{row}\n" for row in rows(self.length)))

    @rule(
        faults=st.lists(st.sampled_from(FAULTS), max_size=12),
        dies_at=st.none() | st.integers(0, 20),
        engine=st.sampled_from(ENGINES),
    )
    def send(self, faults: list[Behaviour | None], dies_at: int | None, engine: Engine) -> None:
        """Send, through faults; maybe die at the n-th moment at which that could hurt."""
        self.collector.script = faults
        pid = os.fork()
        if not pid:
            _sending(self.task(), engine, dies_at)
        os.waitpid(pid, 0)

    @invariant()
    def holds_a_prefix(self) -> None:
        """See that the collector holds the first rows, each once, in order."""
        stored = self.collector.packets("m")
        assert packets("m", rows(self.length))[: len(stored)] == stored
        assert self.collector.max_in_flight("m") <= 1

    def teardown(self) -> None:
        """Run to the end: every row has arrived."""
        if self.length:
            for _ in range(3):
                self.send([], None, "curl")
            assert packets("m", rows(self.length)) == self.collector.packets("m")
        self.collector.close()
        self.folder.cleanup()

    def task(self) -> Task:
        """Check the file and return the stream's task."""
        meter = Meter("m", (self.path,), CsvRules("UTC"))
        os.utime(self.path, (1, 1))
        found = check_files(meter, Window())
        options = Upload(settle=0.0, retry_for=5.0, timeout=5.0)
        state = str(Path(self.folder.name) / "state")
        return Task(meter, found, options, self.collector.url, "c", state, Access("u", "p"), 0)


def _sending(task: Task, engine: Engine, dies_at: int | None) -> None:
    """Send a stream in this process, and end it."""
    moments = 0
    # A fork of a process with threads may hang, in a lock that one of them held: a kill, too.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_LONGEST)

    def mortal(action: Callable[..., object], *, dies_before: bool) -> Callable[..., object]:
        def acted(*arguments: object, **options: object) -> object:
            nonlocal moments
            moments += 1
            if dies_before and moments - 1 == dies_at:
                _die()
            return action(*arguments, **options)

        return acted

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(retry, "backoff", lambda attempt: 0.001)
        patched.setattr(Ledger, "mark_in_flight", mortal(Ledger.mark_in_flight, dies_before=True))
        patched.setattr(Ledger, "record", mortal(Ledger.record, dies_before=True))
        context = WorkerContext(
            WorkerConfig(SharedState.create(1), 1, Upload(transport=engine)),
            lambda _: None,
            lambda _: None,
        )
        context.slots.expect()
        in_job(context.scheduler, deliver, task, context)
    _die()


def _die() -> None:
    """End this process as kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(
    max_examples=10,
    stateful_step_count=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
