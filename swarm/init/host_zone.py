"""The zone of this computer's clock, by its IANA name."""

import os
from pathlib import Path

from swarm.config.csv_rules import zone

_LOCALTIME, _NAME = Path("/etc/localtime"), Path("/etc/timezone")


def host_zone(localtime: Path = _LOCALTIME, name: Path = _NAME) -> str | None:
    """Return the zone of this computer, None where that is not known."""
    variable = os.environ.get("TZ", "").removeprefix(":")
    found = (_known(text) for text in (variable, _target(localtime), _text(name)))
    return next(filter(None, found), None)


def _known(text: str) -> str | None:
    """Return the zone that a name or a path in a folder of zones means."""
    try:
        return zone(text.partition("zoneinfo/")[2] or text) if text else None
    except ValueError:
        return None


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
