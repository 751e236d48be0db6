"""Loops that only send packets; run as a program, it is one process with such loops.

They read no CSV, keep no order and no checkpoint, and do not retry: only the HTTP library is
measured. One packet is sent over and over.
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

#: A function that sends one packet and returns the HTTP status.
Send = Callable[[], int]


@dataclass(frozen=True)
class LoopOptions:
    """The task of one process; ``start`` and ``end`` are seconds of the monotonic clock."""

    library: str
    url: str
    threads: int
    start: float
    end: float


@dataclass(frozen=True)
class LoopResult:
    """The result of one process; ``first`` and ``last`` are monotonic times, ``cpu`` seconds."""

    packets: int
    first: float
    last: float
    cpu: float


def curl(url: str) -> Send:
    """Return a function that sends with libcurl, through a handle whose options are set once."""
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
    """Return a function that sends with a session of requests, as its documentation shows."""
    session = requests.Session()
    return lambda: session.post(url, data=PACKET, auth=(USER, PASSWORD)).status_code


LIBRARIES: dict[str, Callable[[str], Send]] = {"curl": curl, "requests": plain_requests}


def run(options: LoopOptions) -> LoopResult:
    """Send in threads until ``end``."""
    counts: list[int] = []
    threads = [
        threading.Thread(target=_loop, args=(options, counts)) for _ in range(options.threads)
    ]
    time.sleep(max(options.start - time.monotonic(), 0))
    cpu, first = time.process_time(), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(counts) < options.threads:
        sys.exit("a thread was not answered with 200")
    return LoopResult(sum(counts), first, time.monotonic(), time.process_time() - cpu)


def _loop(options: LoopOptions, counts: list[int]) -> None:
    send = LIBRARIES[options.library](options.url)
    count = 0
    while time.monotonic() < options.end:
        if send() != 200:
            return
        count += 1
    counts.append(count)


if __name__ == "__main__":
    print(json.dumps(asdict(run(LoopOptions(**json.loads(sys.argv[1]))))))
