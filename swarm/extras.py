"""Optional packages: the command that installs those of an extra next to swarm."""

import shlex
import sys

_DISTRIBUTION = "wattics-swarm"


def install(extra: str) -> str:
    """Return the pip command that installs the packages of an extra.

    It names these packages, because swarm itself may not come from a package index.
    """
    from importlib import metadata

    try:
        requirements = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # swarm runs from a checkout
        requirements = []
    packages = []
    for requirement in requirements:
        package, _, condition = requirement.partition(";")
        if condition.replace("'", '"').strip() == f'extra == "{extra}"':
            packages.append(package.strip())
    packages = packages or [f"{_DISTRIBUTION}[{extra}]"]
    return shlex.join([sys.executable, "-m", "pip", "install", *packages])
