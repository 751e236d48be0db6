"""Optional packages: how to install those of an extra into the environment that swarm runs in."""

import shlex
import sys
from collections.abc import Iterator
from importlib import metadata

_NAME = "wattics-swarm"


def install(extra: str) -> str:
    """Return the pip command for an extra.

    It names the packages, as swarm itself may have come from a folder or a file.
    """
    wanted = list(_packages(extra)) or [f"{_NAME}[{extra}]"]
    return shlex.join([sys.executable, "-m", "pip", "install", *wanted])


def _packages(extra: str) -> Iterator[str]:
    try:
        lines = metadata.requires(_NAME) or []
    except metadata.PackageNotFoundError:  # it runs from a checkout
        return
    for line in lines:
        package, _, condition = line.partition(";")
        if condition.replace("'", '"').strip() == f'extra == "{extra}"':
            yield package.strip()
