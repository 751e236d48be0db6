"""Several hosts on one computer: network namespaces, joined by two networks.

One network joins the hosts of a cluster, the other one leads to the collector: so a host can be cut
off from its cluster, and still reach the collector. Needs root.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")
_CLONE_NEWNET = 0x4000_0000

#: The reason why there can be no hosts here; None if there can.
OBSTACLE = (
    "needs root"
    if os.geteuid() != 0
    else None
    if shutil.which("ip")
    else "ip is not installed; on Debian: apt-get install iproute2"
)


class Hosts:
    """Hosts with addresses on both networks; a context manager.

    Host ``n``, counted from 1, is 10.77.1.n for the cluster, and 10.77.2.n for the collector.
    """

    def __init__(self, count: int) -> None:
        self._prefix = f"swarm{uuid.uuid4().hex[:6]}"
        self._count = count

    def __enter__(self) -> "Hosts":
        switch = self._name(0)
        for number in range(self._count + 1):
            _ip("netns", "add", self._name(number))
            _ip("-n", self._name(number), "link", "set", "lo", "up")
        for network in (1, 2):
            _ip("-n", switch, "link", "add", f"br{network}", "type", "bridge")
            _ip("-n", switch, "link", "set", f"br{network}", "up")
            for number in range(1, self._count + 1):
                host, port = self._name(number), f"p{network}-{number}"
                _ip(
                    *("-n", switch, "link", "add", port, "type", "veth"),
                    *("peer", "name", f"net{network}", "netns", host),
                )
                _ip("-n", switch, "link", "set", port, "master", f"br{network}", "up")
                address = f"10.77.{network}.{number}/24"
                _ip("-n", host, "address", "add", address, "dev", f"net{network}")
                _ip("-n", host, "link", "set", f"net{network}", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for number in range(self._count + 1):
            _ip("netns", "delete", self._name(number))

    def within(self, number: int) -> tuple[str, ...]:
        """Return the command that runs a program on a host."""
        return ("ip", "netns", "exec", self._name(number))

    def cut(self, number: int, *, is_cut: bool) -> None:
        """Cut a host off from the other hosts of the cluster, or join it again."""
        state = "down" if is_cut else "up"
        _ip("-n", self._name(0), "link", "set", f"p1-{number}", state)

    def listener(self, number: int) -> socket.socket:
        """Return a socket that listens on a free port of a host, on the collector's network."""
        return self._on(
            number, lambda: socket.create_server((f"10.77.2.{number}", 0), backlog=1024)
        )

    def _on(self, number: int, function: Callable[[], _T]) -> _T:
        """Call a function in a thread that is on a host; what it opens stays there."""
        found: list[_T] = []

        def run() -> None:
            with Path("/var/run/netns", self._name(number)).open("rb") as namespace:
                libc = ctypes.CDLL(None, use_errno=True)
                assert libc.setns(namespace.fileno(), _CLONE_NEWNET) == 0, ctypes.get_errno()
            found.append(function())

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return found[0]

    def _name(self, number: int) -> str:
        """Return the namespace of a host; that of the switches is number 0."""
        return f"{self._prefix}-{number}"


def _ip(*arguments: str) -> None:
    command: Sequence[str] = ("ip", *arguments)
    subprocess.run(command, check=True, capture_output=True, text=True)
