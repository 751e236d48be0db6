"""Guesses -> a commented INI to begin with, which ``swarm check`` accepts as it stands."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from swarm.errors import GuessError, SettingsError
from swarm.guess import Guess, guess
from swarm.hostzone import host_zone
from swarm.initext import Setting, Written, comment, is_writable, name_of, options, path_text
from swarm.problems import shown
from swarm.rules import zone
from swarm.table import printable
from swarm.zonefit import COMMON, Clock, fitting

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
_ZONE = "is it the zone of the files' timestamps (an IANA name)?"
_WRONG_ZONE = "with a wrong zone, every reading is at a wrong time in the platform, for good"


def starter(paths: Sequence[Path], timezone: str | None = None) -> Written:
    """Return an INI with a meter for each CSV, or with a placeholder if there is none.

    ``timezone`` is that of the files' timestamps, where the user says it. A file that nothing can
    be guessed for is left out, and named among the problems. Raises `SettingsError` if there is no
    such zone.
    """
    given = None if timezone is None else _given(timezone)
    guesses, problems = _guessed(paths)
    if paths and not guesses:
        return Written("", (), tuple(problems))
    clocks = [found.clock for found in guesses if found.clock]
    has_offsets = bool(guesses) and not clocks
    setting = given if given or has_offsets else _zone(clocks)
    named = dict(zip(_ids([found.path for found in guesses]), guesses, strict=True))
    notes = [f"{g.path}: {s.option}: {s.doubt}" for g in guesses for s in g.settings if s.doubt]
    if setting and setting.doubt:
        notes.insert(0, f"timezone = {setting.text}: {setting.doubt}")
    return Written(_text(named, setting, problems), tuple(notes), tuple(problems))


def _given(text: str) -> Setting:
    try:
        return Setting("timezone", zone(text))
    except ValueError as error:
        raise SettingsError(f"--timezone: found {shown(text)}, expected {error}") from None


def _zone(clocks: Sequence[Clock]) -> Setting:
    """Return the zone of this computer, or one that fits the files where that can't be theirs."""
    own = host_zone()
    name = own or "UTC"
    others: list[str] = []
    if not any(fitting([name], clocks)):
        others = list(fitting(COMMON, clocks))
    if others:
        found = f"The files' clock changes are as in {', '.join(others)}, not as in {name}"
        return Setting("timezone", others[0], f"{_ZONE} {found}; {_WRONG_ZONE}.")
    whose = "It is this computer's" if own else "It stands for this computer's, not known"
    return Setting("timezone", name, f"{_ZONE} {whose}; {_WRONG_ZONE}.")


def _guessed(paths: Sequence[Path]) -> tuple[list[Guess], list[str]]:
    guesses, problems = [], []
    for path in dict.fromkeys(paths):
        try:
            if not is_writable(str(path)):
                raise GuessError("a name that no INI can hold; give the file another")
            if path.suffix.lower() == ".ini":
                raise GuessError("an INI, not a CSV; --from takes one of the original app")
            guesses.append(guess(path))
        except GuessError as error:
            problems.append(f"{printable(str(path))}: {error}")
    return guesses, problems


def _ids(paths: Sequence[Path]) -> Iterator[str]:
    """Yield an ID for each file: its name, with the folder's ahead where several have the same."""
    stems = [_stem(path) for path in paths]
    count = Counter(stems)
    taken: set[str] = set()
    for path, stem in zip(paths, stems, strict=True):
        folder = path.absolute().parent.name
        wanted = name_of(stem if count[stem] == 1 else f"{folder}-{stem}")
        names = (
            wanted if number == 1 else f"{wanted}-{number}" for number in range(1, len(paths) + 1)
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
