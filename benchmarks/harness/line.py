"""A poor line between two network namespaces: delay, loss, a low rate and a short queue.

Run as a program, it passes packets between a TUN device in each namespace, for kernels that have no
netem. It needs root.
"""

import ctypes
import fcntl
import json
import os
import random
import select
import struct
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DEVICE = "line"
_NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LONGEST_PACKET = 65536


@dataclass(frozen=True)
class Quality:
    """The quality of a line, which is the same in both directions.

    ``delay`` (s) is that of one direction; ``loss`` the share of packets that are lost; ``rate`` is
    in bytes a second, ``burst`` and ``queue`` in bytes. Equal seeds lose the same packets.
    """

    delay: float
    loss: float
    rate: float
    burst: int = 3000
    queue: int = 32_000
    seed: int = 1


#: 80 ms there and back, 1 % loss, 1 Mbit/s, a queue of a quarter of a second.
POOR = Quality(delay=0.04, loss=0.01, rate=125_000)


class Direction:
    """One direction of a line: a token bucket with a bounded queue, then a delay.

    A packet that finds the queue full is dropped, as is one that is lost.
    """

    def __init__(self, quality: Quality, number: int) -> None:
        self._quality = quality
        self._random = random.Random(quality.seed * 2 + number)
        #: When the bucket will be full again, if no more packets come.
        self._is_full_at = 0.0
        self._passing: deque[tuple[float, bytes]] = deque()

    def offer(self, packet: bytes, now: float) -> None:
        """Take a packet at a time (s)."""
        quality = self._quality
        if self._random.random() < quality.loss:
            return
        waits = max(self._is_full_at - now, 0.0) * quality.rate - quality.burst
        if waits + len(packet) > quality.queue:
            return
        self._is_full_at = max(self._is_full_at, now) + len(packet) / quality.rate
        leaves = max(now, self._is_full_at - quality.burst / quality.rate)
        self._passing.append((leaves + quality.delay, packet))

    def next_arrival(self) -> float | None:
        """Return the time (s) at which the next packet arrives."""
        return self._passing[0][0] if self._passing else None

    def arrived(self, now: float) -> list[bytes]:
        """Return the packets that have arrived until a time (s)."""
        packets = []
        while self._passing and self._passing[0][0] <= now:
            packets.append(self._passing.popleft()[1])
        return packets


def carry(ends: Sequence[int], quality: Quality) -> None:
    """Pass packets between two TUN devices for ever."""
    poll = select.poll()
    directions = {}
    for number, (source, target) in enumerate((ends, ends[::-1])):
        poll.register(source, select.POLLIN)
        directions[source] = (Direction(quality, number), target)
    while True:
        arrivals = [direction.next_arrival() for direction, _ in directions.values()]
        due = min((each for each in arrivals if each is not None), default=None)
        pause = None if due is None else max(due - time.monotonic(), 0) * 1000
        for number, _ in poll.poll(pause):
            directions[number][0].offer(os.read(number, _LONGEST_PACKET), time.monotonic())
        for direction, target in directions.values():
            for packet in direction.arrived(time.monotonic()):
                os.write(target, packet)


def _open_device(namespace: str) -> int:
    """Return the descriptor of the TUN device in a namespace; this thread stays in it."""
    libc = ctypes.CDLL(None, use_errno=True)
    with (_NAMESPACES / namespace).open("rb") as file:
        if libc.setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"can't enter the namespace {namespace}")
    tun = os.open("/dev/net/tun", os.O_RDWR)
    request = struct.pack("16sH22x", DEVICE.encode("ascii"), _IFF_TUN | _IFF_NO_PI)
    fcntl.ioctl(tun, _TUNSETIFF, request)
    return tun


def main() -> None:
    """Carry packets as the argument says; write a line when that has begun."""
    options = json.loads(sys.argv[1])
    ends = [_open_device(namespace) for namespace in options["namespaces"]]
    print("carries", flush=True)
    carry(ends, Quality(**options["quality"]))


if __name__ == "__main__":
    main()
