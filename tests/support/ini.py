"""An INI for tests, in which every line has a known number, and what loading it says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swarm.config.load import load
from swarm.config.settings import Meter, Settings
from swarm.errors import SettingsError

#: The sections' own lines are 1, 4, 7 and 9.
SWARM = "environment = sandbox\ntimezone = Europe/Dublin"
CREDENTIALS = "username = acme\npassword = s3cr%et"
METERS = "gas = gas.csv"


def ini_text(
    *, swarm: str = SWARM, credentials: str = CREDENTIALS, meters: str = METERS, rest: str = ""
) -> str:
    """Return the text of an INI that is sound unless a test makes it otherwise."""
    return f"[swarm]\n{swarm}\n[credentials]\n{credentials}\n[meters]\n{meters}\n{rest}"


def loaded(
    folder: Path, text: str, given: Mapping[str, Any] | None = None, *, secrets: bool = True
) -> Settings:
    """Load a text as an INI that others can't read."""
    path = folder / "x.ini"
    path.write_text(text, encoding="utf-8", newline="")
    path.chmod(0o600)
    return load(path, given or {}, secrets=secrets)


def problems(
    folder: Path, text: str, given: Mapping[str, Any] | None = None, *, secrets: bool = True
) -> list[str]:
    """Return the problems of a text, without the path ahead of each: ``2: [swarm] ...``."""
    try:
        loaded(folder, text, given, secrets=secrets)
    except SettingsError as error:
        return [line.removeprefix(str(folder / "x.ini")).strip(": ") for line in error.problems]
    return []


def meters(settings: Settings) -> dict[str, Meter]:
    """Return the meters by ID."""
    return {meter.id: meter for meter in settings.meters}


def users(settings: Settings) -> dict[str, str]:
    """Return each meter's user and password."""
    return {
        meter.id: f"{meter.credentials.username}:{meter.credentials.password}"
        for meter in settings.meters
        if meter.credentials
    }
