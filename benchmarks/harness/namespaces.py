"""Two network namespaces, one for swarm and one for its collector, and a line between them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.harness import commands
from benchmarks.harness.line import DEVICE, Quality
from benchmarks.results import NotMeasured

#: An address range for benchmarks (RFC 2544), which is in use nowhere else.
NEAR, FAR = "198.18.0.1", "198.18.0.2"


@dataclass(frozen=True)
class Namespaces:
    """The names of the two namespaces."""

    near: str
    far: str

    @staticmethod
    def within(name: str) -> tuple[str, ...]:
        """Return the command that runs another one in a namespace."""
        return ("ip", "netns", "exec", name)

    @contextmanager
    def line(self, quality: Quality, folder: Path) -> Iterator[None]:
        """Carry packets between the namespaces; each line loses the same packets."""
        options = {"namespaces": [self.near, self.far], "quality": asdict(quality)}
        command = [sys.executable, "-m", "benchmarks.harness.line", json.dumps(options)]
        log, ready = folder / "line.log", os.pipe()
        with log.open("wb") as err:
            process = commands.start(command, folder, ready[1], err.fileno())
        os.close(ready[1])
        try:
            with os.fdopen(ready[0], "rb") as said:
                if not said.readline():
                    lines = log.read_text("utf-8", "replace").splitlines()
                    raise NotMeasured(f"the line can't be made: {(lines or [''])[-1]}")
            yield
        finally:
            commands.end(process)


@contextmanager
def namespaces() -> Iterator[Namespaces]:
    """Make two namespaces with a TUN device each; raise `NotMeasured` if that can't be done."""
    if os.geteuid() != 0:
        raise NotMeasured("a line between two network namespaces needs root")
    if shutil.which("ip") is None:
        raise NotMeasured("ip is not installed; on Debian: apt-get install iproute2")
    if not Path("/dev/net/tun").exists():
        raise NotMeasured("this system has no /dev/net/tun")
    names = [f"swarm-{os.getpid()}-{side}" for side in ("near", "far")]
    with ExitStack() as stack:
        for name, address, peer in zip(names, (NEAR, FAR), (FAR, NEAR), strict=True):
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
            within = ("-n", name)
            _ip(*within, "link", "set", "lo", "up")
            _ip(*within, "tuntap", "add", "mode", "tun", "name", DEVICE)
            _ip(*within, "addr", "add", address, "peer", peer, "dev", DEVICE)
            _ip(*within, "link", "set", DEVICE, "up")
            # A run must not profit from what TCP learned of the line in the run before.
            command = "echo 1 > /proc/sys/net/ipv4/tcp_no_metrics_save"
            _ip("netns", "exec", name, "sh", "-c", command)
        yield Namespaces(*names)


def _ip(*arguments: str) -> None:
    """Run ``ip``; raise `NotMeasured` if it fails."""
    command = ["ip", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotMeasured(f"'{' '.join(command)}': {done.stderr.strip()}")
