"""Random changes to the files of an input: bytes, words, lines, pieces of other files."""

import random
from collections.abc import Callable, Sequence

#: The files of an input by name; the first is the INI.
Files = dict[str, bytes]

_CSV_WORDS = (
    *("nan", "inf", "-inf", "1_000", "0x1F", "1,5", "1e400", "1e308", "1e-999999999", "-0", ".5"),
    *("5.", "+5", "007", "-", "e", "٣", "\uff11", "9" * 400, "0." + "0" * 300 + "1", "1E5", "--1"),
    *("24:00:00", " - ", "1675152000", "1675152000123", "1,234.5", "1 234", "Total", "#"),
    *("2023-03-26 01:30:00", "2023-10-29 01:30:00", "2024-10-27 01:30:00", "2024-02-30 00:00:00"),
    *("0001-01-01 00:00:00", "9999-12-31 23:59:59", "2024-5-3 1:2:3", "13/05/2024 00:00", "24:00"),
    *(",", ";", "\t", "\n", "\r\n", "\r", "\n\n", '"', '""', "\0", "\ufeff", " ", "\u2028", "\x1b"),
    *("time,value\n", "\ud800", "é", "," * 21, "+0100", "Z", ".5", ".0000001", "\x0c", "\x85"),
)
_INI_WORDS = (
    *("[swarm]", "[credentials]", "[credentials:b]", "[upload]", "[meters]", "[meter:x]", "[a"),
    *("[meter:]", "[Web DC]", "[General]", "[Logs]", "[=]", "[]", "=", ":", "\n", "\r\n", "\n  "),
    *("environment = demo", "url = https://h/", "url = http://h/", "timezone = UTC", "%", "%%"),
    *("timezone = Africa/Monrovia", "timezone = Australia/Lord_Howe", "timezone = Asia/Kathmandu"),
    *("ambiguous_time = error", "ambiguous_time = second", "duplicates = last", "decimal = ,"),
    *("columns = aP_1, -, pC_1", "columns = value", "columns = -", "unit = kWh", "unit = mA"),
    *("timestamp_format = %Y%m%d%H%M%S", "timestamp_format = %d.%m.%y %H:%M:%S.%f%z", "%j"),
    *("delimiter = tab", "delimiter = ;", "delimiter = |", "skip_rows = 1", "skip_rows = 9" * 9),
    *("interval = 15m", "interval = 0.001s", "shift = 36500d", "shift = 0.001s", "pad_first = yes"),
    *("power_from_energy = 7m", "power_from_energy = 0.001s", "route = utc", "route = partial"),
    *("timestamp_format = unix", "timestamp_format = %Y-%m-%d %H:%M - *", "hour_24 = next_day"),
    *("thousands = ,", "thousands = space", "skip_prefixes = t, #", "timestamp_format = unix_ns"),
    *("empty_rows = skip", "since = 2024-05-13T12:00", "until = 2024-05-14", "credentials = b"),
    *("password_env = HOME", "password = ", "username = a:b", "MinutesShift = 15", "#", ";", "*"),
    *("ChannelType: real_electricity", "MinutesInSlot", "@", "~", "../", "\0", "\ufeff", "é", "["),
    *("keep_going = perhaps", "connections = 0", "timeout = 1x", "proxy = http://u:p@h/", "\x1b"),
)
#: The largest number of changes to one file.
_MOST_CHANGES = 5
_LONGEST_PIECE = 40


def mutated(files: Files, others: Sequence[Files], rng: random.Random) -> Files:
    """Return the files with random changes in the INI, in some others, or in all."""
    changed = dict(files)
    ini, *rest = files
    csvs = [name for name in rest if ".csv" in name]
    if rng.random() < 0.5:
        donor = next(iter(rng.choice(others).values()))
        changed[ini] = _changed(files[ini], _INI_WORDS, donor, rng)
    for name in rest:
        if rng.random() < 0.6:
            # Not from an INI: a message may show the content of a cell, even if it is a password.
            donor = files[rng.choice(csvs)]
            changed[name] = _changed(files[name], _CSV_WORDS, donor, rng)
    return changed


def _changed(data: bytes, words: Sequence[str], donor: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, _MOST_CHANGES)):
        word = rng.choice(words).encode("utf-8", "surrogatepass")
        data = rng.choice(_CHANGES)(data, word, donor, rng)
    return data


def _piece(data: bytes, rng: random.Random) -> slice:
    start = rng.randint(0, len(data))
    return slice(start, start + rng.randint(0, _LONGEST_PIECE))


def _replaced(data: bytes, piece: slice, new: bytes) -> bytes:
    return data[: piece.start] + new + data[piece.stop :]


def _flip(data: bytes, _word: bytes, _donor: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(data))
    flipped = bytes(byte ^ (1 << rng.randrange(8)) for byte in data[at : at + 1])
    return _replaced(data, slice(at, at + 1), flipped)


def _cut(data: bytes, _word: bytes, _donor: bytes, rng: random.Random) -> bytes:
    return _replaced(data, _piece(data, rng), b"")


def _double(data: bytes, _word: bytes, _donor: bytes, rng: random.Random) -> bytes:
    piece = _piece(data, rng)
    return _replaced(data, piece, data[piece] * 2)


def _insert(data: bytes, word: bytes, _donor: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(data))
    return _replaced(data, slice(at, at), word)


def _insert_line(data: bytes, word: bytes, _donor: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    lines.insert(rng.randint(0, len(lines)), word)
    return b"\n".join(lines)


def _overwrite_cell(data: bytes, word: bytes, _donor: bytes, rng: random.Random) -> bytes:
    """Replace the text between two delimiters by a word."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    mark = rng.choice([b",", b";", b"="])
    cells = lines[at].split(mark)
    cells[rng.randrange(len(cells))] = word
    lines[at] = mark.join(cells)
    return b"\n".join(lines)


def _swap_lines(data: bytes, _word: bytes, _donor: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _repeat_line(data: bytes, _word: bytes, _donor: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    lines.insert(rng.randint(0, len(lines)), rng.choice(lines))
    return b"\n".join(lines)


def _drop_line(data: bytes, _word: bytes, _donor: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    del lines[rng.randrange(len(lines))]
    return b"\n".join(lines)


def _end_early(data: bytes, _word: bytes, _donor: bytes, rng: random.Random) -> bytes:
    return data[: rng.randint(0, len(data))]


def _splice(data: bytes, _word: bytes, donor: bytes, rng: random.Random) -> bytes:
    lines, given = data.split(b"\n"), donor.split(b"\n")
    start, at = rng.randrange(len(given)), rng.randint(0, len(lines))
    return b"\n".join(lines[:at] + given[start : start + rng.randint(1, 4)] + lines[at:])


_CHANGES: tuple[Callable[[bytes, bytes, bytes, random.Random], bytes], ...] = (
    *(_flip, _cut, _double, _insert, _insert_line, _overwrite_cell, _overwrite_cell),
    *(_swap_lines, _repeat_line, _drop_line, _end_early, _splice),
)
