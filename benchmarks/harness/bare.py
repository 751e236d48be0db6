"""Loops that only send packets; run as a program, it is one process with such a loop.

They read no CSV, keep no order and no checkpoint, and do not retry: only the HTTP library is
measured. One packet is sent over and over.
"""

import json
import os
import select
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import pycurl
import requests

from swarm.packet import packet

USER, PASSWORD = "acme", "secret"
PACKET = packet("stream-000", 946_684_800_000, 0, '"value":1234.567')
_POLL_EVENTS = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
_LONGEST_PAUSE = 0.1
_TIMEOUT_SECONDS = 60

#: A function that sends one packet and returns the HTTP status.
Send = Callable[[], int]


@dataclass(frozen=True)
class LoopOptions:
    """The task of one process; ``start`` and ``end`` are seconds of the monotonic clock.

    ``core`` is the number of the core that the process stays on; ``ca`` the file of the CA of an
    HTTPS URL.
    """

    library: str
    url: str
    connections: int
    start: float
    end: float
    ca: str
    core: int


@dataclass(frozen=True)
class LoopResult:
    """The result of one process; ``first`` and ``last`` are monotonic times, ``cpu`` seconds."""

    packets: int
    first: float
    last: float
    cpu: float


def curl(url: str, ca: str) -> pycurl.Curl:
    """Return a handle of libcurl that sends the packet each time it is performed."""
    handle = pycurl.Curl()
    for option, value in (
        (pycurl.URL, url),
        (pycurl.NOSIGNAL, 1),
        (pycurl.PROXY, ""),
        (pycurl.TIMEOUT, _TIMEOUT_SECONDS),
        (pycurl.CAINFO, ca),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
        (pycurl.HTTPAUTH, pycurl.HTTPAUTH_BASIC),
        (pycurl.USERPWD, f"{USER}:{PASSWORD}"),
        (pycurl.HTTPHEADER, ["Content-Type: application/json"]),
        (pycurl.WRITEFUNCTION, lambda _: None),
        (pycurl.POSTFIELDS, PACKET),
    ):
        handle.setopt(option, value)
    return handle


def sender(url: str, ca: str) -> Send:
    """Return a function that sends with libcurl, on a connection that it keeps."""
    handle = curl(url, ca)

    def send() -> int:
        handle.perform()
        return int(handle.getinfo(pycurl.RESPONSE_CODE))

    return send


def run(options: LoopOptions) -> LoopResult:
    """Send until ``end``."""
    os.sched_setaffinity(0, {options.core})
    time.sleep(max(options.start - time.monotonic(), 0))
    cpu, first = time.process_time(), time.monotonic()
    packets = _LIBRARIES[options.library](options)
    return LoopResult(packets, first, time.monotonic(), time.process_time() - cpu)


class _Sockets:
    """The sockets that libcurl wants to be watched."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: set[int] = set()

    def watch(self, wanted: int, number: int, _multi: object, _data: object) -> None:
        """Watch a socket; libcurl calls this."""
        if wanted == pycurl.POLL_REMOVE:
            self._epoll.unregister(number)
            self._watched.discard(number)
        elif number in self._watched:
            self._epoll.modify(number, _POLL_EVENTS[wanted])
        else:
            self._epoll.register(number, _POLL_EVENTS[wanted])
            self._watched.add(number)

    def ready(self, pause_ms: int) -> list[tuple[int, int]]:
        """Wait for sockets; return their numbers with what libcurl is to be told."""
        return [
            (
                number,
                (pycurl.CSELECT_IN if events & ~select.EPOLLOUT else 0)
                | (pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0),
            )
            for number, events in self._epoll.poll(
                pause_ms / 1000 if pause_ms >= 0 else _LONGEST_PAUSE
            )
        ]


def _send_with_curl(options: LoopOptions) -> int:
    """Send on several connections with one multi handle; return the number of packets."""
    multi, sockets = pycurl.CurlMulti(), _Sockets()
    multi.setopt(pycurl.M_SOCKETFUNCTION, sockets.watch)
    # A connection for each handle, as each stream has one.
    multi.setopt(pycurl.M_MAXCONNECTS, options.connections)
    handles = [curl(options.url, options.ca) for _ in range(options.connections)]
    for handle in handles:
        multi.add_handle(handle)
    packets, active = 0, len(handles)
    while active:
        pause = multi.timeout()
        if pause == 0:
            _, running = multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            # A transfer may end here: then there is nothing to wait for.
            pause = multi.timeout() if running == active else 0
        for number, events in sockets.ready(pause):
            multi.socket_action(number, events)
        _, done, failed = multi.info_read()
        if failed or any(handle.getinfo(pycurl.RESPONSE_CODE) != 200 for handle in done):
            sys.exit(f"a packet was not answered with 200: {failed}")
        is_over = time.monotonic() >= options.end
        for handle in done:
            multi.remove_handle(handle)
            if is_over:
                active -= 1
            else:
                multi.add_handle(handle)
        packets += len(done)
    return packets


def _send_with_requests(options: LoopOptions) -> int:
    """Send with one session of requests, as its documentation shows."""
    packets = 0
    with requests.Session() as session:
        while time.monotonic() < options.end:
            answer = session.post(
                options.url,
                data=PACKET,
                auth=(USER, PASSWORD),
                verify=options.ca,
                timeout=_TIMEOUT_SECONDS,
            )
            if answer.status_code != 200:
                sys.exit("a packet was not answered with 200")
            packets += 1
    return packets


_LIBRARIES: dict[str, Callable[[LoopOptions], int]] = {
    "curl": _send_with_curl,
    "requests": _send_with_requests,
}


if __name__ == "__main__":
    print(json.dumps(asdict(run(LoopOptions(**json.loads(sys.argv[1]))))))
