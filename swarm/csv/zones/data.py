"""The files of the time zone database that the check of a meter depends on."""

import zoneinfo
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path

from swarm.csv.zones.clock_changes import COMMON


@cache
def zone_digest(zone: str | None) -> str:
    """Return a digest of the data of a zone and of the common zones."""
    digest = blake2b(digest_size=8)
    for name in (*filter(None, [zone]), *COMMON):
        digest.update(_data(name))
    return digest.hexdigest()


def _data(zone: str) -> bytes:
    """Return the file of a zone: of the system, or else of the package ``tzdata``."""
    for folder in zoneinfo.TZPATH:
        with suppress(OSError):
            return Path(folder, zone).read_bytes()
    with suppress(OSError, ModuleNotFoundError):
        return files("tzdata").joinpath("zoneinfo", *zone.split("/")).read_bytes()
    return b""
