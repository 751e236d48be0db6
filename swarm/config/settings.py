"""The settings of a run, as frozen plain data; secrets are masked in every repr."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal

from swarm.config.cluster import ClusterSettings
from swarm.config.notify import Notify
from swarm.config.options import Upload
from swarm.packet import REGISTERS, VALUE
from swarm.timestamp_format import UNIX

DEFAULT_TIMESTAMP: Final = "%Y-%m-%d %H:%M:%S"


def is_chosen(name: str, chosen: Collection[str]) -> bool:
    """Return True if ``--meter`` chooses a stream by ID or pattern (``QG*``), or is not given."""
    return not chosen or name in chosen or any(fnmatchcase(name, each) for each in chosen)


@dataclass(frozen=True)
class Credentials:
    """A user of the collector; ``name`` is the set's name in the INI, empty for the default."""

    name: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class CsvRules:
    """The rules for reading a meter's CSV: "[meter:ID]" and "The CSV" in docs/reference.md.

    ``interval`` and ``shift`` are in seconds, ``power_from_energy`` in minutes; ``scale`` maps a
    register to the power of ten that converts its column to the collector's unit. ``missing`` are
    words for an empty cell, in lower case. ``timestamp_columns`` count all columns from 1.
    ``thousands`` are the characters that may stand between groups of three digits.
    ``skip_prefixes`` are the beginnings of lines that are left out.
    ``minimum`` and ``maximum`` have one number for all columns, or one for each.
    """

    timezone: str | None
    utc: bool = False
    columns: tuple[str, ...] | None = None
    scale: tuple[tuple[str, int], ...] = ()
    timestamp_format: str = DEFAULT_TIMESTAMP
    hour_24: Literal["error", "next_day"] = "error"
    delimiter: str = ","
    decimal: str = "."
    thousands: str | None = None
    skip_rows: int = 0
    skip_prefixes: tuple[str, ...] | None = None
    encoding: str = "utf-8"
    missing: frozenset[str] | None = None
    timestamp_columns: tuple[int, ...] = (1,)
    interval: float | None = None
    duplicates: Literal["error", "first", "last"] = "error"
    empty_rows: Literal["error", "skip"] = "error"
    ambiguous_time: Literal["infer", "first", "second", "error"] = "infer"
    minimum: tuple[str, ...] | None = None
    maximum: tuple[str, ...] | None = None
    falling: Literal["notice", "error"] | None = None
    shift: float = 0.0
    pad_first: bool = False
    power_from_energy: float | None = None

    @property
    def has_offsets(self) -> bool:
        """True if the timestamps carry their own offsets."""
        return "%z" in self.timestamp_format

    @property
    def has_local_times(self) -> bool:
        """True if the timestamps are times of a zone, of which clock changes repeat some."""
        return not self.has_offsets and self.timestamp_format not in UNIX

    def registers(self, columns: int) -> tuple[str, ...] | None:
        """Return the registers of a CSV with this number of columns, None if not known."""
        named = self.columns or {1: (VALUE,), 21: REGISTERS}.get(columns)
        return named if named and len(named) == columns else None


@dataclass(frozen=True)
class Meter:
    """One data stream: its ID, its files and their rules, the user, and the route of its packets.

    Without ``credentials``, any user will do. The password is empty if it was not needed.
    """

    id: str
    files: tuple[Path, ...]
    rules: CsvRules
    credentials: Credentials | None = None
    route: str | None = None

    @property
    def unpadded(self) -> "Meter":
        """The meter without a padding packet."""
        return replace(self, rules=replace(self.rules, pad_first=False))


@dataclass(frozen=True)
class Settings:
    """The settings of one run; ``warnings`` are for the user, one line each.

    ``collector`` names the folder of the checkpoints. ``every_id`` are the IDs of all meters of the
    INI, also of those that are not chosen. ``url`` is None for a run with its own
    sandbox, whose URL is known only after its start.
    """

    config: Path
    collector: str
    url: str | None
    meters: tuple[Meter, ...]
    upload: Upload
    state: Path
    log_file: Path | None = None
    ca_bundle: str | None = None
    proxy: str | None = None
    log_format: Literal["text", "json"] = "text"
    cluster: ClusterSettings | None = None
    notify: Notify | None = None
    every_id: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def sandbox(self) -> bool:
        """True if the run starts a sandbox of its own."""
        return self.url is None
