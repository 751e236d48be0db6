"""Loops that send packets and do nothing else; run as a program, one process of them.

They read no CSV, keep no order and no checkpoint, and try nothing again: what is left is the HTTP
library. One packet is sent over and over.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import pycurl
import requests

from swarm.packet import packet

USER, PASSWORD = "acme", "secret"
PACKET = packet("stream-000", 946_684_800_000, 0, '"value":1234.567')

#: Sends one packet; returns the HTTP status.
Send = Callable[[], int]


@dataclass(frozen=True)
class Order:
    """What one process shall do: from ``start`` to ``end``, in seconds of the monotonic clock."""

    library: str
    url: str
    threads: int
    start: float
    end: float


@dataclass(frozen=True)
class Done:
    """What one process did; ``first`` and ``last`` on the monotonic clock, ``cpu`` in seconds."""

    packets: int
    first: float
    last: float
    cpu: float


def curl(url: str) -> Send:
    """Return what sends with libcurl: a handle whose options are set once."""
    handle = pycurl.Curl()
    for option, value in (
        (pycurl.URL, url),
        (pycurl.NOSIGNAL, 1),
        (pycurl.PROXY, ""),
        (pycurl.HTTPAUTH, pycurl.HTTPAUTH_BASIC),
        (pycurl.USERPWD, f"{USER}:{PASSWORD}"),
        (pycurl.HTTPHEADER, ["Content-Type: application/json"]),
        (pycurl.WRITEFUNCTION, lambda _: None),
        (pycurl.POSTFIELDS, PACKET),
    ):
        handle.setopt(option, value)

    def send() -> int:
        handle.perform()
        return int(handle.getinfo(pycurl.RESPONSE_CODE))

    return send


def plain_requests(url: str) -> Send:
    """Return what sends with a session of requests, as its documentation has it."""
    session = requests.Session()
    return lambda: session.post(url, data=PACKET, auth=(USER, PASSWORD)).status_code


LIBRARIES: dict[str, Callable[[str], Send]] = {"curl": curl, "requests": plain_requests}


def obey(order: Order) -> Done:
    """Send in threads until the time is up."""
    counts: list[int] = []
    threads = [threading.Thread(target=_loop, args=(order, counts)) for _ in range(order.threads)]
    time.sleep(max(order.start - time.monotonic(), 0))
    cpu, first = time.process_time(), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(counts) < order.threads:
        sys.exit("a thread was not answered with 200")
    return Done(sum(counts), first, time.monotonic(), time.process_time() - cpu)


def _loop(order: Order, counts: list[int]) -> None:
    send = LIBRARIES[order.library](order.url)
    count = 0
    while time.monotonic() < order.end:
        if send() != 200:
            return
        count += 1
    counts.append(count)


if __name__ == "__main__":
    print(json.dumps(asdict(obey(Order(**json.loads(sys.argv[1]))))))
