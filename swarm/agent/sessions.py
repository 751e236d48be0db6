"""The sessions that an agent's senders take and bring back: per credentials, kept open."""

import threading

from swarm.collector.client import CollectorClient
from swarm.collector.transport.base import Access, Engine
from swarm.scheduler import THREADS, Scheduler

#: So many sessions may lie idle; of more, those of the credentials used longest ago are closed.
MOST_IDLE = 256


class IdleSessions:
    """Open sessions of many credentials, each in one hand at a time."""

    def __init__(self, engine: Engine, scheduler: Scheduler = THREADS) -> None:
        self._engine = engine
        self._scheduler = scheduler
        self._idle: dict[Access, list[CollectorClient]] = {}
        self._count = 0
        self._is_closed = False
        self._lock = threading.Lock()

    def take(self, access: Access) -> CollectorClient:
        """Return a session: the one used last (a server closes those that idle), or a new one."""
        with self._lock:
            # Taken out and put back, the dictionary keeps its keys in order of use.
            idle = self._idle.pop(access, None)
            if idle:
                link = idle.pop()
                self._count -= 1
                if idle:
                    self._idle[access] = idle
                return link
        return CollectorClient(self._engine, access, self._scheduler)

    def bring(self, link: CollectorClient) -> None:
        """Keep a session for the next."""
        if self._is_closed:
            link.close()
            return
        with self._lock:
            self._idle.setdefault(link.access, []).append(link)
            self._count += 1
            surplus = self._oldest() if self._count > MOST_IDLE else None
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        """Close the sessions that lie idle, and those that are brought from now on."""
        with self._lock:
            self._is_closed = True
            links = [link for idle in self._idle.values() for link in idle]
            self._idle.clear()
            self._count = 0
        for link in links:
            link.close()

    def _oldest(self) -> CollectorClient:
        access, idle = next(iter(self._idle.items()))
        link = idle.pop(0)
        self._count -= 1
        if not idle:
            del self._idle[access]
        return link
