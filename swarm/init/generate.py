"""Guesses -> a commented INI to begin with, which ``swarm check`` accepts as it stands."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from swarm.config.csv_rules import zone
from swarm.csv.zones.fit import Trace
from swarm.errors import GuessError, SettingsError
from swarm.init.guess import Guess, guess
from swarm.init.host_zone import host_zone
from swarm.init.timezone import differing, zones
from swarm.init.writer import (
    GeneratedIni,
    Setting,
    comment,
    is_writable,
    name_of,
    options,
    path_text,
)
from swarm.text import printable, quoted

_HEAD = comment(
    "Written by 'swarm init'. Look it over, above all where it says CHECK; then, with the name "
    "that you gave this file in place of meters.ini:",
    "",
    "    swarm check meters.ini                          checks every row, sends nothing",
    "    WATTICS_PASSWORD=any swarm meters.ini           rehearses on this computer alone",
    "    WATTICS_PASSWORD='...' swarm meters.ini         sends, once environment is production",
    "",
    "Paths are relative to this file's folder. All options: docs/reference.md.",
)
_PLACE = [
    "[swarm]",
    *comment(
        "Where packets go. sandbox: a collector on this computer, started for the run. When the "
        "rehearsal has gone well: production (or development, demo, local; or url = https://...)"
    ),
    "environment = sandbox",
]
_CREDENTIALS = [
    "[credentials]",
    *comment(
        "Your user of the platform; the sandbox takes any. The password is in this environment "
        "variable; or give password_file, password_command or password in its place."
    ),
    "username = your-user",
    "password_env = WATTICS_PASSWORD",
]
_METERS = [
    "[meters]",
    *comment(
        "data stream ID = CSV file, or a glob such as data/gas-*.csv. CHECK: the IDs here are the "
        "files' names; put in the IDs that the streams have in the platform."
    ),
]
_NO_ZONE = "No timezone: the timestamps carry their offsets."


def generate(paths: Sequence[Path], timezone: str | None = None) -> GeneratedIni:
    """Return an INI with a meter for each CSV, or with a placeholder if there is none.

    ``timezone`` is that of the files' timestamps, where the user says it. A file that nothing can
    be guessed for is left out, and named among the problems. Raises `SettingsError` if there is no
    such zone.
    """
    given = None if timezone is None else given_zone(timezone)
    host = host_zone()
    known = [zone for zone in (host, given.text if given else None) if zone]
    guesses, problems = guessed(paths, known)
    if paths and not guesses:
        return GeneratedIni("", (), tuple(problems))
    named = dict(zip(ids([found.path for found in guesses]), guesses, strict=True))
    traces = {name: found.trace for name, found in named.items() if found.trace}
    setting = given
    if given:
        setting = replace(given, doubt=_against(traces, given.text, host))
    elif traces or not guesses:
        found = zones(traces, host)
        setting = found.common
        named = {name: with_zone(each, found.own.get(name)) for name, each in named.items()}
    notes = [note for each in named.values() for note in told_of(each)]
    if setting and setting.doubt:
        notes.insert(0, f"timezone = {setting.text}: {setting.doubt}")
    return GeneratedIni(_text(named, setting, problems), tuple(notes), tuple(problems))


def with_zone(found: Guess, zone: Setting | None) -> Guess:
    """Return a guess with a zone of its own, if it has one."""
    return replace(found, settings=(zone, *found.settings)) if zone else found


def told_of(found: Guess) -> Iterator[str]:
    """Yield what the user should know of a guess, one line each."""
    for setting in found.settings:
        if setting.doubt:
            yield f"{found.path}: {setting.option} = {setting.text}: {setting.doubt}"
    for note in found.notes:
        yield f"{found.path}: {note}"


def _against(traces: Mapping[str, Trace], given: str, host: str | None) -> str:
    """Return what the files tell against the zone that the user has named."""
    told = [f"{name}: {each.doubt}" for name, each in differing(traces, given, host).items()]
    return " ".join(told)


def given_zone(text: str) -> Setting:
    """Return the zone that the user has named; raises `SettingsError`."""
    try:
        return Setting("timezone", zone(text))
    except ValueError as error:
        raise SettingsError(f"--timezone: found {quoted(text)}, expected {error}") from None


def guessed(paths: Sequence[Path], known: Sequence[str]) -> tuple[list[Guess], list[str]]:
    """Return what can be guessed of files, and the problems of the others."""
    guesses, problems = [], []
    for path in dict.fromkeys(paths):
        try:
            if not is_writable(str(path)):
                raise GuessError("a name that no INI can hold; give the file another")
            if path.suffix.lower() == ".ini":
                raise GuessError("an INI, not a CSV; --from takes one of the original app")
            guesses.append(guess(path, known))
        except GuessError as error:
            problems.append(f"{printable(str(path))}: {error}")
    return guesses, problems


def ids(paths: Sequence[Path], used: Collection[str] = ()) -> Iterator[str]:
    """Yield an ID for each file: its name, with the folder's ahead where several have the same.

    None of them is ``used`` already.
    """
    stems = [_stem(path) for path in paths]
    count = Counter([*stems, *used])
    taken = set(used)
    for path, stem in zip(paths, stems, strict=True):
        folder = path.absolute().parent.name
        wanted = name_of(stem if count[stem] == 1 else f"{folder}-{stem}")
        names = (
            wanted if number == 1 else f"{wanted}-{number}"
            for number in range(1, len(paths) + len(taken) + 2)
        )
        name = next(name for name in names if name not in taken)
        taken.add(name)
        yield name


def _stem(path: Path) -> str:
    return path.with_suffix("").stem if path.suffix.lower() == ".gz" else path.stem


def _text(named: Mapping[str, Guess], timezone: Setting | None, problems: Sequence[str]) -> str:
    zone_lines = options([timezone]) if timezone else comment(_NO_ZONE)
    common = _common(list(named.values()))
    left_out = [f"Left out: {problem}" for problem in problems]
    parts = [
        _HEAD,
        [*_PLACE, *zone_lines, *_shared(common)],
        _CREDENTIALS,
        [
            *_METERS,
            *comment(*left_out),
            *(f"{name} = {path_text(found.path)}" for name, found in named.items()),
        ],
        *_own(named, common),
    ]
    if not named:
        parts[-1:] = [[*_METERS, "your-stream-id = your-file.csv"], _EXAMPLE]
    return "\n\n".join("\n".join(part) for part in parts)


def _common(guesses: Sequence[Guess]) -> tuple[Setting, ...]:
    """Return the options that all files share; those of a single file are its own."""
    if len(guesses) < 2:
        return ()
    first, *others = guesses
    return tuple(s for s in first.settings if all(s in other.settings for other in others))


def _shared(common: Sequence[Setting]) -> list[str]:
    return [*comment("What all files have in common:"), *options(common)] if common else []


def _own(named: Mapping[str, Guess], common: Sequence[Setting]) -> Iterator[list[str]]:
    for name, found in named.items():
        own = [setting for setting in found.settings if setting not in common]
        if own:
            yield [f"[meter:{name}]", *options(own)]


_EXAMPLE = [
    *comment(
        "Optional settings of one meter; without [meter:...] ahead, under [swarm], of all. "
        "'swarm init FILE.csv' guesses them from a file."
    ),
    "[meter:your-stream-id]",
    "#columns = aP_1, aP_2, pC_1",
    "#unit = kW, kWh",
    "#timestamp_format = %d/%m/%Y %H:%M",
    "#delimiter = ;",
    "#decimal = ,",
    "#skip_rows = 1",
    "#interval = 15m",
    "#duplicates = error",
    "#empty_rows = error",
    "#ambiguous_time = infer",
    "#shift = 15m",
    "#pad_first = yes",
    "#power_from_energy = 15m",
]
