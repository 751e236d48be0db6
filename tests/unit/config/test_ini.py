"""The syntax of an INI: sections, options, their lines, and problems with them."""

from pathlib import Path

import pytest

from swarm.config.document import Document
from swarm.config.ini import parse, read_text
from swarm.errors import SettingsError
from tests.support.ini import ini_text, problems

NO_PASSWORD = (
    "password: missing; give one of password, password_env, password_file, password_command"
)
NO_ENVIRONMENT = (
    "environment: missing; set it to one of production, development, demo, local, sandbox, or set "
    "url = https://..."
)
NO_ZONE = (
    "timezone: missing; set the time zone of the CSV's timestamps, such as timezone = "
    "Europe/Dublin (readings sent with a wrong zone can't be corrected in the platform)"
)


def read(text: str) -> Document:
    """Return the document of a text."""
    return parse(Path("x.ini"), text)


def values(text: str) -> dict[str, dict[str, str | None]]:
    """Return the values of a text by section and option."""
    return {
        section: {name: entry.value for name, entry in options.items()}
        for section, options in read(text).sections.items()
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a]\nx = 1\ny=2", {"a": {"x": "1", "y": "2"}}),
        ("[a]\n  x  =  1  ", {"a": {"x": "1"}}),
        ("[a]\nX = 1", {"a": {"x": "1"}}),
        ("[ a ]\nx=1\n[ b : c ]", {"a": {"x": "1"}, "b:c": {}}),
        ("# c\n[a]\n; c\nx = 1\n  # c\n", {"a": {"x": "1"}}),
        ("[a]\nx = 1 ; no comment # none", {"a": {"x": "1 ; no comment # none"}}),
        ("[a]\nx = %d %% $HOME ${b} %(c)s", {"a": {"x": "%d %% $HOME ${b} %(c)s"}}),
        ("[a]\nx = a = b : c", {"a": {"x": "a = b : c"}}),
        ("[a]\nx =", {"a": {"x": ""}}),
        ("[a]\nx =\n  1\n\t2", {"a": {"x": "1\n2"}}),
        ("[a]\nx = 1\n  # c\n  2", {"a": {"x": "1\n2"}}),
        ("[a]\nx = 1\n\n  y = 2", {"a": {"x": "1", "y": "2"}}),
        ("[a]\n  x = 1\n  y = 2", {"a": {"x": "1", "y": "2"}}),
        ("[a]\nx = \N{LINE SEPARATOR}1\N{NEXT LINE}2", {"a": {"x": "1\N{NEXT LINE}2"}}),
        ("[meters]\nGas = 1\ngas = 2", {"meters": {"Gas": "1", "gas": "2"}}),
    ],
)
def test_values(text: str, expected: object) -> None:
    """Only [meters] keeps letter case, values keep every character, indented lines continue."""
    assert expected == values(text)
    assert [] == read(text).problems


@pytest.mark.parametrize(
    "stream",
    [
        "a:b",
        "[x]",
        "[x] y",
        "50%",
        "%(x)s",
        "two words",
        "a#b",
        "a;b",
        "-",
        "$x",
        "ä/ö\\ü",
        "温度",
        '"q"',
        "DEFAULT",
        "a.b,c",
        "meter:x]",
    ],
)
def test_stream_ids(stream: str) -> None:
    """A stream ID may have any character but '=' and line breaks, also in a section's name."""
    text = f"[meters]\n{stream} = data[1].csv\n[meter:{stream}]\nunit = kW\n"
    assert {"meters": {stream: "data[1].csv"}, f"meter:{stream}": {"unit": "kW"}} == values(text)
    assert [] == read(text).problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\ny\n[a]", ["x.ini:1: a line before the first [section]"]),
        ("[a]\nhunter2", ["x.ini:2: [a]: a line that is not 'option = value'"]),
        ("[a]\n= hunter2", ["x.ini:2: [a]: a line that is not 'option = value'"]),
        ("[a]\nx: hunter2", ["x.ini:2: [a]: a line that is not 'option = value'"]),
        ("[a]\n[hunter2", ["x.ini:2: [a]: a line that is not 'option = value'"]),
        ("[a]\n[ ]", ["x.ini:2: [a]: a line that is not 'option = value'"]),
        (
            "[a]\n[b]\n[a]\n[a]",
            [
                "x.ini:3: [a]: this section occurs twice, first on line 1; merge the two",
                "x.ini:4: [a]: this section occurs twice, first on line 1; merge the two",
            ],
        ),
    ],
)
def test_malformed(text: str, expected: list[str]) -> None:
    """A line that is neither section nor option is reported by its number and not shown."""
    assert expected == read(text).problems


def test_lines() -> None:
    """Sections and options have their lines; options of a repeated section are read, too."""
    document = read("\n[a]\nx =\n  1\n[b]\n[a]\ny = 2\nX = 3\n  4")
    assert {"a": 2, "b": 5} == document.headers
    x, y = document.sections["a"].values()
    assert (3, [8], "1") == (x.line, x.repeats, x.value)
    assert (7, [], "2") == (y.line, y.repeats, y.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_bom(tmp_path: Path, end: str, bom: bytes) -> None:
    """Any line end is accepted, and a byte order mark."""
    path = tmp_path / "x.ini"
    path.write_bytes(bom + end.join(["[a]", "x = ä", "junk"]).encode())
    document = parse(path, read_text(path))
    assert "ä" == document.text("a", "x")
    assert [f"{path}:3: [a]: a line that is not 'option = value'"] == document.problems


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"[a]\nx = hunter2\xe9\n", "{path}:2: not UTF-8; save the file as UTF-8"),
        (b"\xef\xbb\xbfa\n\n\xff", "{path}:3: not UTF-8; save the file as UTF-8"),
        ("[a]".encode("utf-16"), "{path}:1: not UTF-8; save the file as UTF-8"),
        (b"[a]\nhunter2 \0", "{path}:2: a NUL byte; save the file as UTF-8"),
        (
            None,
            (
                "{path}: can't be read: No such file or directory; give the path of an INI, or "
                "create one: swarm init FILE.csv ... > meters.ini"
            ),
        ),
    ],
)
def test_unreadable(tmp_path: Path, data: bytes | None, expected: str) -> None:
    """A file that is not text is refused in one line."""
    path = tmp_path / "x.ini"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(SettingsError) as caught:
        read_text(path)
    assert (expected.format(path=path),) == caught.value.problems


def test_folder_in_its_place(tmp_path: Path) -> None:
    """A folder is not an INI."""
    with pytest.raises(SettingsError, match=r"can't be read: Is a directory$"):
        read_text(tmp_path)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("swrm", "[swrm]: unknown section; did you mean 'swarm'?"),
        ("Upload", "[Upload]: unknown section; did you mean 'upload'?"),
        ("something", "[something]: unknown section"),
        ("DEFAULT", "[DEFAULT]: unknown section"),
        ("credential:b", "[credential:b]: unknown section; did you mean 'credentials:b'?"),
        ("meter", "[meter]: a section without a name; expected [meter:NAME]"),
        ("meter:", "[meter:]: a section without a name; expected [meter:NAME]"),
        ("credentials:", "[credentials:]: a section without a name; expected [credentials:NAME]"),
        ("meter:gs", "[meter:gs]: no such meter under [meters]; did you mean 'gas'?"),
        ("meter:water", "[meter:water]: no such meter under [meters]"),
    ],
)
def test_unknown_section(tmp_path: Path, section: str, expected: str) -> None:
    """An unknown section is a problem, with a suggestion if a known name is similar."""
    assert f"9: {expected}" in problems(tmp_path, ini_text(rest=f"[{section}]"))


@pytest.mark.parametrize(
    ("section", "option", "expected"),
    [
        (
            "upload",
            "conections",
            "[upload] conections: unknown option; did you mean 'connections'?",
        ),
        ("upload", "xyz", "[upload] xyz: unknown option"),
        ("upload", "x y; z", "[upload]: unknown option"),
        ("upload", "restart", "[upload] restart: unknown option; it can only be given as a flag"),
        ("upload", "columns", "[upload] columns: unknown option; it belongs under [swarm]"),
        ("upload", "password", "[upload] password: unknown option; it belongs under [credentials]"),
        ("meter:gas", "time zone", "[meter:gas]: unknown option; did you mean 'timezone'?"),
        ("meter:gas", "url", "[meter:gas] url: unknown option; it belongs under [swarm]"),
        ("meter:gas", "late", "[meter:gas] late: unknown option; it belongs under [upload]"),
    ],
)
def test_unknown_option(tmp_path: Path, section: str, option: str, expected: str) -> None:
    """An unknown option is a problem, with a similar name, or the section that it belongs to."""
    text = ini_text(rest=f"[{section}]\n{option} = 1")
    assert f"10: {expected}" == problems(tmp_path, text)[0]


def test_misspelt_names(tmp_path: Path) -> None:
    """An unknown name is reported with the known name that is similar."""
    text = (
        "[swrm]\nenviroment = sndbox\ntimezne = Mars\n[upload]\ninterval = 1\n"
        "[credentials]\nusrname = a\nPassword_ = b\n"
        "[meters]\ngas = gas.csv\n[meter:gsa]\ncolour = red\n"
    )
    assert [
        "1: [swrm]: unknown section; did you mean 'swarm'?",
        "5: [upload] interval: unknown option; it belongs under [swarm]",
        "6: [credentials] username: missing",
        f"6: [credentials] {NO_PASSWORD}",
        "7: [credentials] usrname: unknown option; did you mean 'username'?",
        "8: [credentials]: unknown option; did you mean 'password'?",
        f"10: [meters] gas: {NO_ZONE}",
        "11: [meter:gsa]: no such meter under [meters]; did you mean 'gas'?",
        "12: [meter:gsa] colour: unknown option; did you mean 'columns'?",
        f"[swarm] {NO_ENVIRONMENT}",
    ] == problems(tmp_path, text)


def test_repeats(tmp_path: Path) -> None:
    """A repeated option is reported with both lines, and its continuation lines are not."""
    text = ini_text(
        credentials="username = a\npassword = hunter2\npassword = hunter3\n  hunter4",
        meters="gas = a.csv\nGas = b.csv\ngas = c.csv\n  d.csv\n  e.csv",
    )
    assert [
        "7: [credentials] password: given twice, first on line 6",
        "12: [meters] gas: given twice, first on line 10",
    ] == problems(tmp_path, text)


def test_pieces_of_passwords_are_not_shown(tmp_path: Path) -> None:
    """Lines under [credentials] that look like options may be passwords and are not shown."""
    lines = ["password: hunter2=x", "hunter2==", "hunter2==", "hunter2", "[hunter2", "passwd = y"]
    text = ini_text(credentials="\n".join(["username = a", *lines]))
    assert [
        f"4: [credentials] {NO_PASSWORD}",
        "6: [credentials]: unknown option; did you mean 'password'?",
        "7: [credentials]: unknown option",
        "8: [credentials]: given twice, first on line 7",
        "9: [credentials]: a line that is not 'option = value'",
        "10: [credentials]: a line that is not 'option = value'",
        "11: [credentials] passwd: unknown option; did you mean 'password'?",
    ] == problems(tmp_path, text)


def test_lines_below_a_line_that_is_no_option(tmp_path: Path) -> None:
    """Indented lines below it do not continue the option before it."""
    text = ini_text(swarm="environment = demo\ntimezone = UTC\nfoo\n  bar\n  interval = 1h")
    assert [
        "4: [swarm]: a line that is not 'option = value'",
        "5: [swarm]: a line that is not 'option = value'",
    ] == problems(tmp_path, text)
