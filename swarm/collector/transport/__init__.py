"""The HTTP engines behind one small interface: post and get bytes, nothing else.

An engine keeps its connection open, keeps cookies and sends them back, and limits the whole time
of a request. It never retries, never follows a redirect, and takes nothing from the environment:
whether a packet may be sent again is for `swarm.delivery.deliver` to decide.
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
    """Return the engine to use: ``auto`` is curl where pycurl is installed, and can be used.

    Raises `SettingsError` where curl is asked for and can't be had.
    """
    obstacle = None if engine == "requests" else _obstacle()
    if engine == "curl" and obstacle:
        raise SettingsError(f"--transport curl: {obstacle}, or leave the option out")
    return "requests" if engine == "requests" or obstacle else "curl"


def _obstacle() -> str | None:
    """Return why curl can't be used, and what to do; None where it can."""
    try:
        libcurl = import_module("swarm.collector.transport.libcurl")
        import_module("swarm.collector.transport.curl")
    except ImportError as error:
        return f"pycurl can't be loaded ({error}); run: {install('fast')}"
    return f"{libcurl.OBSTACLE}; unset it" if libcurl.OBSTACLE else None


def scheduler(engine: Engine) -> Scheduler:
    """Return what runs streams side by side: a loop, where libcurl and greenlet can be loaded."""
    if available(engine) == "curl":
        with suppress(ImportError):
            return _loop(os.getpid())
    return THREADS


@cache
def _loop(_process: int) -> Scheduler:
    """Return the loop of this process: a fork has the memory of its parent's, but not its thread.

    It never ends, nor needs to: without jobs it sleeps.
    """
    from swarm.collector.transport.loop import Loop

    return Loop()


def open_session(engine: Engine, access: Access, scheduler: Scheduler = THREADS) -> Session:
    """Return a new session, for a job of a scheduler; it connects with its first request."""
    if available(engine) == "curl":
        from swarm.collector.transport.curl import CurlSession

        return CurlSession(access, scheduler)
    from swarm.collector.transport.requests import RequestsSession

    return RequestsSession(access)
