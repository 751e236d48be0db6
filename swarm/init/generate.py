"""Write a commented starter INI from guesses; ``swarm check`` accepts it unchanged."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from swarm.config.csv_parsers import zone as iana_zone
from swarm.csv.zones.fit import Trace
from swarm.errors import GuessError, SettingsError
from swarm.init.groups import merged
from swarm.init.guess import TRACE_ZONE, Guess, guess
from swarm.init.periods import by_period, without_period
from swarm.init.timezone import differing, host_zone, zones
from swarm.init.writer import (
    GeneratedIni,
    Setting,
    comment,
    files_text,
    is_writable,
    name_of,
    options,
)
from swarm.text import printable, quoted

_HEAD = comment(
    "Written by 'swarm init'. Edit it, above all the lines marked CHECK. Then run (with the name "
    "of this file instead of meters.ini):",
    "",
    "    swarm check meters.ini                          checks every row, sends nothing",
    "    WATTICS_PASSWORD=any swarm meters.ini           rehearses on this computer only",
    "    WATTICS_PASSWORD='...' swarm meters.ini         sends, if environment = production",
    "",
    "Paths are relative to this file's folder. All options: docs/reference.md.",
)
_SWARM = [
    "[swarm]",
    *comment(
        "Where packets go. sandbox: a collector on this computer, started for the run. After a "
        "successful rehearsal: production (or development, demo, local; or url = https://...)"
    ),
    "environment = sandbox",
]
_CREDENTIALS = [
    "[credentials]",
    *comment(
        "Your user name on the platform; the sandbox accepts any. The password is read from this "
        "environment variable; or use password_file, password_command or password instead."
    ),
    "username = your-user",
    "password_env = WATTICS_PASSWORD",
]
_METERS = (
    "data stream ID = CSV file, or a glob such as data/gas-*.csv. CHECK: the IDs here are the {}; "
    "replace them by the IDs that the streams have in the platform."
)
_EXAMPLE = [
    *comment(
        "Optional settings of one meter; under [swarm] they apply to all meters. "
        "'swarm init FILE.csv' guesses them from a file."
    ),
    "[meter:your-stream-id]",
    "#columns = aP_1, aP_2, pC_1",
    "#unit = kW, kWh",
    "#timestamp_format = %d/%m/%Y %H:%M",
    "#hour_24 = next_day",
    "#delimiter = ;",
    "#decimal = ,",
    "#thousands = .",
    "#skip_rows = 1",
    "#skip_prefixes = Total, Sum",
    "#encoding = utf-8",
    "#missing = null, n/a, ---",
    "#timestamp_columns = 1",
    "#interval = 15m",
    "#duplicates = error",
    "#empty_rows = error",
    "#ambiguous_time = infer",
    "#shift = 15m",
    "#pad_first = yes",
    "#power_from_energy = 15m",
]
_NO_ZONE = "No timezone: the timestamps carry their offsets."


@dataclass(frozen=True)
class Author:
    """The command that writes an INI, and the origin of its IDs.

    The notes are about the settings of the meters ``told``, or of all if there are none.
    """

    command: str
    origin: str
    told: tuple[str, ...] = ()


_INIT = Author("swarm init", "files' names")


def generate(paths: Sequence[Path], timezone: str | None = None) -> GeneratedIni:
    """Return an INI with a meter for each CSV, or with a placeholder if there is none.

    ``timezone`` is the zone of the files' timestamps, if the user gave it. A file that can't be
    guessed is left out and named among the problems. Raises `SettingsError` if ``timezone`` is not
    a zone.
    """
    guesses, problems, told = guess_all(paths, zones_to_trace(timezone))
    if paths and not guesses:
        return GeneratedIni("", (), tuple(problems))
    meters = dict(zip(meter_ids(guesses), guesses, strict=True))
    made = ini_of(meters, timezone, problems)
    return replace(made, notes=(*told, *made.notes))


def zones_to_trace(timezone: str | None) -> list[str]:
    """Return the zones that the traces of files will be asked about, as `guess` takes them.

    Raises `SettingsError` if ``timezone``, which the user gave, is not a zone.
    """
    given = None if timezone is None else given_zone(timezone).text
    return [name for name in (host_zone(), given) if name]


def ini_of(
    meters: Mapping[str, Guess],
    timezone: str | None,
    problems: Sequence[str] = (),
    author: Author = _INIT,
) -> GeneratedIni:
    """Return an INI with meters by their IDs; ``problems`` are those of files left out.

    ``timezone`` is as in `generate`.
    """
    zone = None if timezone is None else given_zone(timezone)
    host = host_zone()
    traces = {meter: found.trace for meter, found in meters.items() if found.trace}
    if zone:
        against = differing(traces, zone.text, host).items()
        zone = replace(zone, doubt=" ".join(f"{meter}: {other.doubt}" for meter, other in against))
    elif traces or not meters:
        found_zones = zones(traces, host)
        zone = found_zones.common
        meters = {
            meter: with_zone(found, found_zones.own.get(meter)) for meter, found in meters.items()
        }
    notes = [note for meter in author.told or meters for note in notes_of(meters[meter])]
    if zone and zone.doubt:
        notes.insert(0, f"timezone = {zone.text}: {zone.doubt}")
    text = _text(meters, zone, problems, author)
    return GeneratedIni(text, tuple(notes), tuple(problems))


def with_zone(found: Guess, zone: Setting | None) -> Guess:
    """Return a guess with a zone of its own, or unchanged if ``zone`` is None."""
    return replace(found, settings=(zone, *found.settings)) if zone else found


def notes_of(found: Guess) -> Iterator[str]:
    """Yield what the user should know of a guess, one line each.

    They go to stderr; in the INI, the same settings are marked ``CHECK``.
    """
    for setting in found.settings:
        if setting.doubt:
            yield f"{found.path}: {setting.option} = {setting.text}: {setting.doubt}"
    for member in found.members or (found,):
        for note in member.notes:
            yield f"{member.path}: {note}"


def files_of(found: Guess) -> list[Path]:
    """Return the files of a meter."""
    return [member.path for member in found.members] or [found.path]


def given_zone(text: str) -> Setting:
    """Return the zone that the user gave; raises `SettingsError` if it is not one."""
    try:
        return Setting("timezone", iana_zone(text))
    except ValueError as error:
        raise SettingsError(f"--timezone: found {quoted(text)}, expected {error}") from None


def guess_all(
    paths: Sequence[Path], zones: Sequence[str]
) -> tuple[list[Guess], list[str], list[str]]:
    """Return the guesses of meters, the problems of files that can't be guessed, and notes.

    ``zones`` are as in `guess`. A path that occurs twice is guessed once. Files whose names differ
    only by a period are one meter if their settings agree.
    """
    guesses: list[Guess] = []
    problems: list[str] = []
    notes: list[str] = []
    for group in by_period(dict.fromkeys(paths)):
        trace = Trace(TRACE_ZONE, zones) if len(group) > 1 else None
        members, wrong = _guess_each(group, zones, trace)
        problems += wrong
        if len(members) > 1:
            found = merged(members)
            if isinstance(found, Guess):
                members = [found]
            else:
                names = ", ".join(printable(member.path.name) for member in members)
                notes.append(f"{names}: a meter for each file, because {found}")
                members, _ = _guess_each([member.path for member in members], zones)
        guesses += members
    order = {path: index for index, path in enumerate(dict.fromkeys(paths))}
    return sorted(guesses, key=lambda found: order[found.path]), problems, notes


def _guess_each(
    paths: Sequence[Path], zones: Sequence[str], trace: Trace | None = None
) -> tuple[list[Guess], list[str]]:
    """Return the guesses of files, and the problems of those that can't be guessed."""
    guesses, problems = [], []
    for path in paths:
        try:
            if not is_writable(str(path)):
                raise GuessError("an INI can't contain this file name; rename the file")
            if path.suffix.lower() == ".ini":
                raise GuessError(
                    "this is an INI, not a CSV; for an INI of the original app, use --from"
                )
            guesses.append(guess(path, zones, trace))
        except GuessError as error:
            problems.append(f"{printable(str(path))}: {error}")
    return guesses, problems


def meter_ids(guesses: Sequence[Guess], used: Collection[str] = ()) -> Iterator[str]:
    """Yield a new ID for each meter: the name of its file, without its extension.

    The name of several files is that without the period. If several meters have the same name, or
    it is in ``used``, the name of the folder comes first; if that does not help, a number is added.
    """
    stems = list(map(_stem, guesses))
    count = Counter([*stems, *used])
    taken = set(used)
    for found, stem in zip(guesses, stems, strict=True):
        folder = found.path.absolute().parent.name
        wanted = name = name_of(stem if count[stem] == 1 else f"{folder}-{stem}")
        number = 1
        while name in taken:
            number += 1
            name = f"{wanted}-{number}"
        taken.add(name)
        yield name


def _stem(found: Guess) -> str:
    """Return the name of a meter's file or files, without extension and period."""
    path = found.path
    is_packed = path.suffix.lower() in {".gz", ".zip"} and path.with_suffix("").suffix
    stem = path.with_suffix("").stem if is_packed else path.stem
    if not found.members:
        return stem
    return without_period(stem) or path.absolute().parent.name or stem


def _text(
    meters: Mapping[str, Guess],
    timezone: Setting | None,
    problems: Sequence[str],
    author: Author,
) -> str:
    """Return the text of the INI; options that all files share are written under [swarm]."""
    shared: list[Setting] = []
    if len(meters) > 1:
        first, *others = meters.values()
        shared = [
            setting
            for setting in first.settings
            if setting.option != "timezone" and all(setting in other.settings for other in others)
        ]
    zone_lines = options([timezone]) if timezone else comment(_NO_ZONE)
    shared_lines = comment("What all files have in common:") if shared else []
    left_out = comment(*(f"Left out: {problem}" for problem in problems))
    names = [
        f"{meter} = {files_text(found.path.parent, found.pattern, files_of(found))}"
        for meter, found in meters.items()
    ]
    parts = [
        [line.replace(_INIT.command, author.command) for line in _HEAD],
        [*_SWARM, *zone_lines, *shared_lines, *options(shared)],
        _CREDENTIALS,
        [
            "[meters]",
            *comment(_METERS.format(author.origin)),
            *left_out,
            *(names or ["your-stream-id = your-file.csv"]),
        ],
    ]
    for meter, found in meters.items():
        if own := [setting for setting in found.settings if setting not in shared]:
            parts.append([f"[meter:{meter}]", *options(own)])
    if not meters:
        parts.append(_EXAMPLE)
    return "\n\n".join("\n".join(part) for part in parts)
