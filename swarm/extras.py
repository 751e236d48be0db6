"""Optional packages: the command that installs those of an extra next to swarm."""

import shlex
import sys

_DISTRIBUTION = "wattics-swarm"


def install(extra: str) -> str:
    """Return the pip command that installs the packages of an extra.

    It names these packages, because swarm itself may not come from a package index. An environment
    without pip was made by uv, whose own pip it names then.
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
    pip = [sys.executable, "-m", "pip", "install"]
    if not are_installed("pip"):
        pip = ["uv", "pip", "install", "--python", sys.executable]
    return shlex.join([*pip, *packages])


def are_installed(*packages: str) -> bool:
    """Return True if all packages can be found; none is imported."""
    from importlib.util import find_spec

    try:
        return all(find_spec(package) is not None for package in packages)
    except (ImportError, ValueError):
        return False
