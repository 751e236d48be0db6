"""The entry point of the library: an `Agent` queues measurements and sends them in parallel."""

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

#: More parallel senders gain nothing on any machine.
MOST_SENDERS = 256
#: How long (s) the agent waits at its end for packets in flight.
_GRACE = 1.0
#: How long (s) the end of the interpreter waits for the handlers of one measurement.
_HANDLER_TIMEOUT_AT_EXIT = 5.0
#: How often (s) a thread that waits for the end of an agent checks that another one closes it.
_CLOSER_CHECK = 0.5

_log = logging.getLogger(__name__)


class Agent:
    """Sends measurements: per stream in order of time and one at a time, streams in parallel.

    ``maximum_parallel_senders`` streams are sent at the same time; 0 is twice the number of
    processors. `send` waits while ``queue_size`` measurements have no answer. A measurement is
    tried for ``retry_for`` seconds, or forever if that is None. If there is no answer, the agent
    asks the collector for the measurement ``settle`` seconds after the request ended. Raises
    `ConfigError` for wrong arguments. An agent is a context manager: the end of the ``with`` block
    waits until all measurements have their final answer.
    """

    # It stays here, also when it is closed, until it has ended: two agents must never send at once.
    _shared: ClassVar["Agent | None"] = None
    # Held while an agent is created: a process forked meanwhile could not import an engine.
    _creation: ClassVar[ForkLock] = ForkLock()

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
        # The queue and the dispatcher share one lock, so that a signal handler that waits releases
        # all that its thread has locked.
        lock = threading.RLock()
        self._queue = MeasurementQueue(queue_size, self._may_wait, lock)
        self._handlers = Handlers(self._queue.done)
        with self._creation.lock:
            engine = _loaded_engine(transport)
            self._scheduler = scheduler(engine)
        slots = sender_count(maximum_parallel_senders)
        self._dispatcher = Dispatcher(slots, self._send_one, self._scheduler, lock)
        self._stopped = self._scheduler.event()
        policy = RetryPolicy(retry_for=FOREVER if retry_for is None else retry_for, settle=settle)
        self._sessions = IdleSessions(engine, self._scheduler)
        self._sender_config = SenderConfig(policy, self._sessions, self._dispatcher, self._stopped)
        self._last_sent: float | None = None
        self._is_closing = False
        self._closers: list[int] = []
        self._end_thread = SingleThread(self._finish, "swarm-end")
        self._handler_timeout: float | None = None
        self._is_rest_logged = False
        atexit.register(self._at_exit)

    @classmethod
    def get_instance(cls, maximum_parallel_senders: int = 0) -> "Agent":
        """Return the one shared agent of the process; the number counts for the first call only.

        If that agent is being closed, wait until it has ended and return a new one: two agents
        could send the same stream at the same time. A thread that the end itself waits for, such as
        that of the handlers, gets the agent that is being closed as long as it takes measurements,
        and an `AgentError` after that.
        """
        while True:
            shared = Agent._shared
            if shared is not None and shared._is_usable():
                return shared
            with cls._creation.lock:
                if Agent._shared is not shared:
                    continue
                created = Agent(maximum_parallel_senders)
                if Agent._shared is shared:
                    Agent._shared = created
                    continue
            created.close(0)  # a signal handler has created one in between

    @classmethod
    def dispose(cls, timeout: float | None = None) -> None:
        """End the shared agent, if there is one, with `close`."""
        shared = Agent._shared
        if shared is not None:
            shared.close(timeout)

    @property
    def sent(self) -> int:
        """The number of measurements that the collector took."""
        return self._queue.sent

    @property
    def refused(self) -> int:
        """The number of measurements that were refused, or given up after ``retry_for``."""
        return self._queue.refused

    @property
    def waiting(self) -> int:
        """The number of measurements without a final answer."""
        return self._queue.waiting

    @property
    def last_measurement_sent_time(self) -> datetime | None:
        """The time in UTC at which the collector last took a measurement; None if it took none."""
        return None if self._last_sent is None else datetime.fromtimestamp(self._last_sent, UTC)

    def send(self, measurement: Measurement | Iterable[Measurement], config: Config) -> None:
        """Queue a measurement, or any number of them; wait while the queue is full.

        A collection such as a list is sorted first, as a whole. The measurements of a generator are
        sorted into those that wait in their stream. Raises `MeasurementError` if a measurement
        can't be sent with this config, and `AgentError` if the agent is closed.
        """
        self._check_process()
        if isinstance(measurement, Measurement):
            self._put(measurement, config, self._dispatcher.enqueue)
        elif isinstance(measurement, Collection):
            group = map(_checked, measurement)
            for each in sorted(group, key=lambda each: config.moment(each)[0]):
                self._put(each, config, self._dispatcher.enqueue)
        else:
            # A stream that was idle rests a moment, for measurements that belong before.
            try:
                for each in measurement:
                    self._put(_checked(each), config, self._dispatcher.enqueue_later)
            finally:
                self._dispatcher.wake()

    def add_measurement_sent_handler(self, handler: Function) -> SentHandler:
        """Call a function with each measurement and its final answer; usable as a decorator.

        Handlers run one after the other in a thread of their own. The answer is None if there is
        none: the measurement was given up, or the agent ended first. ``remove()`` of the returned
        object ends the calls.
        """
        self._check_process()
        return self._handlers.add(handler)

    def wait_until_last(self, timeout: float | None = None) -> bool:
        """Wait (s) until all measurements have their final answer and all handlers have run.

        Return True if that is so. Raises `AgentError` in a thread that would wait for itself, such
        as that of the handlers.
        """
        self._check_process()
        self._check_may_wait()
        self._hand_over_again()
        return self._queue.wait_for(lambda: not self._queue.unhandled, timeout)

    def close(self, timeout: float | None = None) -> None:
        """Wait (s) until all measurements have their final answer, then end; log the others.

        Packets in flight then have one more second. Handlers get None for measurements without an
        answer. If several threads close an agent, the first timeout that expires ends it, and the
        other threads return too. In a forked process, `close` does nothing.
        """
        if self._queue.is_ended or self._process != os.getpid():
            return
        self._check_may_wait()
        self._is_closing = True
        me = threading.get_ident()
        try:
            self._closers.append(me)
            try:
                self._hand_over_again()
                self._queue.wait_for(
                    lambda: not self._queue.unhandled or self._queue.is_closed, timeout
                )
            finally:
                self._end()
        finally:
            if me in self._closers:  # not if a signal handler raised before it was added
                self._closers.remove(me)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        # After Ctrl-C, do not wait for a collector that may be down.
        self.close(0.0 if kind is KeyboardInterrupt else None)

    def __repr__(self) -> str:
        return f"<Agent: {self.sent} sent, {self.refused} refused, {self.waiting} waiting>"

    def _is_usable(self) -> bool:
        """Return True if the shared agent may be returned; wait for its end if it is closed."""
        if self._process != os.getpid():
            return False
        if not self._is_closing:
            return True
        if self._queue.is_ended and not self._dispatcher.has_senders:
            return False
        if threading.get_ident() in self._closers or not self._may_wait():
            if self._queue.is_closed:
                raise AgentError("the shared agent is being closed, and this thread can't wait")
            return True
        while not self._queue.wait_for(lambda: self._queue.is_ended, _CLOSER_CHECK):
            if not self._closers:  # a signal handler raised in the closing thread
                self.close()
        self._dispatcher.wait_ended()
        return False

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise AgentError("the agent was created in another process; create one after the fork")

    def _check_may_wait(self) -> None:
        if self._handlers.is_own_thread():
            raise AgentError("a handler can't wait until all handlers have run")
        if is_in_sender():
            raise AgentError(
                "code that a sender calls, such as a logging handler, can't wait for the sender"
            )

    def _may_wait(self) -> bool:
        """Return False in threads that send or call handlers: these would wait for themselves."""
        return not (self._handlers.is_own_thread() or is_in_sender())

    def _put(
        self, measurement: Measurement, config: Config, enqueue: Callable[[StreamQueue], None]
    ) -> None:
        try:
            stream = self._queue.put(measurement, config)
            if stream is not None:
                enqueue(stream)
        except SwarmError:
            raise
        except BaseException:  # a signal handler raised, perhaps between the two calls
            self._hand_over_again()
            raise

    def _hand_over_again(self) -> None:
        """Enqueue all streams that a signal may have kept from the dispatcher."""
        for stream in self._queue.unscheduled():
            with suppress(RuntimeError):  # no thread for a sender: `send` has raised that already
                self._dispatcher.enqueue(stream)

    def _send_one(self, stream: StreamQueue) -> bool:
        """Send the earliest measurement of a stream; return True if more waits in it."""
        entry = self._queue.take(stream)
        if entry is None:
            return False
        warn_of_late(stream, entry)
        try:
            response, is_sent = Sender(self._sender_config, stream, entry).run()
        except StopRequested:
            self._queue.give_back(stream)
            return False
        if is_sent:
            self._last_sent = time.time()
            stream.newest = max(entry.instant, stream.newest or entry.instant)
        has_more = self._queue.answered(stream, is_sent=is_sent)
        if has_more is None:
            return False
        self._handlers.enqueue(entry.measurement, response)
        return has_more

    def _end(self, handler_timeout: float | None = None) -> None:
        """End the agent and log the rest; give up if one measurement's handlers take longer (s)."""
        try:
            self._end_thread.begin()
        except RuntimeError:  # the system grants no thread
            self._end_thread.run()
        self._queue.wait_for(lambda: self._queue.rest is not None or self._queue.is_ended)
        if not self._is_rest_logged and self._queue.rest is not None:
            self._is_rest_logged = True
            unsent, in_flight = self._queue.rest
            if unsent:
                _log.error("%d measurements were not sent before the agent ended", unsent)
            if in_flight:
                _log.error(
                    "%d measurements were sent, but not answered before the agent ended: "
                    "the collector may hold them",
                    in_flight,
                )
        self._queue.wait_while_progress(lambda: self._queue.is_ended, handler_timeout)
        if unhandled := self._queue.unhandled:
            _log.error(
                "the handlers of %d measurements were not finished when the program ended: those "
                "of one measurement took longer than %g s",
                unhandled,
                _HANDLER_TIMEOUT_AT_EXIT,
            )
        atexit.unregister(self._at_exit)

    def _finish(self) -> None:
        """Do the work of the end, in a thread that no signal interrupts.

        The threads that wait for it do the logging: a signal may have interrupted one of them while
        it held a lock of `logging`.
        """
        queue = self._queue
        try:
            # Send nothing more, and wait a little for packets in flight.
            queue.close()
            self._stopped.set()
            self._dispatcher.stop(_GRACE)
            queue.count_rest()
            for measurement in queue.drain():
                self._handlers.enqueue(measurement, None)
            # A sender that took longer may still be about to queue an answer for the handlers.
            if queue.wait_while_progress(lambda: not queue.unhandled, self._handler_timeout):
                self._handlers.stop()
            self._sessions.close()
        finally:
            queue.end()

    def _at_exit(self) -> None:
        if self._process == os.getpid():
            self._is_closing = True
            self._handler_timeout = _HANDLER_TIMEOUT_AT_EXIT
            self._end(_HANDLER_TIMEOUT_AT_EXIT)


def sender_count(requested: int) -> int:
    """Return the number of parallel senders: 0 is twice the processors, and 256 is the most."""
    if requested > MOST_SENDERS:
        _log.warning("%d parallel senders are too many: reduced to %d", requested, MOST_SENDERS)
    return min(requested or 2 * (os.cpu_count() or 1), MOST_SENDERS)


def _problems(
    senders: object, queue_size: object, retry_for: object, settle: object, transport: object
) -> Iterator[str]:
    if not is_whole(senders, 0):
        yield f"maximum_parallel_senders: found {senders!r}, expected a whole number of at least 0"
    if not is_whole(queue_size, 1):
        yield f"queue_size: found {queue_size!r}, expected a whole number of at least 1"
    if retry_for is not None and not is_seconds(retry_for, FOREVER):
        yield f"retry_for: found {retry_for!r}, expected seconds or None"
    if not is_seconds(settle):
        yield f"settle: found {settle!r}, expected seconds"
    if transport not in get_args(Engine):
        yield f"transport: found {transport!r}, expected {', '.join(get_args(Engine))}"


def _loaded_engine(transport: Engine) -> Engine:
    """Return the engine to use, with its modules imported."""
    try:
        engine = available(transport)
    except SettingsError as error:  # its message names the option of the command, --transport
        raise ConfigError(str(error).removeprefix("--")) from None
    _load(engine)
    return engine


@cache
def _load(engine: Engine) -> None:
    """Import the modules that a session needs here, rather than in the senders."""
    open_session(engine, Access("", "")).close()


def _checked(measurement: Measurement) -> Measurement:
    if not isinstance(measurement, Measurement):
        raise MeasurementError(f"found {measurement!r}, expected a measurement")
    return measurement
