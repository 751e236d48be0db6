"""Description of the machine and of the software versions that were measured."""

import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pycurl
import requests

from benchmarks.harness import nginx
from benchmarks.results import NotMeasured
from swarm.version import VERSION


def facts() -> Iterator[str]:
    """Yield lines about the machine, the versions and the date."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield f"{_processor()}, {cores()} cores, {memory / 2**30:.0f} GiB of memory"
    yield f"{_system()}, kernel {platform.release()}"
    curl = pycurl.version_info()[1]
    yield (
        f"swarm {VERSION}, Python {platform.python_version()}, pycurl {_pycurl()} with libcurl "
        f"{curl}, requests {requests.__version__}, nginx {_nginx()}"
    )
    yield f"{datetime.now(UTC):%Y-%m-%d}"


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _pycurl() -> str:
    return pycurl.version.partition(" ")[0].partition("/")[2]


def _nginx() -> str:
    try:
        return nginx.version()
    except NotMeasured:
        return "not installed"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()
