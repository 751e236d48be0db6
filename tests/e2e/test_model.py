"""Faults and kills in any order: the collector always holds a prefix of the stream, each row once.

Each run is a forked process that sends with the real engine over real sockets and files. It may be
killed before a packet is sent, or after its answer and before its record.
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
    """A growing file, runs that fail and are killed, and a collector with faults."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "m.csv"
        self.collector = Collector()
        self.length = 0

    @initialize()
    def begin(self) -> None:
        """Start with some rows."""
        self.grow(3)

    @rule(more=st.integers(1, 8))
    def grow(self, more: int) -> None:
        """Append rows to the file."""
        self.length += more
        self.path.write_text("".join(f"{row}\n" for row in rows(self.length)))

    @rule(
        faults=st.lists(st.sampled_from(FAULTS), max_size=12),
        kill_at=st.none() | st.integers(0, 20),
        engine=st.sampled_from(ENGINES),
    )
    def send(self, faults: list[Behaviour | None], kill_at: int | None, engine: Engine) -> None:
        """Send in spite of faults; maybe die at the n-th moment at which that could do harm."""
        self.collector.script = faults
        pid = os.fork()
        if not pid:
            _send_and_exit(self.task(), engine, kill_at)
        os.waitpid(pid, 0)

    @invariant()
    def holds_a_prefix(self) -> None:
        """Check that the collector holds the first rows, each once, in order."""
        stored = self.collector.packets("m")
        assert packets("m", rows(self.length))[: len(stored)] == stored
        assert self.collector.max_in_flight("m") <= 1

    def teardown(self) -> None:
        """Run until everything is sent: every row has arrived."""
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


def _send_and_exit(task: Task, engine: Engine, kill_at: int | None) -> None:
    """Send a stream in this forked process, then kill it."""
    moments = 0
    # The fork of a process with threads may hang in a lock that a thread held: kill it then.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_LONGEST)

    def killable(action: Callable[..., object], *, kills_before: bool) -> Callable[..., object]:
        def acted(*arguments: object, **options: object) -> object:
            nonlocal moments
            moments += 1
            if kills_before and moments - 1 == kill_at:
                _kill_self()
            return action(*arguments, **options)

        return acted

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(retry, "backoff", lambda attempt: 0.001)
        patched.setattr(
            Ledger, "mark_in_flight", killable(Ledger.mark_in_flight, kills_before=True)
        )
        patched.setattr(Ledger, "record", killable(Ledger.record, kills_before=True))
        context = WorkerContext(
            WorkerConfig(SharedState.create(1), 1, Upload(transport=engine)),
            lambda _: None,
            lambda _: None,
        )
        context.slots.expect()
        in_job(context.scheduler, deliver, task, context)
    _kill_self()


def _kill_self() -> None:
    """Kill this process as kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(
    max_examples=10,
    stateful_step_count=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
