"""The INI for the CSVs of a split: settings that are guessed from one of them hold for all."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from swarm.errors import GuessError
from swarm.init.generate import Author, ini_of, zones_to_trace
from swarm.init.guess import Guess, guess
from swarm.init.writer import GeneratedIni, Setting
from swarm.split.layout import Layout

#: Options of one file: the CSVs have no header, and meters may have different intervals.
_OF_A_HEADER = frozenset({"skip_rows"})
_OWN = _OF_A_HEADER | {"interval"}
#: The part of a CSV that is searched for a number with decimals, in bytes.
_SAMPLE = 4096
_SPELLED = {"\t": "tab", " ": "space"}


def ini_for(
    layout: Layout,
    written: Mapping[str, Path],
    targets: Mapping[str, Path],
    timezone: str | None,
) -> GeneratedIni:
    """Return an INI for CSVs that are ``written`` and will be at ``targets``, both by meter.

    Raises `SettingsError` if ``timezone``, which the user gave, is not a zone.
    """
    zones = zones_to_trace(timezone)
    meter = _with_decimals(layout.delimiter, written)
    path = targets[meter]
    try:
        found = _guess(layout, written[meter], zones)
    except GuessError as error:
        known = () if layout.delimiter == "," else (_delimiter(layout.delimiter),)
        found = Guess(path, known, None, (f"its settings can't be guessed: {error}",))
    own = _OF_A_HEADER if len(targets) == 1 else _OWN
    settings = tuple(setting for setting in found.settings if setting.option not in own)
    others = {name: Guess(target, settings, None) for name, target in targets.items()}
    meters = {**others, meter: replace(found, path=path, settings=settings)}
    return ini_of(
        meters, timezone, author=Author("swarm split", "names in the files", told=(meter,))
    )


def _delimiter(character: str) -> Setting:
    return Setting("delimiter", _SPELLED.get(character, character))


def _guess(layout: Layout, path: Path, zones: Sequence[str]) -> Guess:
    """Guess the settings of a CSV, with the header of the export above it if it is long."""
    if len(layout.names) < 2:
        return guess(path, zones)
    sample = path.with_suffix(".sample")
    with sample.open("wb") as file, path.open("rb") as rows:
        cells = (name.replace('"', '""') for name in ("time", *layout.names))
        header = layout.delimiter.join(f'"{cell}"' for cell in cells)
        file.write(f"{header}\n".encode())
        shutil.copyfileobj(rows, file)
    return guess(sample, zones)


def _with_decimals(delimiter: str, written: Mapping[str, Path]) -> str:
    """Return the first meter whose CSV shows the decimal sign, else the first."""
    marks = {".", ","} - {delimiter}
    for meter, path in written.items():
        with path.open("rb") as file:
            text = file.read(_SAMPLE).decode("utf-8", "replace")
        cells = (line.partition(delimiter)[2] for line in text.split("\n"))
        if any(mark in cell for cell in cells for mark in marks):
            return meter
    return next(iter(written))
