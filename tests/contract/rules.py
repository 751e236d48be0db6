"""Sections 3 and 4 of the contract, rule by rule: what is accepted and sent, what is refused.

The part of a name before its colon is the rule, the rest is a case of it.
"""

import gzip
import io
import zipfile
from collections.abc import Mapping
from typing import NamedTuple

from swarm.packet import REGISTERS

T0, T1, T2 = (f"2023-01-01 {hour:02}:00:00" for hour in range(3))
AT_0, AT_1, AT_2 = (f"2023-01-01T{hour:02}:00:00.000+00:00" for hour in range(3))
#: Two rows, and the packets made of them.
ROWS = f"{T0},1\n{T1},2\n"
PACKETS = ((AT_0, '"value":1'), (AT_1, '"value":2'))
#: A password with characters that have a meaning in INI files.
PASSWORD = 's3cr%et ; $x # "y'
DUBLIN = "timezone = Europe/Dublin"
_SOME = "," * 19
_HOUR = "2023-10-29T01"

_RANGE = "minimum = 0\nmaximum = 5"

Packets = tuple[tuple[str, str], ...]


class Taken(NamedTuple):
    """A meter that is accepted: files, options, expected packets; ``{file}`` is its CSV.

    ``source`` is its value under ``[meters]``; ``is_fresh`` marks a file that was modified just
    now.
    """

    name: str
    content: str | bytes | Mapping[str, str | bytes]
    packets: Packets = PACKETS
    options: str = ""
    notices: tuple[str, ...] = ()
    source: str = "{file}"
    route: str = "unifiedjson"
    user: str = f"acme:{PASSWORD}"
    is_fresh: bool = False
    #: The text appended after the first run, and the packets that the next run sends for it.
    later: str = ""
    later_packets: Packets = ()


class Refused(NamedTuple):
    """A file that is refused (None: missing) and its problems, as ``LINE:COLUMN: message``."""

    name: str
    content: str | bytes | None
    problems: tuple[str, ...]
    options: str = ""
    is_folder: bool = False


def zipped(**files: str | bytes) -> bytes:
    """Return a zip with some files."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def values(*texts: str) -> Packets:
    """Return packets of single values, one hour apart."""
    times = [f"2023-01-01T{hour:02}:00:00.000+00:00" for hour in range(len(texts))]
    return tuple((time, f'"value":{text}') for time, text in zip(times, texts, strict=True))


def numbered(*times: str) -> Packets:
    """Return packets with the values 1, 2, ... at the given times."""
    return tuple((time, f'"value":{number}') for number, time in enumerate(times, 1))


def cells(*texts: str) -> str:
    """Return a CSV of single values, one hour apart."""
    return "".join(f"2023-01-01 {hour:02}:00:00,{text}\n" for hour, text in enumerate(texts))


def clock(*texts: str) -> str:
    """Return a CSV with the values 1, 2, ... at times of a day on which clocks go back."""
    return "".join(f"2023-10-29 {text}:00,{number}\n" for number, text in enumerate(texts, 1))


# Accepted: the CSV


_ALL = tuple(f"{number}.50" for number in range(1, 22))
_ALL_PACKET = ",".join(f'"{name}":{cell}' for name, cell in zip(REGISTERS, _ALL, strict=True))
_VERBATIM = ("1819.1300048828", "0.10", "-0", "1e3", "1E-7", "12345678901234567890.123456789")

TAKEN_CSVS = (
    Taken("default format", ROWS),
    Taken("line ends: CRLF", ROWS.replace("\n", "\r\n")),
    Taken("byte order mark", "\ufeff" + ROWS),
    Taken("empty lines: skipped", f"\n{T0},1\n\r\n  \n{T1},2\n\n"),
    Taken("blanks: around a cell", f" {T0} ,\t1\t\n{T1}  , 2 \n"),
    Taken("number of cells: 1 column", cells("7"), values("7")),
    Taken("number of cells: 21 columns", f"{T0},{','.join(_ALL)}\n", ((AT_0, _ALL_PACKET),)),
    Taken("numbers: verbatim", cells(*_VERBATIM), values(*_VERBATIM)),
    Taken("numbers: made legal", cells("+5", ".5", "5.", "007"), values("5", "0.5", "5", "7")),
    Taken(
        "empty cells: left out",
        f"{T0},1,,3{_SOME[1:]}\n{T1}{_SOME},,4\n",
        ((AT_0, '"aP_1":1,"aP_3":3'), (AT_1, '"v_23":4')),
    ),
    Taken("quotes: around a cell", f'"{T0}","1"\n{T1},"2"\n'),
    Taken(
        "order: rows out of order",
        f"{T1},2\n{T0},1\n{T2},3\n",
        values("1", "2", "3"),
        notices=("{file}: 1 row out of order: sorted before sending",),
    ),
    Taken(
        "one instant: exact repeats are dropped",
        ROWS + f"{T1},2\n",
        notices=(
            (
                "{id}: 1 row with the same time as another row: one of each is sent; the first "
                "repeat is {file}:3"
            ),
        ),
    ),
    Taken("last line: without newline, settled", ROWS.rstrip()),
    Taken(
        "last line: without newline, fresh",
        ROWS.rstrip(),
        PACKETS[:1],
        notices=(
            (
                "{file}: the last line has no newline and the file changed less than 10 s ago: "
                "that line is left for the next run"
            ),
        ),
        is_fresh=True,
        later="\n",
        later_packets=PACKETS[1:],
    ),
    Taken(
        "repeated hour: in file order",
        clock("00:30", "01:00", "01:30", "01:00", "01:30", "02:00"),
        numbered(
            *("2023-10-29T00:30:00.000+01:00", f"{_HOUR}:00:00.000+01:00"),
            *(f"{_HOUR}:30:00.000+01:00", f"{_HOUR}:00:00.000+00:00"),
            *(f"{_HOUR}:30:00.000+00:00", "2023-10-29T02:00:00.000+00:00"),
        ),
        DUBLIN,
    ),
    Taken(
        "repeated hour: repeating a time begins the second pass",
        clock("01:00", "01:00", "01:30"),
        numbered(
            f"{_HOUR}:00:00.000+01:00", f"{_HOUR}:00:00.000+00:00", f"{_HOUR}:30:00.000+00:00"
        ),
        DUBLIN,
    ),
    Taken(
        "repeated hour: a lone occurrence is the first",
        clock("00:30", "01:30", "02:30"),
        numbered(
            *("2023-10-29T00:30:00.000+01:00", f"{_HOUR}:30:00.000+01:00"),
            "2023-10-29T02:30:00.000+00:00",
        ),
        DUBLIN,
    ),
    Taken(
        "repeated hour: every time exactly twice",
        clock("01:00", "01:00", "01:30", "01:30"),
        (
            (f"{_HOUR}:00:00.000+01:00", '"value":1'),
            (f"{_HOUR}:30:00.000+01:00", '"value":3'),
            (f"{_HOUR}:00:00.000+00:00", '"value":2'),
            (f"{_HOUR}:30:00.000+00:00", '"value":4'),
        ),
        DUBLIN,
    ),
    Taken(
        "repeated hour: a sent row keeps its reading when the file grows",
        clock("00:30", "01:30"),
        numbered("2023-10-29T00:30:00.000+01:00", f"{_HOUR}:30:00.000+01:00"),
        DUBLIN,
        later="2023-10-29 01:00:00,3\n2023-10-29 01:30:00,4\n",
        later_packets=(
            (f"{_HOUR}:00:00.000+00:00", '"value":3'),
            (f"{_HOUR}:30:00.000+00:00", '"value":4'),
        ),
    ),
    Taken(
        "local time: of another zone",
        "2023-07-01 12:00:00,1\n",
        numbered("2023-07-01T12:00:00.000-05:00"),
        "timezone = America/Chicago",
    ),
    Taken(
        "encoding: UTF-8 in a column that is skipped",
        f"{T0},é,1\n{T1},٣,2\n",
        options="columns = -, value",
    ),
)

# Accepted: options of a meter

TAKEN_OPTIONS = (
    Taken(
        "columns: named, '-' skips one",
        f"{T0},7,some text,5\n",
        ((AT_0, '"aP_1":5,"pC_1":7'),),
        "columns = pC_1, -, aP_1",
    ),
    Taken(
        "unit: converted exactly",
        f"{T0},1.23456789012345678901,250\n{T1},-.5,1e3\n",
        ((AT_0, '"aP_1":1234.56789012345678901,"c_1":0.250'), (AT_1, '"aP_1":-500,"c_1":1e0')),
        "columns = aP_1, c_1\nunit = kW, mA",
    ),
    Taken(
        "timestamp_format: day first",
        "01/02/2023 00:30,1\n",
        numbered("2023-02-01T00:30:00.000+00:00"),
        "timestamp_format = %d/%m/%Y %H:%M",
    ),
    Taken(
        "timestamp_format: with offsets and milliseconds",
        "2023-01-01T02:00:00.070+0530,1\n",
        numbered("2023-01-01T02:00:00.070+05:30"),
        "timestamp_format = %Y-%m-%dT%H:%M:%S.%f%z",
    ),
    Taken(
        "timestamp_format: seconds since 1970, when the clocks go back",
        "1698537600,1\n1698541200.5,2\n",
        numbered("2023-10-29T01:00:00.000+01:00", "2023-10-29T01:00:00.500+00:00"),
        f"timestamp_format = unix\n{DUBLIN}",
    ),
    Taken(
        "timestamp_format: nanoseconds since 1970",
        "-1000000000,1\n1698541200070000000,2\n",
        numbered("1969-12-31T23:59:59.000+00:00", "2023-10-29T01:00:00.070+00:00"),
        "timestamp_format = unix_ns",
    ),
    Taken(
        "timestamp_format: ranges",
        "01.01.2023 00:00 - 01.01.2023 01:00,1\n01.01.2023 01:00 - x,2\n",
        options="timestamp_format = %d.%m.%Y %H:%M - *",
    ),
    Taken(
        "hour_24: the next day",
        "2022-12-31 24:00,1\n2023-01-01 01:00,2\n",
        options="timestamp_format = %Y-%m-%d %H:%M\nhour_24 = next_day",
    ),
    Taken(
        "hour_24: in the default format",
        f"2022-12-31 24:00:00,1\n{T1},2\n",
        options="hour_24 = next_day",
    ),
    Taken("delimiter: a semicolon", ROWS.replace(",", ";"), options="delimiter = ;"),
    Taken("delimiter: a tab", ROWS.replace(",", "\t"), options="delimiter = tab"),
    Taken(
        "decimal: a comma",
        f"{T0};1,50\n{T1};-,5\n",
        values("1.50", "-0.5"),
        "delimiter = ;\ndecimal = ,",
    ),
    Taken(
        "thousands: a comma",
        cells('"1,234,567.50"', '"-1,000"', "1234.5", '"999.5"'),
        values("1234567.50", "-1000", "1234.5", "999.5"),
        "thousands = ,",
    ),
    Taken(
        "thousands: a point",
        f"{T0};1.234,50\n{T1};12\n",
        values("1234.50", "12"),
        "delimiter = ;\ndecimal = ,\nthousands = .",
    ),
    Taken(
        "thousands: blanks",
        cells("1 234.5", "12\N{NO-BREAK SPACE}345\N{NARROW NO-BREAK SPACE}678"),
        values("1234.5", "12345678"),
        "thousands = space",
    ),
    Taken(
        "skip_prefixes: a footer, comments and repeated headers",
        f'# made by x\n{T0},1\n"Date","Value"\n{T1},2\n  Σ 2,3\n',
        options="skip_prefixes = Date, Σ, #",
    ),
    Taken(
        "skip_prefixes: before a timestamp that is not first",
        f"a,{T0},1\nTotal,{T1},9\na,{T1},2\n",
        options="timestamp_columns = 2\ncolumns = -, value\nskip_prefixes = Total",
    ),
    Taken("skip_rows: a header", "time,value\n" + ROWS, options="skip_rows = 1"),
    Taken("interval: for the gap report", cells("1", "2"), options="interval = 15m"),
    Taken(
        "duplicates: first",
        ROWS + f"{T1},3\n",
        options="duplicates = first",
        notices=("{id}: 1 row with the same time as another row: one of each is sent",),
    ),
    Taken(
        "duplicates: last",
        f"{T0},1\n{T1},3\n{T1},2\n",
        options="duplicates = last",
        notices=("{id}: 1 row with the same time as another row: one of each is sent",),
    ),
    Taken(
        "empty_rows: skip",
        ROWS + f"{T2},\n",
        options="empty_rows = skip",
        notices=("{file}: 1 row without any value: left out",),
    ),
    Taken(
        "ambiguous_time: first",
        clock("01:30"),
        numbered(f"{_HOUR}:30:00.000+01:00"),
        f"{DUBLIN}\nambiguous_time = first",
    ),
    Taken(
        "ambiguous_time: second",
        clock("01:30"),
        numbered(f"{_HOUR}:30:00.000+00:00"),
        f"{DUBLIN}\nambiguous_time = second",
    ),
    Taken(
        "shift: every time so much later, over a clock change too",
        clock("00:45", "02:30"),
        numbered(f"{_HOUR}:00:00.000+01:00", "2023-10-29T02:45:00.000+00:00"),
        f"{DUBLIN}\nshift = 15m",
    ),
    Taken(
        "pad_first: one packet ahead, with the second value",
        ROWS,
        (
            (AT_0, '"value":2'),
            ("2023-01-01T00:15:00.000+00:00", '"value":1'),
            ("2023-01-01T01:15:00.000+00:00", '"value":2'),
        ),
        "shift = 15m\npad_first = yes",
    ),
    Taken(
        "power_from_energy: energy of a slot",
        cells("1.5", "0.25"),
        ((AT_0, '"aP_1":6,"pC_1":1.5'), (AT_1, '"aP_1":1,"pC_1":0.25')),
        "power_from_energy = 15m",
    ),
    Taken(
        "route: utc",
        "2023-07-01 12:00:00,1\n",
        numbered("2023-07-01T11:00:00.000+00:00"),
        f"{DUBLIN}\nroute = utc",
        route="unifiedjson_utc",
    ),
    Taken("route: partial", ROWS, options="route = partial", route="unifiedjson_partial"),
)

# Accepted: the INI

TAKEN_INIS = (
    Taken("IDs: keep their CASE", ROWS),
    Taken("IDs: keep their case", ROWS.replace(",", ",9"), values("91", "92")),
    Taken('IDs: odd : characters [1] #2 ; $x %y "é" \\ 100%', ROWS, options="timezone = UTC"),
    Taken("paths: relative to the INI's folder", {"data/a b.csv": ROWS}, source="data/a b.csv"),
    Taken("paths: a tilde", {"home/t.csv": ROWS}, source="~/t.csv"),
    Taken("paths: zip", {"z.zip": zipped(**{"a.csv": ROWS})}, source="z.zip"),
    Taken(
        "paths: a member of a zip",
        {"y.zip": zipped(**{"a.csv": "x\n", "b/c.csv": ROWS})},
        source="y.zip/b/c.csv",
    ),
    Taken(
        "paths: a zip with a folder, from a Mac",
        {"x.zip": zipped(**{"d/": "", "d/a.csv": ROWS, "__MACOSX/d/._a.csv": "x"})},
        source="x.zip",
    ),
    Taken("encoding: UTF-16, seen by itself", ("\ufeff" + ROWS).encode("utf-16-le")),
    Taken("encoding: UTF-16, big end first", ("\ufeff" + ROWS).encode("utf-16-be")),
    Taken(
        "encoding: in a zip",
        {"w.zip": zipped(**{"a.csv": ("\ufeff" + ROWS).encode("utf-16-le")})},
        source="w.zip",
    ),
    Taken(
        "encoding: UTF-16 without a mark", ROWS.encode("utf-16-le"), options="encoding = utf-16-le"
    ),
    Taken("encoding: not like ASCII", ROWS.encode("cp037"), options="encoding = cp037"),
    Taken(
        "encoding: in skipped lines, too",
        f"Zeit;Größe\n{ROWS}".encode("cp1252"),
        options="encoding = Windows-1252\nskip_rows = 1",
    ),
    Taken(
        "encoding: wrong in a skipped line",
        f"Zeit,Größe\n{ROWS}".encode("cp1252"),
        options="skip_rows = 1",
        notices=(
            (
                "{file}:1: in a line that skip_rows leaves out: bytes that are not UTF-8: found "
                "0xf6, expected text in UTF-8; set encoding = cp1252 if this is the text: "
                "'Zeit,Größe'"
            ),
        ),
    ),
    Taken("minimum, maximum: values in range", cells("0", "5"), values("0", "5"), _RANGE),
    Taken(
        "falling: rows in order of time",
        f"{T1},2\n{T0},1\n{T2},3\n",
        values("1", "2", "3"),
        "falling = error",
        notices=("{file}: 1 row out of order: sorted before sending",),
    ),
    Taken(
        "missing: words for an empty cell",
        f"{T0},1,NULL,3{_SOME[1:]}\n{T1},n/A,---,{_SOME[2:]},4\n",
        ((AT_0, '"aP_1":1,"aP_3":3'), (AT_1, '"v_23":4')),
        "missing = null, n/a, ---",
    ),
    Taken(
        "missing: in a column that is quoted",
        f'{T0},"-",2\n{T1},1,"-"\n',
        ((AT_0, '"aP_2":2'), (AT_1, '"aP_1":1')),
        "missing = -\ncolumns = aP_1, aP_2",
    ),
    Taken(
        "timestamp_columns: date and time apart",
        "".join(f"{line}\n" for line in ROWS.replace(" ", ",").split()),
        options="timestamp_columns = 1, 2",
    ),
    Taken(
        "timestamp_columns: not the first",
        f"x,1,{T0},y\nx,2,{T1},\n",
        options="timestamp_columns = 3\ncolumns = -, value, -",
    ),
    Taken(
        "timestamp_columns: the time before the date",
        "00:00;1;01.01.2023\n01:00;2;01.01.2023\n",
        options="timestamp_columns = 3, 1\ntimestamp_format = %d.%m.%Y %H:%M\ndelimiter = ;",
    ),
    Taken(
        "timestamp_columns: 21 others",
        f"{','.join(_ALL)},{T0.replace(' ', ',')}\n",
        ((AT_0, _ALL_PACKET),),
        "timestamp_columns = 22, 23",
    ),
    Taken("paths: gzip", {"z.csv.gz": gzip.compress(ROWS.encode())}, source="z.csv.gz"),
    Taken(
        "paths: a glob",
        {"glob/b-1.csv": cells("1", "2", "3")[-22:], "glob/b-2.csv": ROWS, "glob/c.csv": "x\n"},
        values("1", "2", "3"),
        source="glob/b-*.csv",
    ),
    Taken(
        "paths: several files, merged in order of time",
        {"m/1.csv": f"{T1},2\n", "m/2.csv": f"{T0},1\n{T2},3\n"},
        values("1", "2", "3"),
        source="\n  m/1.csv\n  m/2.csv",
    ),
    Taken("credentials: password_env", ROWS, options="credentials = env", user="e:one"),
    Taken("credentials: password_file", ROWS, options="credentials = file", user="f:two"),
    Taken("credentials: password_command", ROWS, options="credentials = command", user="c:three"),
)

TAKEN = (*TAKEN_CSVS, *TAKEN_OPTIONS, *TAKEN_INIS)

# Refused: the CSV

_NUMBER = "expected a finite decimal number such as 12.5"
_TWO = "2 (timestamp and value) or 22 (timestamp and 21 registers); for others, set 'columns'"
_FORMAT = "expected %Y-%m-%d %H:%M:%S"
_DECIMALS = "expected at most three decimals of a second"
_EMPTY = "the file is empty: found no rows, expected at least one"
_QUOTE = "expected the quote to end in the same cell and line"
_NO_VALUE = (
    "a row without any value: found empty cells, expected at least one number; "
    "empty_rows = skip leaves such rows out"
)
_MISFIT = (
    "a local time that the clocks repeat: found at a place that fits neither the first nor the "
    "second pass, expected each pass in order of time; or set ambiguous_time"
)


_CONFLICT = (
    f"same time as line 1, but other values: found '{T0},2' here and '{T0},1' there, "
    "expected one row; set duplicates = first or last to choose"
)
_SKIPPED = (
    "this local time does not exist in Europe/Dublin (the clocks go forward): found "
    "'2023-03-26 01:30:00', correct it or set another timezone; if the logger keeps UTC "
    "or standard time all year, timezone = Etc/UTC"
)
_REPEATED = (
    "this local time occurs twice in Europe/Dublin (the clocks go back): found "
    "'2023-10-29 01:30:00', expected a time that occurs once; or set ambiguous_time"
)
_BEYOND = (
    "a time past the end of the calendar: found '9999-12-31 23:50:00', expected one in the years "
    "1 to 9999, also in UTC"
)


def _header(found: str, line: int) -> str:
    return (
        f"{line}:1: a header line: found '{found}', expected the file to begin with data; remove "
        f"it, or set skip_rows = {line}"
    )


def _time(found: str) -> str:
    return f"1:1: not a timestamp: found '{found}', {_FORMAT}"


def _number(cell: str, shown: str | None = None, *, is_decimal: bool = False) -> Refused:
    """Return a case whose second row has a cell that is not a number."""
    what = "not a finite number" if is_decimal else "not a decimal number"
    problem = f"2:2: {what}: found {shown or repr(cell)}, {_NUMBER}"
    return Refused(f"numbers: {cell}", f"{T0},1\n{T1},{cell}\n", (problem,))


REFUSED = (
    Refused("default format: ISO 8601", "2023-01-01T00:00:00,1\n", (_time("2023-01-01T00:00:00"),)),
    Refused(
        "default format: no such day", "2023-02-29 00:00:00,1\n", (_time("2023-02-29 00:00:00"),)
    ),
    Refused("default format: no timestamp", ",1\n", (_time(""),)),
    Refused(
        "line ends: CR alone",
        f"{T0},1\r{T1},2\r",
        ("1:3: wrong number of cells: found 3, expected " + _TWO,),
    ),
    Refused(
        "byte order mark: of UTF-16",
        ("\ufeff" + f"{T0},x\n").encode("utf-16-le"),
        (f"1:2: not a decimal number: found 'x', {_NUMBER}",),
    ),
    Refused(
        "encoding: UTF-8 by default, told once",
        f"{T0},1 \u20ac\n{T1},2 \u20ac\n".encode("cp1252"),
        (
            (
                "1:2: bytes that are not UTF-8: found 0x80, expected text in UTF-8; set encoding = "
                f"cp1252 if this is the text: '{T0},1 \u20ac'"
            ),
        ),
    ),
    Refused(
        "encoding: of another file",
        f"{T0},1 \u20ac\n".encode(),
        (
            (
                "1:2: bytes that are not ASCII: found 0xe2, expected text in ASCII; 'swarm init' "
                "with this file proposes an encoding"
            ),
        ),
        "encoding = ascii",
    ),
    Refused(
        "encoding: bytes that are not UTF-16",
        f"{T0},1\n".encode("utf-16-be") + b"\xdc\x00\x00\n",
        (
            (
                "2:1: bytes that are not UTF-16-BE: found U+FFFD in their place, expected text in "
                "UTF-16-BE; 'swarm init' with this file proposes an encoding"
            ),
        ),
        "encoding = utf-16-be",
    ),
    Refused(
        "minimum, maximum: values out of range",
        cells("-1", "0", "5", "5.01", "1e9"),
        (
            "1:2: a value out of range: found '-1', expected at least 0, the minimum",
            "4:2: a value out of range: found '5.01', expected at most 5, the maximum",
            "5:2: a value out of range: found '1e9', expected at most 5, the maximum",
        ),
        "minimum = 0\nmaximum = 5",
    ),
    Refused(
        "minimum, maximum: of one column, in the units of the file",
        f"{T0},-1,-1,230\n{T1},-1,,0.1\n",
        ("2:4: a value out of range: found '0.1', expected at least 200, the minimum",),
        "columns = aP_1, -, v_1\nunit = kW, mV\nminimum = -, -, 200",
    ),
    Refused(
        "falling: a counter that falls",
        cells("7", "8", "7.5", "9"),
        (
            (
                "3:2: value goes down, and falling = error: found '7.5' after 8, expected a "
                "counter to grow; was the meter replaced or reset?"
            ),
        ),
        "falling = error",
    ),
    Refused(
        "missing: another word",
        f"{T0},none\n",
        (f"1:2: not a decimal number: found 'none', {_NUMBER}",),
        "missing = null, n/a",
    ),
    Refused(
        "missing: a row without a value",
        f"{T0},NULL\n",
        (
            (
                "1:2: a row without any value: found empty cells, expected at least one number; "
                "empty_rows = skip leaves such rows out"
            ),
        ),
        "missing = null",
    ),
    Refused(
        "timestamp_columns: places of problems",
        "x,5,2023-01-01,25:00:00,y\n",
        (
            f"1:3: not a timestamp: found '2023-01-01 25:00:00', {_FORMAT}",
            f"1:5: not a decimal number: found 'y', {_NUMBER}",
        ),
        "timestamp_columns = 3, 4\ncolumns = -, aP_1, aP_2",
    ),
    Refused(
        "timestamp_columns: the number of cells",
        f"x,{T0}\n",
        ("1:3: wrong number of cells: found 2, expected 3",),
        "timestamp_columns = 2\ncolumns = -, value",
    ),
    Refused("empty lines: nothing else", "\n \r\n", ("1:1: " + _EMPTY,)),
    Refused(
        "blanks: inside a number",
        f"{T0},1 0\n",
        (f"1:2: not a decimal number: found '1 0', {_NUMBER}",),
    ),
    Refused(
        "number of cells: 2 columns",
        f"{T0},1,2\n",
        ("1:3: wrong number of cells: found 3, expected " + _TWO,),
    ),
    Refused(
        "number of cells: 20 columns",
        f"{T0},1{_SOME}\n",
        ("1:22: wrong number of cells: found 21, expected " + _TWO,),
    ),
    Refused(
        "number of cells: one too few",
        f"{T0},1\n{T1}\n",
        ("2:2: wrong number of cells: found 1, expected 2",),
    ),
    Refused(
        "number of cells: 1,5",
        f"{T0},1\n{T1},1,5\n",
        ("2:3: wrong number of cells: found 3, expected 2",),
    ),
    _number("nan", is_decimal=False),
    _number("inf"),
    _number("1_000"),
    _number("0x1F"),
    _number("٣"),
    _number("1e400", is_decimal=True),
    Refused(
        "numbers: a quoted 1,5",
        f'{T0},1\n{T1},"1,5"\n',
        (f"2:2: not a decimal number: found '1,5', {_NUMBER}",),
    ),
    Refused("empty cells: no value at all", f"{T0},1\n{T1},\n", ("2:2: " + _NO_VALUE,)),
    Refused(
        "quotes: unterminated",
        f'{T0},1\n{T1},"2\n',
        (f"2:2: a quote that is not closed, or text after a closing quote: found '\"2', {_QUOTE}",),
    ),
    Refused(
        "order: no order mends a problem",
        f"{T1},1\n{T0},x\n",
        (f"2:2: not a decimal number: found 'x', {_NUMBER}",),
    ),
    Refused(
        "one instant: other values",
        f"{T0},1\n{T0},2\n",
        ("2:1: " + _CONFLICT,),
    ),
    Refused(
        "last line: without newline, and wrong",
        f"{T0},1\n{T1},x",
        (f"2:2: not a decimal number: found 'x', {_NUMBER}",),
    ),
    Refused(
        "local time: that does not exist",
        "2023-03-26 01:30:00,1\n",
        ("1:1: " + _SKIPPED,),
        DUBLIN,
    ),
    Refused(
        "repeated hour: a third pass",
        clock("01:30", "01:30", "01:30"),
        ("3:1: " + _MISFIT,),
        DUBLIN,
    ),
    Refused(
        "encoding: undecodable bytes",
        f"{T0},1\n{T1},2".encode() + b"\xe9\n",
        (
            (
                "2:2: bytes that are not UTF-8: found 0xe9, expected text in UTF-8; set encoding = "
                f"cp1252 if this is the text: '{T1},2é'"
            ),
        ),
    ),
    Refused(
        "encoding: NUL bytes",
        f"{T0},1\n{T1},2\0\n",
        ("2:2: a NUL byte: found 0x00, expected text in UTF-8",),
    ),
    Refused(
        "default format: a header line",
        f"time,value\n{ROWS}",
        (_header("time", 1),),
    ),
    Refused("paths: missing", None, ("1:1: no such file; expected a readable CSV at {file}",)),
    Refused("paths: an empty file", "", ("1:1: " + _EMPTY,)),
    Refused(
        "paths: a folder",
        None,
        ("1:1: can't be read: is a folder; expected a readable CSV at {file}",),
        is_folder=True,
    ),
    Refused(
        "paths: gzip that is none",
        ROWS,
        (
            (
                "1:1: an incomplete or damaged gzip file: Not a gzipped file (b'20'); expected a "
                "readable CSV at {file}"
            ),
        ),
    ),
    Refused(
        "problems: at most 20 a file, then a count",
        f"{T0}\n" * 25,
        tuple(
            f"{line}:2: wrong number of cells: found 1, expected {_TWO}" for line in range(1, 21)
        ),
    ),
    Refused(
        "problems: all of a row",
        "2023-01-32 00:00:00,x\n",
        (
            _time("2023-01-32 00:00:00"),
            f"1:2: not a decimal number: found 'x', {_NUMBER}",
        ),
        "columns = aP_1",
    ),
    # Options of a meter that do not fit the file
    Refused(
        "columns: another number",
        f"{T0},1,2\n",
        ("1:3: wrong number of cells: found 3, expected 2",),
        "columns = aP_1",
    ),
    Refused(
        "unit: not finite in the collector's",
        f"{T0},1e307\n",
        (f"1:2: not a finite number: found '1e307', {_NUMBER}",),
        "columns = aP_1\nunit = kW",
    ),
    Refused(
        "timestamp_format: another",
        f"{T0},1\n",
        (f"1:1: not a timestamp: found '{T0}', expected %d/%m/%Y %H:%M",),
        "timestamp_format = %d/%m/%Y %H:%M",
    ),
    Refused(
        "timestamp_format: no count of seconds",
        f"{T0},1\n16985412000000000,1\n1698541200.0005,1\n1698541200.0000001,2\n",
        (
            f"1:1: not a timestamp: found '{T0}', expected unix, such as 1675152000",
            "2:1: not a timestamp: found '16985412000000000', expected unix, such as 1675152000",
            f"3:1: a time finer than a millisecond: found '1698541200.0005', {_DECIMALS}",
            f"4:1: a time finer than a millisecond: found '1698541200.0000001', {_DECIMALS}",
        ),
        "timestamp_format = unix",
    ),
    Refused(
        "timestamp_format: no range",
        "01.01.2023 00:00,1\n",
        ("1:1: not a timestamp: found '01.01.2023 00:00', expected %d.%m.%Y %H:%M - *",),
        "timestamp_format = %d.%m.%Y %H:%M - *",
    ),
    Refused(
        "hour_24: without the setting",
        "2022-12-31 24:00:00,1\n",
        (
            (
                "1:1: not a timestamp: found '2022-12-31 24:00:00', expected %Y-%m-%d %H:%M:%S; if "
                "24:00 is 00:00 of the next day, set hour_24 = next_day"
            ),
        ),
    ),
    Refused(
        "hour_24: another time",
        "2022-12-31 24:30:00,1\n2022-02-30 24:00:00,2\n",
        (
            f"1:1: not a timestamp: found '2022-12-31 24:30:00', {_FORMAT}",
            f"2:1: not a timestamp: found '2022-02-30 24:00:00', {_FORMAT}",
        ),
        "hour_24 = next_day",
    ),
    Refused(
        "delimiter: another",
        f"{T0},1\n",
        ("1:2: wrong number of cells: found 1, expected " + _TWO,),
        "delimiter = ;",
    ),
    Refused(
        "thousands: groups of other lengths",
        cells('"1,50"', '"1234,567"', '"1,000,"', '",123"'),
        tuple(
            f"{line}:2: not a decimal number: found '{text}', {_NUMBER}"
            for line, text in enumerate(("1,50", "1234,567", "1,000,", ",123"), 1)
        ),
        "thousands = ,",
    ),
    Refused(
        "skip_prefixes: in another case",
        f"{T0},1\ntotal,2\n",
        (f"2:1: not a timestamp: found 'total', {_FORMAT}",),
        "skip_prefixes = Total",
    ),
    Refused(
        "decimal: a point",
        f"{T0};1.5\n",
        ("1:2: not a decimal number: found '1.5', expected a finite decimal number such as 12,5",),
        "delimiter = ;\ndecimal = ,",
    ),
    Refused(
        "skip_rows: too few",
        f"a,b\nc,d\n{ROWS}",
        (_header("c", 2),),
        "skip_rows = 1",
    ),
    Refused(
        "duplicates: error",
        f"{T0},1\n{T0},2\n",
        ("2:1: " + _CONFLICT,),
        "duplicates = error",
    ),
    Refused("empty_rows: error", f"{T0},1\n{T1},\n", ("2:2: " + _NO_VALUE,), "empty_rows = error"),
    Refused(
        "ambiguous_time: error",
        clock("01:30"),
        ("1:1: " + _REPEATED,),
        f"{DUBLIN}\nambiguous_time = error",
    ),
    Refused(
        "shift: past the calendar",
        "9999-12-31 23:50:00,1\n",
        ("1:1: " + _BEYOND,),
        "shift = 15m",
    ),
    Refused(
        "shift: none, past the calendar in UTC",
        "9999-12-31 23:50:00,1\n9999-12-31 23:50:00,2\n",
        ("1:1: " + _BEYOND, "2:1: " + _BEYOND),
        "timezone = America/Chicago",
    ),
    Refused(
        "power_from_energy: of 21 columns",
        f"{T0},1{_SOME},\n",
        ("1:3: wrong number of cells: found 22, expected 2",),
        "power_from_energy = 15m",
    ),
)
