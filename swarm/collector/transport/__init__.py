"""The HTTP engines behind one small interface: post and get bytes.

An engine keeps its connection open, stores cookies and sends them back, and limits the total time
of a request. It never retries, never follows a redirect, and reads no setting from the environment.
`swarm.delivery.exchange` decides whether a packet may be sent again.
"""

import os
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Literal

from swarm.collector.transport.base import Access, Engine, Session
from swarm.errors import SettingsError
from swarm.extras import install
from swarm.scheduler import THREADS, Scheduler


def available(engine: Engine) -> Literal["curl", "requests"]:
    """Return the engine to use; ``auto`` means curl if pycurl can be used, else requests.

    Raise `SettingsError` if ``engine`` is curl and pycurl can't be used.
    """
    if engine == "requests":
        return "requests"
    try:
        libcurl = import_module("swarm.collector.transport.libcurl")
        import_module("swarm.collector.transport.curl")
        obstacle = f"{libcurl.OBSTACLE}; unset it" if libcurl.OBSTACLE else None
    except ImportError as error:
        obstacle = f"pycurl can't be loaded ({error}); run: {install('fast')}"
    if engine == "curl" and obstacle:
        raise SettingsError(f"--transport curl: {obstacle}, or leave the option out")
    return "requests" if obstacle else "curl"


def scheduler(engine: Engine) -> Scheduler:
    """Return the scheduler for streams: a loop if curl and greenlet can be used, else threads.

    A process has one loop, which all its agents and streams share.
    """
    if available(engine) == "curl":
        with suppress(ImportError):
            return _loop(os.getpid())
    return THREADS


@cache
def _loop(_process: int) -> Scheduler:
    """Return the loop of this process: a forked process inherits the parent's, without its thread.

    A loop never ends; without jobs it sleeps.
    """
    from swarm.collector.transport.loop import Loop

    return Loop()


def open_session(engine: Engine, access: Access, scheduler: Scheduler = THREADS) -> Session:
    """Return a new session for jobs of a scheduler; it connects with its first request."""
    if available(engine) == "curl":
        from swarm.collector.transport.curl import CurlSession

        return CurlSession(access, scheduler)
    from swarm.collector.transport.requests import RequestsSession

    return RequestsSession(access)
