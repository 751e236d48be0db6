"""CSVs that an INI does not name yet -> the same INI with a meter for each of them."""

import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from swarm.config import ini, legacy
from swarm.config.csv_rules import PARSERS
from swarm.config.document import METERS, Document
from swarm.config.load import load
from swarm.config.settings import DEFAULT_TIMESTAMP, Settings
from swarm.errors import SettingsError
from swarm.init.generate import given_zone, guessed, ids, told_of, with_zone
from swarm.init.guess import Guess
from swarm.init.host_zone import host_zone
from swarm.init.timezone import differing, zones
from swarm.init.writer import GeneratedIni, Setting, comment, options, path_text
from swarm.text import printable

_SWARM, _ZONE = "swarm", "timezone"
#: The text of each option that a guess leaves out where it is the default.
_DEFAULTS = {
    "timestamp_format": DEFAULT_TIMESTAMP,
    "delimiter": ",",
    "decimal": ".",
    "skip_rows": "0",
}
#: Options without such a text: nothing takes them back from [swarm].
_LASTING = ("columns", "unit", "interval")
_BOM = "\ufeff"


@dataclass(frozen=True)
class _Ini:
    """An INI as it stands: its text with its line ends, what it says, and its settings."""

    path: Path
    text: str
    document: Document
    settings: Settings

    def common(self, option: str) -> str | None:
        """Return what [swarm] says of an option."""
        entry = self.document.entry(_SWARM, option)
        return entry.value if entry else None


def add(path: Path, csvs: Sequence[Path], timezone: str | None = None) -> GeneratedIni:
    """Add a meter to an INI for each CSV that none of its meters has, in place.

    Nothing else in it is touched, and it is replaced as a whole or not at all. The text of the
    result is empty; its notes say what was added, and what is doubtful of it. Raises
    `SettingsError` if the INI has problems, is one of the original app, or can't be written.
    """
    given = None if timezone is None else given_zone(timezone)
    target = path.resolve()
    known = _read(path, target)
    fresh, notes = _unnamed(known, csvs)
    zone = given.text if given else known.common(_ZONE)
    host = host_zone()
    guesses, problems = guessed(fresh, [each for each in (host, zone) if each])
    names = ids([found.path for found in guesses], [meter.id for meter in known.settings.meters])
    named = dict(zip(names, guesses, strict=True))
    named = _all_in(named, given, host) if given else _with_zones(named, zone, host)
    if named:
        _write(known, target, _extended(known, named))
    for name, found in named.items():
        notes += [f"{path}: added {name} = {_path(known, found)}", *told_of(found)]
        if doubt := _lasting(known, found):
            notes.append(f"{found.path}: {doubt}")
    if not named:
        notes.append(f"{path}: nothing was added")
    return GeneratedIni("", tuple(notes), tuple(problems))


def _read(path: Path, target: Path) -> _Ini:
    text = ini.read_text(path)
    if legacy.recognises(text):
        raise SettingsError(
            f"{path}: an INI of the original app, which has one meter: 'swarm init --from {path} > "
            "meters.ini' writes its settings in the new form; add to that"
        )
    settings = load(path, {}, secrets=False)
    # As it stands: what was read above has its line ends changed.
    return _Ini(path, target.read_bytes().decode(), ini.parse(path, text), settings)


def _unnamed(known: _Ini, csvs: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the files that no meter has, and what is to be said of the others."""
    owners = {_real(file): meter.id for meter in known.settings.meters for file in meter.files}
    fresh, notes = [], []
    for csv in csvs:
        if owner := owners.get(_real(csv)):
            notes.append(f"{printable(str(csv))}: {owner} has it already")
        else:
            fresh.append(csv)
    return fresh, notes


def _real(path: Path) -> str:
    return os.path.realpath(path)


def _all_in(named: Mapping[str, Guess], given: Setting, host: str | None) -> dict[str, Guess]:
    """Return the guesses with the zone that the user has named, and what speaks against it."""
    traces = {name: found.trace for name, found in named.items() if found.trace}
    against = differing(traces, given.text, host)
    zoned = {name: replace(given, doubt=against[name].doubt) for name in against}
    own = {**dict.fromkeys(traces, given), **zoned}
    return {name: with_zone(found, own.get(name)) for name, found in named.items()}


def _with_zones(named: Mapping[str, Guess], zone: str | None, host: str | None) -> dict[str, Guess]:
    """Return the guesses with the zones that are not that of the INI."""
    traces = {name: found.trace for name, found in named.items() if found.trace}
    if zone is None:
        found = zones(traces, host)
        each: Mapping[str, Setting] = {**dict.fromkeys(traces, found.common), **found.own}
    else:
        each = {**dict.fromkeys(traces, Setting(_ZONE, zone)), **differing(traces, zone, host)}
    return {name: with_zone(found, each.get(name)) for name, found in named.items()}


def _extended(known: _Ini, named: Mapping[str, Guess]) -> str:
    """Return the INI's text with the meters: under [meters], and their sections at the end."""
    lines = list(io.StringIO(known.text, newline=""))
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += end
    place = _last_of_meters(known.document, lines)
    added = [f"{name} = {_path(known, found)}" for name, found in named.items()]
    sections = [line for name, found in named.items() for line in _section(known, name, found)]
    lines[place:place] = [f"{line}{end}" for line in added]
    return "".join([*lines, *(f"{line}{end}" for line in sections)])


def _last_of_meters(document: Document, lines: Sequence[str]) -> int:
    """Return the number of the line after the last meter's files."""
    last = max(entry.line for entry in document.sections[METERS].values())
    depth = _depth(lines[last - 1])
    for number, line in enumerate(lines[last:], last + 1):
        is_comment = line.strip().startswith(("#", ";"))
        if not is_comment and (not line.strip() or _depth(line) <= depth):
            break
        if not is_comment:
            last = number
    return last


def _depth(line: str) -> int:
    return len(line) - len(line.removeprefix(_BOM).lstrip())


def _section(known: _Ini, name: str, found: Guess) -> Iterator[str]:
    settings, doubt = list(_own(known, found)), _lasting(known, found)
    if settings or doubt:
        checks = comment(f"CHECK: {doubt}") if doubt else []
        yield from ("", f"[meter:{name}]", *checks, *options(settings))


def _own(known: _Ini, found: Guess) -> Iterator[Setting]:
    """Yield the settings that a meter needs beside what [swarm] says."""
    guesses = {setting.option: setting for setting in found.settings}
    for option, text in _DEFAULTS.items():
        guesses.setdefault(option, Setting(option, text))
    for option, setting in guesses.items():
        common = known.common(option) or _DEFAULTS.get(option)
        if setting.doubt or not _is_same(option, setting.text, common):
            yield setting


def _lasting(known: _Ini, found: Guess) -> str:
    """Return what is doubtful where [swarm] says more than the file seems to need."""
    needed = {setting.option for setting in found.settings}
    lasting = [each for each in _LASTING if known.common(each) and each not in needed]
    said = ", ".join(f"{option} = {known.common(option)}" for option in lasting)
    return f"{said}, as [{_SWARM}] has it, holds for this file too: is that right?" if said else ""


def _is_same(option: str, text: str, common: str | None) -> bool:
    if common is None:
        return False
    parse = PARSERS[option]
    return bool(parse(text) == parse(common))


def _path(known: _Ini, found: Guess) -> str:
    """Return a file's path as it stands in the INI: relative to its folder, if it was relative."""
    folder = known.document.folder
    if found.path.is_absolute():
        return path_text(found.path)
    relative = os.path.relpath(found.path.absolute(), folder)
    # Where a link to a folder is on the way, '..' may lead elsewhere.
    is_there = _real(folder / relative) == _real(found.path)
    return path_text(Path(relative) if is_there else found.path.absolute())


def _write(known: _Ini, target: Path, text: str) -> None:
    """Put a new text in the place of an INI, at once, once it has proved to be sound."""
    try:
        fd, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        fresh = Path(name)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(fd)
            _keep_rights(target, fresh)
            _check(known.path, fresh)
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{known.path}: can't be written: {error.strerror}; nothing was added"
        ) from None


def _keep_rights(target: Path, fresh: Path) -> None:
    status = target.stat()
    with suppress(PermissionError):
        os.chown(fresh, status.st_uid, status.st_gid)
    shutil.copymode(target, fresh)


def _check(path: Path, fresh: Path) -> None:
    """Raise `SettingsError` if a new INI has problems, which an INI of another folder may have."""
    if path.absolute().parent.resolve() != fresh.parent:
        return
    try:
        load(fresh, {}, secrets=False)
    except SettingsError as error:
        told = [
            f"{problem.replace(str(fresh), str(path))} (with the new meters; nothing was added)"
            for problem in error.problems
        ]
        raise SettingsError(*told) from None
