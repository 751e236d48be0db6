"""Add a meter to an INI for each CSV that it does not name yet."""

import io
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from swarm.config import ini, legacy
from swarm.config.csv_parsers import PARSERS
from swarm.config.document import METERS, Document
from swarm.config.load import load
from swarm.config.settings import DEFAULT_TIMESTAMP
from swarm.errors import SettingsError
from swarm.init.generate import files_of, given_zone, guess_all, meter_ids, notes_of, with_zone
from swarm.init.guess import Guess
from swarm.init.periods import key_of
from swarm.init.timezone import differing, host_zone, zones
from swarm.init.writer import GeneratedIni, Setting, comment, files_text, options
from swarm.text import printable

_SWARM, _ZONE = "swarm", "timezone"
#: The defaults of options, as text: they override what [swarm] says.
_DEFAULTS = {
    "timestamp_format": DEFAULT_TIMESTAMP,
    "delimiter": ",",
    "decimal": ".",
    "skip_rows": "0",
    "encoding": "utf-8",
    "timestamp_columns": "1",
    "empty_rows": "error",
    "hour_24": "error",
}
#: Options whose default can't be written: a meter can't override [swarm] with it.
_INHERITED = ("columns", "unit", "interval", "missing", "skip_prefixes", "thousands")
_BOM = "\ufeff"


@dataclass(frozen=True)
class _Ini:
    """An INI on disk: its path as given, its text with the original line ends, its options."""

    path: Path
    text: str
    document: Document

    def common(self, option: str) -> str | None:
        """Return the value of an option under [swarm], if it has one."""
        entry = self.document.entry(_SWARM, option)
        return entry.value if entry else None

    def path_of(self, csv: Path) -> Path:
        """Return the path of a CSV for the INI: relative to its folder, or absolute."""
        if csv.is_absolute():
            return csv
        folder = self.document.folder
        relative = os.path.relpath(csv.absolute(), folder)
        # A '..' after a symbolic link to a folder may lead to another place.
        is_same = os.path.realpath(folder / relative) == os.path.realpath(csv)
        return Path(relative) if is_same else csv.absolute()

    def files_of(self, found: Guess) -> str:
        """Return the files of a meter as text for the INI."""
        paths = [self.path_of(path) for path in files_of(found)]
        return files_text(paths[0].parent, found.pattern, paths)

    def inherited_doubt(self, found: Guess) -> str:
        """Return a doubt if options under [swarm] apply to a CSV that may not need them."""
        needed = {setting.option for setting in found.settings}
        applied = ", ".join(
            f"{option} = {value}"
            for option in _INHERITED
            if option not in needed and (value := self.common(option))
        )
        if not applied:
            return ""
        return f"{applied}, set in [{_SWARM}], applies to this file too: is that right?"

    def section(self, meter: str, found: Guess) -> list[str]:
        """Return the section of a new meter, empty if it needs no settings besides [swarm]."""
        guessed = {setting.option: setting for setting in found.settings}
        for option, text in _DEFAULTS.items():
            guessed.setdefault(option, Setting(option, text))
        own = []
        for option, setting in guessed.items():
            common = self.common(option) or _DEFAULTS.get(option)
            is_same = common and PARSERS[option](setting.text) == PARSERS[option](common)
            if setting.doubt or not is_same:
                own.append(setting)
        doubt = self.inherited_doubt(found)
        checks = comment(f"CHECK: {doubt}") if doubt else []
        return ["", f"[meter:{meter}]", *checks, *options(own)] if own or doubt else []

    def with_meters(self, meters: Mapping[str, Guess]) -> str:
        """Return the text with new meters at the end of [meters], and their sections at its end."""
        lines = list(io.StringIO(self.text, newline=""))
        end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
        if lines and not lines[-1].endswith(("\n", "\r")):
            lines[-1] += end
        # The files of the last meter may go on in lines that are indented further, with comments
        # of any depth among them.
        last = max(entry.line for entry in self.document.sections[METERS].values())
        depths = [len(line) - len(line.removeprefix(_BOM).lstrip()) for line in lines]
        depth = depths[last - 1]
        for number, line in enumerate(lines[last:], last + 1):
            if line.strip().startswith(("#", ";")):
                continue
            if not line.strip() or depths[number - 1] <= depth:
                break
            last = number
        names = [f"{meter} = {self.files_of(found)}" for meter, found in meters.items()]
        lines[last:last] = [f"{line}{end}" for name in names for line in name.split("\n")]
        for meter, found in meters.items():
            lines += [f"{line}{end}" for line in self.section(meter, found)]
        return "".join(lines)


def add(path: Path, csvs: Sequence[Path], timezone: str | None = None) -> GeneratedIni:
    """Add a meter to an INI for each CSV that none of its meters has, in place.

    Nothing else in the INI changes, and the file is replaced as a whole or not at all. The text of
    the result is empty; its notes list what was added and what the user should check. Raises
    `SettingsError` if the INI has problems, is one of the original app, or can't be written.
    """
    zone = None if timezone is None else given_zone(timezone)
    text = ini.read_text(path)
    if legacy.recognises(text):
        raise SettingsError(
            f"{path}: an INI of the original app, which has one meter: 'swarm init --from {path} > "
            "meters.ini' writes its settings in the new form; add to that"
        )
    settings = load(path, {}, secrets=False)
    target = path.resolve()
    # `read_text` converts line ends; the new text must keep them.
    known = _Ini(path, target.read_bytes().decode(), ini.parse(path, text))
    owners = {os.path.realpath(file): meter.id for meter in settings.meters for file in meter.files}
    relatives = {key_of(Path(file)): meter for file, meter in owners.items()}
    fresh, notes = [], []
    for csv in csvs:
        if owner := owners.get(os.path.realpath(csv)):
            notes.append(f"{printable(str(csv))}: {owner} has it already")
        else:
            fresh.append(csv)
    common = zone.text if zone else known.common(_ZONE)
    host = host_zone()
    guesses, problems, told = guess_all(fresh, [name for name in (host, common) if name])
    notes += told
    ids = meter_ids(guesses, [meter.id for meter in settings.meters])
    meters = _with_zones(dict(zip(ids, guesses, strict=True)), zone, common, host)
    if meters:
        _replace(path, target, known.with_meters(meters))
    else:
        notes.append(f"{path}: nothing was added")
    for meter, found in meters.items():
        files = known.files_of(found).replace("\n    ", ", ")
        if other := relatives.get(key_of(found.path.resolve())):
            notes.append(
                f"{found.path}: its name differs only by a period from a file of {other}: if it is "
                f"of that meter, add it to the files of {other} instead of {meter}"
            )
        notes += [f"{path}: added {meter} = {files}", *notes_of(found)]
        if doubt := known.inherited_doubt(found):
            notes.append(f"{found.path}: {doubt}")
    return GeneratedIni("", tuple(notes), tuple(problems))


def _with_zones(
    meters: Mapping[str, Guess], given: Setting | None, common: str | None, host: str | None
) -> dict[str, Guess]:
    """Return guesses with the zones that they need.

    ``given`` is the zone that the user gave, ``common`` that or the zone under [swarm].
    """
    traces = {meter: found.trace for meter, found in meters.items() if found.trace}
    if common is None:
        proposed = zones(traces, host)
        own = {**dict.fromkeys(traces, proposed.common), **proposed.own}
    elif given is None:
        own = {**dict.fromkeys(traces, Setting(_ZONE, common)), **differing(traces, common, host)}
    else:
        against = differing(traces, common, host)
        own = {
            meter: replace(given, doubt=against[meter].doubt) if meter in against else given
            for meter in traces
        }
    return {meter: with_zone(found, own.get(meter)) for meter, found in meters.items()}


def _replace(path: Path, target: Path, text: str) -> None:
    """Replace the text of an INI in one step, if the new text has no problems.

    ``target`` is the file that ``path`` leads to. Raises `SettingsError`.
    """
    try:
        fd, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        fresh = Path(name)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(fd)
            status = target.stat()
            with suppress(PermissionError):
                os.chown(fresh, status.st_uid, status.st_gid)
            shutil.copymode(target, fresh)
            # If the INI is a link to another folder, its paths are not valid from there.
            if path.absolute().parent.resolve() == fresh.parent:
                load(fresh, {}, secrets=False)
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{path}: can't be written: {error.strerror}; nothing was added"
        ) from None
    except SettingsError as error:
        problems = (problem.replace(name, str(path)) for problem in error.problems)
        raise SettingsError(
            *(f"{problem} (with the new meters; nothing was added)" for problem in problems)
        ) from None
