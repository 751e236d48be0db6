"""``docs/reference.md`` against the commands, the table of options and the INI's known options.

Anything that is undocumented fails, and so does a documented name that does not exist.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from swarm.cli.main import swarm
from swarm.config import credentials, csv_parsers, legacy, meters
from swarm.config.load import SCHEMA
from swarm.config.options import BY_KEY, FLAG_ONLY, GROUPS, OPTIONS, PARSERS, Option, Upload
from swarm.config.settings import CsvRules
from swarm.config.urls import ENVIRONMENTS, SANDBOX
from swarm.errors import PRECEDENCE
from swarm.init.dialect import SAMPLE_BYTES
from swarm.packet import REGISTERS, unit_of

PAGE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
HELP = {"-h", "--help"}
COMMANDS = sorted(swarm.commands)


def section(heading: str) -> str:
    """Return the text below a heading, up to the next heading of any level."""
    match = re.search(rf"^##+ {re.escape(heading)}.*\n((?:(?!##).*\n)*)", PAGE, re.MULTILINE)
    assert match, f"no section {heading}"
    return match[1]


def table(heading: str, columns: str) -> list[list[str]]:
    """Return the cells of a section's table, identified by the head of its first column."""
    lines = section(heading).partition(f"| {columns}")[2].splitlines()[2:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    assert rows, f"no table {columns} under {heading}"
    return rows


def code(text: str) -> list[str]:
    """Return the parts of a text that are marked as code."""
    return [found.replace("\\|", "|") for found in re.findall(r"`([^`]+)`", text)]


def flags(command: click.Command) -> set[str]:
    """Return all options of a command as they are typed."""
    context = click.Context(command, **command.context_settings)
    options = (p for p in command.get_params(context) if isinstance(p, click.Option))
    return {flag for option in options for flag in (*option.opts, *option.secondary_opts)}


def named(text: str) -> set[str]:
    """Return the options that a text contains as code."""
    return {word for found in code(text) for word in re.findall(r"(?<![\w-])--?[a-z][\w-]*", found)}


def entries(command: click.Command) -> Iterator[tuple[str, click.Option]]:
    """Yield each option of a command in the form required on the page, with its metavar."""
    for option in command.params:
        if isinstance(option, click.Option):
            context = click.Context(command)
            value = "" if option.is_flag or option.count else f" {option.make_metavar(context)}"
            names = [*option.opts, *option.secondary_opts]
            first = "".join(f"`{flag}`, " for flag in names[:-1])
            yield f"{first}`{names[-1]}{value}`".replace("|", "\\|"), option


def heading(command: str) -> str:
    """Return the heading of a command's section: its name and arguments."""
    arguments = (p for p in swarm.commands[command].params if isinstance(p, click.Argument))
    context = click.Context(swarm.commands[command])
    return " ".join(["swarm", command, *(each.make_metavar(context) for each in arguments)])


def test_every_command_has_its_section() -> None:
    """Every command has a section, and every section is about a command."""
    found = re.findall(r"^### (swarm .*)$", PAGE, re.MULTILINE)
    assert sorted(map(heading, COMMANDS)) == sorted(found)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command(command: str) -> None:
    """A command's section names exactly its options."""
    assert flags(swarm.commands[command]) - HELP == named(section(f"swarm {command}")) - HELP


def test_the_options_of_the_command_itself() -> None:
    """The table of common options has exactly the options of the group."""
    rows = table("Commands", "option of every command")
    assert flags(swarm) == named("".join(cells[0] for cells in rows))


@pytest.mark.parametrize(
    "command", [name for name in COMMANDS if "| option |" in section(f"swarm {name}")]
)
def test_the_tables_of_options(command: str) -> None:
    """Each row has the names, the metavar and the default of an option of the command."""
    documented = {cells[0]: cells[1] for cells in table(f"swarm {command}", "option")}
    options = dict(entries(swarm.commands[command]))
    assert set(options) == set(documented)
    of_upload = {option.key: option for option in OPTIONS}
    for text, option in options.items():
        known = of_upload.get(option.name or "")
        assert (default(known, option) or "") == documented[text], text


def default(known: Option | None, option: click.Option) -> str | None:
    """Return an option's default as the page must show it, None if only the help text has it."""
    if option.count:
        return "0"
    if option.secondary_opts:
        return (option.opts if option.default else option.secondary_opts)[0].lstrip("-")
    if option.is_flag:
        return "no"
    if known:
        return known.default
    shown = re.search(r"\[default: (.*)\]", option.help or "")
    if shown:
        return shown[1]
    has_one = option.show_default and option.default is not None
    return str(option.default) if has_one else None


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.default], ids=lambda option: option.key)
def test_a_default_that_is_shown_is_the_one_that_holds(option: Option) -> None:
    """The default in the table of options is the one that an upload uses."""
    holds = getattr(Upload(), option.key)
    if option.default in {"all", "none"} or " " in str(option.default):
        assert holds is None
    else:
        assert holds == option.parse(option.default or "")


def test_upload_keys_and_variables() -> None:
    """[upload] lists each key and its variable; the flags that are no keys are named."""
    expected = {f"`{key}`": f"`{BY_KEY[key].variable}`" for key in PARSERS}
    assert expected == {cells[0]: cells[1] for cells in table("[upload]", "option")}
    assert {f"--{name.replace('_', '-')}" for name in FLAG_ONLY} == named(
        section("swarm upload").partition("only as flags")[2]
    )


def test_every_section_of_the_ini() -> None:
    """Each kind of section is on the page, and no other."""
    found = set(re.findall(r"^### \[(\w+)", PAGE, re.MULTILINE))
    assert {kind.rstrip(":") for kind in SCHEMA} == found


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("[swarm]", set(SCHEMA["swarm"] or ()) - set(meters.OPTIONS)),
        ("[credentials]", set(credentials.OPTIONS)),
        ("[meter:ID]", set(meters.OPTIONS)),
    ],
)
def test_every_option_of_a_section(name: str, known: set[str]) -> None:
    """A section's table names exactly its options."""
    assert known == set(code("".join(cells[0] for cells in table(name, "option"))))


@pytest.mark.parametrize("option", csv_parsers.PARSERS)
def test_values_and_default_of_a_meters_option(option: str) -> None:
    """The page lists the accepted words of an option, and the default that is used."""
    parse = csv_parsers.PARSERS[option]
    (cells,) = [c for c in table("[meter:ID]", "option") if c[0] == f"`{option}`"]
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse("," if option in {"missing", "skip_prefixes"} else "\t\tno such value")
    words = re.split(", | or ", str(caught.value))
    if option != "decimal" and all(re.fullmatch("[a-z_]+", word) for word in words):
        assert words == code(cells[1])
    written = code(cells[2])
    holds = {"route": None, **vars(CsvRules(timezone=None))}.get(option)
    assert (parse(written[0]) if written else None) == holds


def test_environments_registers_and_units() -> None:
    """Collectors, registers and units are those of the code, in the same order."""
    urls = {code(name)[0]: code(url) for name, url in table("[swarm]", "environment |")}
    assert {**{name: [url] for name, url in ENVIRONMENTS.items()}, SANDBOX: []} == urls
    listed = [(code(names), unit) for names, _, unit in table("[meter:ID]", "registers")]
    assert [(name, unit_of(name)) for name in REGISTERS] == [
        (name, unit) for names, unit in listed for name in names
    ]


def test_the_original_apps_options() -> None:
    """The page lists every option that an INI of the app may have."""
    rows = table("INIs of the original app", "section")
    found = {cells[0].strip("`[]"): {name.lower() for name in code(cells[1])} for cells in rows}
    assert {name: set(options or ()) for name, options in legacy.SCHEMA.items()} == found


def test_exit_codes_and_sizes() -> None:
    """The page has all exit codes of a run, and the number of bytes that `init` reads."""
    found = {int(n) for cells in table("Exit codes", "code") for n in cells[0].split(",")}
    assert {0, *PRECEDENCE} == found
    assert f"{SAMPLE_BYTES // 1024} KiB" in section("swarm init")


def test_the_help_groups_what_there_is() -> None:
    """The help of upload has a section for each group, and no option without a group."""
    command = swarm.commands["upload"]
    text = command.get_help(click.Context(command))
    sections = re.findall(r"^(\w.*):\n  -", text, re.MULTILINE)
    assert [*GROUPS, "Options"] == sections
    assert re.search(r"^Options:\n +(-h, )?--help .*\n(?!  -)", text, re.MULTILINE)
