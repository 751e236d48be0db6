"""An INI for tests, in which every line has a known number, and helpers that load it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swarm.config.load import load
from swarm.config.settings import Meter, Settings
from swarm.errors import SettingsError

#: The headers of the sections are on lines 1, 4 and 7; ``rest`` begins on line 9.
SWARM = "environment = sandbox\ntimezone = Europe/Dublin"
CREDENTIALS = "username = acme\npassword = s3cr%et"
METERS = "gas = gas.csv"


def ini_text(
    *, swarm: str = SWARM, credentials: str = CREDENTIALS, meters: str = METERS, rest: str = ""
) -> str:
    """Return the text of an INI; it is valid unless the test passes something invalid."""
    return f"[swarm]\n{swarm}\n[credentials]\n{credentials}\n[meters]\n{meters}\n{rest}"


def loaded(
    folder: Path, text: str, given: Mapping[str, Any] | None = None, *, secrets: bool = True
) -> Settings:
    """Load a text as an INI that only its owner can read."""
    path = folder / "x.ini"
    path.write_text(text, encoding="utf-8", newline="")
    path.chmod(0o600)
    return load(path, given or {}, secrets=secrets)


def problems(
    folder: Path, text: str, given: Mapping[str, Any] | None = None, *, secrets: bool = True
) -> list[str]:
    """Return the problems of a text, without the path before each: ``2: [swarm] ...``."""
    try:
        loaded(folder, text, given, secrets=secrets)
    except SettingsError as error:
        return [line.removeprefix(str(folder / "x.ini")).strip(": ") for line in error.problems]
    return []


def meters(settings: Settings) -> dict[str, Meter]:
    """Return the meters by ID."""
    return {meter.id: meter for meter in settings.meters}


def users(settings: Settings) -> dict[str, str]:
    """Return ``username:password`` of each meter by ID."""
    return {
        meter.id: f"{meter.credentials.username}:{meter.credentials.password}"
        for meter in settings.meters
        if meter.credentials
    }
