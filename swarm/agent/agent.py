"""The library's door: an `Agent` takes measurements and sends them, many streams at once."""

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from types import TracebackType
from typing import ClassVar, Self, get_args

from swarm.agent.config import Config, is_seconds, is_whole
from swarm.agent.dispatcher import Dispatcher, is_in_sender
from swarm.agent.forks import ForkLock
from swarm.agent.handlers import Function, Handlers, SentHandler
from swarm.agent.measurement import Measurement
from swarm.agent.queue import MeasurementQueue, StreamQueue
from swarm.agent.sender import Sender, SenderConfig, warn_of_late
from swarm.agent.sessions import IdleSessions
from swarm.collector.transport import available, open_session, scheduler
from swarm.collector.transport.base import Access, Engine
from swarm.config.options import RetryPolicy
from swarm.config.parsers import FOREVER
from swarm.delivery.context import StopRequested
from swarm.errors import AgentError, ConfigError, MeasurementError, SettingsError, SwarmError
from swarm.scheduler import SingleThread

#: More senders than this gain nothing, whatever the machine.
MOST_SENDERS = 256
#: How long (s) what is under way at the end may take to be answered.
_GRACE = 1.0
#: How long (s) the end of the interpreter waits for the handlers of one measurement.
_PATIENCE_AT_EXIT = 5.0
#: How often (s) a thread that waits for another to close an agent looks whether it still does.
_LOOK_AGAIN = 0.5

_log = logging.getLogger(__name__)


class Agent:
    """Sends measurements: per stream in order of time and one at a time, streams in parallel.

    ``maximum_parallel_senders`` streams are sent at the same time, 0 stands for twice the number of
    processors. `send` waits while ``queue_size`` measurements wait for their answers. A measurement
    is tried for ``retry_for`` seconds, for ever where that is None; what became of one that was not
    answered is asked ``settle`` seconds after it was sent. A context manager: leaving it waits.
    """

    # Also one that is closed: there is no moment at which two of them send.
    _shared: ClassVar["Agent | None"] = None
    # Held while an agent is made: a process that is forked meanwhile could import no engine.
    _making: ClassVar[ForkLock] = ForkLock()

    def __init__(
        self,
        maximum_parallel_senders: int = 0,
        *,
        queue_size: int = 10_000,
        retry_for: float | None = None,
        settle: float = 2.0,
        transport: Engine = "auto",
    ) -> None:
        problems = list(
            _problems(maximum_parallel_senders, queue_size, retry_for, settle, transport)
        )
        if problems:
            raise ConfigError(*problems)
        self._process = os.getpid()
        # One for both: a signal's handler that waits lets go of all that its thread has locked.
        lock = threading.RLock()
        self._backlog = MeasurementQueue(queue_size, self._may_wait, lock)
        self._handlers = Handlers(self._backlog.done)
        with self._making.lock:
            engine = _engine(transport)
            self._scheduler = scheduler(engine)
        number = _senders(maximum_parallel_senders)
        self._senders = Dispatcher(number, self._send_one, self._scheduler, lock)
        self._halted = self._scheduler.event()
        policy = RetryPolicy(retry_for=FOREVER if retry_for is None else retry_for, settle=settle)
        self._sessions = IdleSessions(engine, self._scheduler)
        self._setup = SenderConfig(policy, self._sessions, self._senders, self._halted)
        self._last_sent: float | None = None
        self._is_closing = False
        self._closers: list[int] = []
        self._ender = SingleThread(self._finish, "swarm-end")
        self._patience: float | None = None
        self._is_rest_told = False
        atexit.register(self._at_exit)

    @classmethod
    def get_instance(cls, maximum_parallel_senders: int = 0) -> "Agent":
        """Return the process's one shared agent; the number counts for the first call.

        While it is closed, wait until it has ended, and return a new one: two would send the same
        streams side by side. A thread that the end waits for, such as a handler's, gets the one
        that is being closed as long as that takes measurements, then an `AgentError`.
        """
        while True:
            shared = Agent._shared
            if shared is not None and shared._is_to_be_used():
                return shared
            cls._replace(shared, maximum_parallel_senders)

    @classmethod
    def _replace(cls, shared: "Agent | None", maximum_parallel_senders: int) -> None:
        """Make a new shared agent in place of one that has ended."""
        with cls._making.lock:
            if Agent._shared is not shared:
                return
            made = Agent(maximum_parallel_senders)
            if Agent._shared is shared:
                Agent._shared = made
                return
        made.close(0)  # a signal's handler has made one meanwhile

    @classmethod
    def dispose(cls, timeout: float | None = None) -> None:
        """End the shared agent, if there is one: `close` it."""
        shared = Agent._shared
        if shared is not None:
            shared.close(timeout)

    @property
    def sent(self) -> int:
        """The number of measurements that the collector took."""
        return self._backlog.sent

    @property
    def refused(self) -> int:
        """The number of measurements refused for good, or given up after ``retry_for``."""
        return self._backlog.refused

    @property
    def waiting(self) -> int:
        """The number of measurements without a final answer."""
        return self._backlog.waiting

    @property
    def last_measurement_sent_time(self) -> datetime | None:
        """When the collector last took a measurement, in UTC; None if it took none yet."""
        return None if self._last_sent is None else datetime.fromtimestamp(self._last_sent, UTC)

    def send(self, measurement: Measurement | Iterable[Measurement], config: Config) -> None:
        """Queue a measurement, or any number of them; wait while the queue is full.

        A group such as a list is put in order first, as a whole. What a generator yields is put in
        order with what waits of its stream.
        """
        self._check_process()
        if isinstance(measurement, Measurement):
            self._put(measurement, config, self._senders.enqueue)
        elif isinstance(measurement, Collection):
            group = map(_checked, measurement)
            for each in sorted(group, key=lambda each: config.moment(each)[0]):
                self._put(each, config, self._senders.enqueue)
        else:
            self._put_stepwise(measurement, config)

    def add_measurement_sent_handler(self, handler: Function) -> SentHandler:
        """Call a function with each measurement and its final answer; usable as a decorator.

        Handlers run one after the other in a thread of their own. The answer is None where there
        is none: the measurement was given up, or the agent ended first. ``remove()`` of what is
        returned ends the calls.
        """
        self._check_process()
        return self._handlers.add(handler)

    def wait_until_last(self, timeout: float | None = None) -> bool:
        """Wait (s) until all has its final answer, and its handlers ran; tell whether it has."""
        self._check_process()
        self._check_may_wait()
        self._hand_over_again()
        return self._backlog.wait_empty(timeout)

    def close(self, timeout: float | None = None) -> None:
        """Wait (s) until all has its final answer, then end; what was not sent is logged.

        What is under way then has one more second. Handlers get None for what has no answer. Of
        several threads that close an agent, the one whose time is up first ends it; the others
        return with it. In a process that was forked it does nothing.
        """
        if self._backlog.is_ended or self._process != os.getpid():
            return
        self._check_may_wait()
        self._is_closing = True
        me = threading.get_ident()
        try:
            self._closers.append(me)
            self._wait_and_end(timeout)
        finally:
            if me in self._closers:  # else a signal's handler raised before it was noted
                self._closers.remove(me)

    def _wait_and_end(self, timeout: float | None) -> None:
        try:
            self._hand_over_again()
            self._backlog.wait_empty(timeout, or_closed=True)
        finally:
            self._end(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        # Whoever presses Ctrl-C does not want to wait for a collector that may be down.
        self.close(0.0 if kind is KeyboardInterrupt else None)

    def __repr__(self) -> str:
        return f"<Agent: {self.sent} sent, {self.refused} refused, {self.waiting} waiting>"

    def _is_to_be_used(self) -> bool:
        """Tell whether this shared agent may be used; wait for its end where it is closed."""
        if self._process != os.getpid():
            return False
        if not self._is_closing:
            return True
        if self._backlog.is_ended and not self._senders.are_under_way:
            return False
        if threading.get_ident() in self._closers or not self._may_wait():
            if self._backlog.is_closed:
                raise AgentError("the shared agent is being closed, and this thread can't wait")
            return True
        self._wait_ended()
        return False

    def _wait_ended(self) -> None:
        """Wait for the threads that close this agent, and for what they left under way."""
        while not self._backlog.wait_for(lambda: self._backlog.is_ended, _LOOK_AGAIN):
            if not self._closers:  # a signal's handler raised before it was ended
                self.close()
        self._senders.wait_ended()

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise AgentError("the agent was made in another process; make one after the fork")

    def _check_may_wait(self) -> None:
        if self._handlers.is_own_thread():
            raise AgentError("a handler can't wait until all handlers ran")
        if is_in_sender():
            raise AgentError("what a sender calls, such as a logging handler, can't wait for it")

    def _may_wait(self) -> bool:
        """Tell whether this is no thread that makes room: such a one would wait for itself."""
        return not (self._handlers.is_own_thread() or is_in_sender())

    def _put(
        self, measurement: Measurement, config: Config, hand_over: Callable[[StreamQueue], None]
    ) -> None:
        try:
            stream = self._backlog.put(measurement, config)
            if stream is not None:
                hand_over(stream)
        except SwarmError:
            raise
        except BaseException:  # a signal's handler raised between any two steps of this
            self._hand_over_again()
            raise

    def _hand_over_again(self) -> None:
        """Hand the senders all that they have not, as a signal may have come before it was done."""
        for stream in self._backlog.left():
            with suppress(RuntimeError):  # no thread is granted, as `send` has said
                self._senders.enqueue(stream)

    def _put_stepwise(self, measurements: Iterable[Measurement], config: Config) -> None:
        """Queue what comes; a stream that was idle rests a moment, for what belongs before."""
        try:
            for each in measurements:
                self._put(_checked(each), config, self._senders.enqueue_later)
        finally:
            self._senders.wake()

    def _send_one(self, stream: StreamQueue) -> bool:
        """Send a stream's earliest measurement; tell whether more waits in it."""
        entry = self._backlog.take(stream)
        if entry is None:
            return False
        warn_of_late(stream, entry)
        try:
            response, is_sent = Sender(self._setup, stream, entry).run()
        except StopRequested:
            self._backlog.give_back(stream)
            return False
        if is_sent:
            self._last_sent = time.time()
            stream.newest = max(entry.instant, stream.newest or entry.instant)
        has_more = self._backlog.answered(stream, is_sent=is_sent)
        if has_more is None:
            return False
        self._handlers.tell(entry.measurement, response)
        return has_more

    def _end(self, patience: float | None) -> None:
        """End the agent; give up where one measurement's handlers take longer than this (s)."""
        try:
            self._ender.begin()
        except RuntimeError:  # the system grants no thread
            self._ender.run()
        self._backlog.wait_for(lambda: self._backlog.rest is not None or self._backlog.is_ended)
        self._tell_rest()
        self._backlog.wait_ended(patience)
        if untold := self._backlog.unhandled:
            _log.error(
                "the handlers of %d measurements did not end before the program did: those of one "
                "took longer than %g s",
                untold,
                _PATIENCE_AT_EXIT,
            )
        atexit.unregister(self._at_exit)

    def _finish(self) -> None:
        """Do all that is to be done at the end; in a thread that no signal interrupts.

        Logging is left to the threads that wait: one of them may have been interrupted in it.
        """
        backlog = self._backlog
        try:
            # Send nothing more, and wait a little for what is under way.
            backlog.close()
            self._halted.set()
            self._senders.stop(_GRACE)
            backlog.count_rest()
            for measurement in backlog.drain():
                self._handlers.tell(measurement, None)
            # A sender that outlasted the grace may be about to tell of an answer.
            if backlog.wait_handled(self._patience):
                self._handlers.stop()
            self._sessions.close()
        finally:
            backlog.end()

    def _tell_rest(self) -> None:
        """Log what was not sent, once."""
        if self._is_rest_told or self._backlog.rest is None:
            return
        self._is_rest_told = True
        unsent, under_way = self._backlog.rest
        if unsent:
            _log.error("%d measurements were not sent: the agent ended before", unsent)
        if under_way:
            _log.error(
                "%d measurements were sent, but not answered before the agent ended: "
                "the collector may hold them",
                under_way,
            )

    def _at_exit(self) -> None:
        if self._process == os.getpid():
            self._is_closing = True
            self._patience = _PATIENCE_AT_EXIT
            self._end(_PATIENCE_AT_EXIT)


def _problems(
    senders: object, queue_size: object, retry_for: object, settle: object, transport: object
) -> Iterator[str]:
    if not is_whole(senders, 0):
        yield f"maximum_parallel_senders: found {senders!r}, expected a whole number from 0 on"
    if not is_whole(queue_size, 1):
        yield f"queue_size: found {queue_size!r}, expected a whole number from 1 on"
    if retry_for is not None and not is_seconds(retry_for, FOREVER):
        yield f"retry_for: found {retry_for!r}, expected seconds or None"
    if not is_seconds(settle):
        yield f"settle: found {settle!r}, expected seconds"
    if transport not in get_args(Engine):
        yield f"transport: found {transport!r}, expected {', '.join(get_args(Engine))}"


def _engine(transport: Engine) -> Engine:
    """Return the engine to use, loaded."""
    try:
        engine = available(transport)
    except SettingsError as error:  # which speaks of the command's option
        raise ConfigError(str(error).removeprefix("--")) from None
    _load(engine)
    return engine


@cache
def _load(engine: Engine) -> None:
    """Import all that a session imports on its way, rather than in the senders."""
    open_session(engine, Access("", "")).close()


def _senders(number: int) -> int:
    if number > MOST_SENDERS:
        _log.warning("%d parallel senders are too many: cut to %d", number, MOST_SENDERS)
    return min(number or 2 * (os.cpu_count() or 1), MOST_SENDERS)


def _checked(measurement: Measurement) -> Measurement:
    if not isinstance(measurement, Measurement):
        raise MeasurementError(f"found {measurement!r}, expected a measurement")
    return measurement
