"""Idle sessions of an agent, by credentials: senders acquire and release them."""

import threading

from swarm.collector.client import CollectorClient
from swarm.collector.transport.base import Access, Engine
from swarm.scheduler import THREADS, Scheduler

#: Most idle sessions; above this, a session of the least recently used credentials is closed.
MOST_IDLE = 256


class IdleSessions:
    """Open sessions that no sender uses at the moment."""

    def __init__(self, engine: Engine, scheduler: Scheduler = THREADS) -> None:
        self._engine = engine
        self._scheduler = scheduler
        self._idle: dict[Access, list[CollectorClient]] = {}
        self._count = 0
        self._is_closed = False
        self._lock = threading.Lock()

    def acquire(self, access: Access) -> CollectorClient:
        """Return the session used last, as servers close those that idle for long, or a new one."""
        with self._lock:
            # Removing a key and adding it again keeps the dictionary in the order of use.
            idle = self._idle.pop(access, None)
            if idle:
                client = idle.pop()
                self._count -= 1
                if idle:
                    self._idle[access] = idle
                return client
        return CollectorClient(self._engine, access, self._scheduler)

    def release(self, client: CollectorClient) -> None:
        """Keep a session for the next sender; after `close`, close it."""
        if self._is_closed:
            client.close()
            return
        surplus = None
        with self._lock:
            self._idle.setdefault(client.access, []).append(client)
            self._count += 1
            if self._count > MOST_IDLE:
                access, idle = next(iter(self._idle.items()))
                surplus = idle.pop(0)
                self._count -= 1
                if not idle:
                    del self._idle[access]
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        """Close all idle sessions, and those that are released later."""
        with self._lock:
            self._is_closed = True
            clients = [client for idle in self._idle.values() for client in idle]
            self._idle.clear()
            self._count = 0
        for client in clients:
            client.close()
