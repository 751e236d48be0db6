"""Common mistakes of new users: a short message for each, with what to do next."""
# ruff: noqa: E501 - messages, as they are printed

from pathlib import Path

import pytest

from tests.support.collector import Collector, Reply
from tests.support.workspace import Workspace

GOOD = "2024-05-13 00:00:00,1\n2024-05-13 00:15:00,2\n"
SWARM = {"environment": "sandbox", "timezone": "Europe/Dublin"}
CREDENTIALS = {"username": "acme", "password": "x"}
METERS = {"gas": "gas.csv"}
_CELLS = (
    "expected 2 (timestamp and value) or 22 (timestamp and 21 registers); for others, set 'columns'"
)

#: Sections that differ from those above, and the lines on stderr.
INIS: dict[str, tuple[dict[str, dict[str, str]], str]] = {
    "a misspelt option": (
        {"swarm": {**SWARM, "intervall": "15m"}},
        "{ini}:4: [swarm] intervall: unknown option; did you mean 'interval'?",
    ),
    "no timezone": (
        {"swarm": {"environment": "sandbox"}},
        (
            "{ini}:9: [meters] gas: timezone: missing; set the time zone of the CSV's timestamps, such as "
            "timezone = Europe/Dublin (readings sent with a wrong zone can't be corrected in the "
            "platform)"
        ),
    ),
    "a misspelt timezone": (
        {"swarm": {**SWARM, "timezone": "Europe/Dubln"}},
        (
            "{ini}:3: [swarm] timezone: found 'Europe/Dubln', expected an IANA time zone such as "
            "Europe/Dublin or America/Chicago; did you mean 'Europe/Dublin'?"
        ),
    ),
    "a misspelt environment": (
        {"swarm": {**SWARM, "environment": "prod"}},
        (
            "{ini}:2: [swarm] environment: found 'prod', expected production, development, demo, local "
            "or sandbox"
        ),
    ),
    "a comment behind a value": (
        {"swarm": {**SWARM, "timezone": "Europe/Dublin  # home"}},
        (
            "{ini}:3: [swarm] timezone: found 'Europe/Dublin  # home', expected an IANA time zone such "
            "as Europe/Dublin or America/Chicago; did you mean 'Europe/Dublin'?\n"
            "{ini}:3: comments must be on their own lines"
        ),
    ),
    "a collector without TLS": (
        {"swarm": {"url": "http://collector.example.com/", "timezone": "UTC"}},
        (
            "{ini}:2: [swarm] url: found 'http://collector.example.com/', expected https:// (http:// "
            "would send the password in the clear)"
        ),
    ),
    "a variable that is not set": (
        {"credentials": {"username": "acme", "password_env": "NOWHERE"}},
        (
            "{ini}:7: [credentials] password_env: the environment variable NOWHERE is not set; it "
            "must hold the password"
        ),
    ),
    "no credentials": (
        {"credentials": {}},
        (
            "{ini}:5: [credentials] username: missing\n"
            "{ini}:5: [credentials] password: missing; give one of password, password_env, "
            "password_file, password_command"
        ),
    ),
    "a duration without its unit": (
        {"upload": {"timeout": "30"}},
        "{ini}:13: [upload] timeout: found '30', expected a duration such as 90s, 15m, 2h or 1h30m",
    ),
}

#: The CSV, and the lines on stderr.
CSVS = {
    "a header": (
        f"time,value\n{GOOD}",
        (
            "{csv}:1:1: a header line: found 'time', expected the file to begin with data; remove it, "
            "or set skip_rows = 1"
        ),
    ),
    "the day first": (
        "13/05/2024 00:00,1\n",
        "{csv}:1:1: not a timestamp: found '13/05/2024 00:00', expected %Y-%m-%d %H:%M:%S\n{init}",
    ),
    "semicolons": (
        "2024-05-13 00:00:00;1\n",
        f"{{csv}}:1:2: wrong number of cells: found 1, {_CELLS}\n{{init}}",
    ),
    "decimal commas": (
        "2024-05-13 00:00:00,1,5\n",
        f"{{csv}}:1:3: wrong number of cells: found 3, {_CELLS}\n{{init}}",
    ),
    "a word for no value": (
        f"{GOOD}2024-05-13 00:30:00,n/a\n",
        (
            "{csv}:3:2: not a decimal number: found 'n/a', expected a finite decimal number such as "
            "12.5"
        ),
    ),
    "24:00": (
        f"2024-05-12 24:00:00,1\n{GOOD}",
        (
            "{csv}:1:1: not a timestamp: found '2024-05-12 24:00:00', expected %Y-%m-%d %H:%M:%S; "
            "if 24:00 is 00:00 of the next day, set hour_24 = next_day"
        ),
    ),
    "two values of one time": (
        "2024-05-13 00:00:00,1\n2024-05-13 00:00:00,5\n",
        (
            "{csv}:2:1: same time as line 1, but other values: found '2024-05-13 00:00:00,5' here "
            "and '2024-05-13 00:00:00,1' there, expected one row; set duplicates = first or last to choose"
        ),
    ),
    "a time that the clocks skip": (
        "2024-03-31 01:30:00,1\n2024-03-31 02:00:00,1\n",
        (
            "{csv}:1:1: this local time does not exist in Europe/Dublin (the clocks go forward): "
            "found '2024-03-31 01:30:00', correct it or set another timezone; if the logger "
            "keeps UTC or standard time all year, timezone = Etc/UTC"
        ),
    ),
    "an empty file": (
        "",
        "{csv}:1:1: the file is empty: found no rows, expected at least one",
    ),
    "no file": (
        None,
        "{csv}:1:1: no such file; expected a readable CSV at {csv}",
    ),
}
_INIT = (
    "notice: gas: no row of gas.csv matches the settings: 'swarm init' with this file proposes "
    "delimiter, decimal, timestamp_format, columns and skip_rows for it"
)

#: Arguments, and the last line on stderr.
ARGUMENTS = {
    "no such INI": (
        ["none.ini"],
        (
            "none.ini: can't be read: No such file or directory; give the path of an INI, or "
            "create one: swarm init FILE.csv ... > meters.ini"
        ),
    ),
    "a CSV for the INI": (
        ["gas.csv"],
        "gas.csv: this is a CSV file, but an INI is expected; create one: swarm init gas.csv > meters.ini",
    ),
    "a misspelt command": (
        ["chek", "c.ini"],
        "Error: no command and no file: 'chek'; did you mean 'check'?",
    ),
    "a misspelt option": (
        ["c.ini", "--dryrun"],
        "Error: No such option '--dryrun'. Did you mean '--dry-run'?",
    ),
    "a misspelt meter": (
        ["c.ini", "-m", "gass"],
        "c.ini: --meter gass: no such meter; did you mean 'gas'?",
    ),
    "a date of another form": (
        ["c.ini", "--since", "13/05/2024"],
        (
            "Error: Invalid value for '--since': found '13/05/2024', expected a local date, or date "
            "and time, such as 2023-01-31 or 2023-01-31T12:30"
        ),
    ),
}


def test_a_misspelt_file(workspace: Workspace) -> None:
    """An existing file with nearly the same name is suggested, but none with another number."""
    csv = "gas-2024-05.csv"
    workspace.csv("gas_2024-05.csv", GOOD)
    workspace.csv("gas-2024-06.csv", GOOD)
    config = written(workspace, {"meters": {"gas": csv}}, None)
    done = workspace.run("check", config.name, "--progress", "none")
    path = workspace.folder / csv
    assert done.err.strip() == (
        f"{path}:1:1: no such file; expected a readable CSV at {path}; did you mean 'gas_2024-05.csv'?"
    )


def written(workspace: Workspace, sections: dict[str, dict[str, str]], csv: str | None) -> Path:
    """Write an INI and its CSV."""
    if csv is not None:
        workspace.csv("gas.csv", csv)
    given = {"swarm": SWARM, "credentials": CREDENTIALS, "meters": METERS, **sections}
    lines = []
    for section, options in given.items():
        lines += [f"[{section}]", *(f"{name} = {text}" for name, text in options.items()), ""]
    path = workspace.folder / "c.ini"
    path.write_text("\n".join(lines))
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("name", INIS)
def test_a_mistake_in_the_ini(workspace: Workspace, name: str) -> None:
    """The message has the line, what was found and what is expected."""
    sections, expected = INIS[name]
    done = workspace.run(written(workspace, sections, GOOD).name, "--progress", "none")
    assert (2, expected.format(ini="c.ini")) == (done.code, done.err.strip())


@pytest.mark.parametrize("name", CSVS)
def test_a_mistake_in_a_csv(workspace: Workspace, name: str) -> None:
    """The message has file, line and column, what was found and what is expected."""
    csv, expected = CSVS[name]
    done = workspace.run("check", written(workspace, {}, csv).name, "--progress", "none")
    text = expected.format(csv=workspace.folder / "gas.csv", init=_INIT)
    assert (3, text) == (done.code, done.err.strip())


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_mistake_on_the_command_line(workspace: Workspace, name: str) -> None:
    """The message has what was typed, and what was probably meant."""
    arguments, expected = ARGUMENTS[name]
    written(workspace, {}, GOOD)
    done = workspace.run(*arguments)
    assert (2, expected) == (done.code, done.err.strip().splitlines()[-1])


@pytest.mark.parametrize(
    ("reply", "code", "expected"),
    [
        (
            Reply(401),
            4,
            "gas: the collector does not accept the credentials of acme: HTTP 401",
        ),
        (Reply(404), 4, "gas: {csv}:1: refused by the collector: HTTP 404; check the URL"),
    ],
    ids=["a wrong password", "a wrong path in the URL"],
)
def test_a_mistake_that_the_collector_tells(
    workspace: Workspace, reply: Reply, code: int, expected: str
) -> None:
    """The message says what the collector did not accept."""
    with Collector(lambda request, _: reply if request.method == "POST" else None) as collector:
        swarm = {"url": collector.url, "timezone": "UTC", "state": str(workspace.state)}
        done = workspace.run(written(workspace, {"swarm": swarm}, GOOD).name, "--progress", "none")
    assert (code, expected.format(csv=workspace.folder / "gas.csv")) == (
        done.code,
        done.err.strip(),
    )
