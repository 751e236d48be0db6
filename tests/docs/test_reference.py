"""``docs/reference.md`` against the commands, the table of options and the INI's known options.

What is not documented fails, and so does what is documented and does not exist.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from swarm.cli.help import GROUPS
from swarm.cli.main import swarm
from swarm.config import credentials, csv_rules, legacy, meters
from swarm.config.load import SCHEMA
from swarm.config.options import FLAG_ONLY, OPTIONS, Option
from swarm.config.settings import CsvRules, Upload
from swarm.config.urls import ENVIRONMENTS, SANDBOX
from swarm.errors import PRECEDENCE
from swarm.init.dialect import SAMPLE_BYTES
from swarm.packet import REGISTERS, unit_of

PAGE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
HELP = {"-h", "--help"}
COMMANDS = sorted(swarm.commands)


def section(heading: str) -> str:
    """Return what stands below a heading, up to the next of any level."""
    match = re.search(rf"^##+ {re.escape(heading)}.*\n((?:(?!##).*\n)*)", PAGE, re.MULTILINE)
    assert match, f"no section {heading}"
    return match[1]


def table(heading: str, columns: str) -> list[list[str]]:
    """Return the cells of the rows of a section's table, known by its first column's head."""
    lines = section(heading).partition(f"| {columns}")[2].splitlines()[2:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    assert rows, f"no table {columns} under {heading}"
    return rows


def code(text: str) -> list[str]:
    """Return what stands as code in a text."""
    return [found.replace("\\|", "|") for found in re.findall(r"`([^`]+)`", text)]


def flags(command: click.Command) -> set[str]:
    """Return all options of a command, as they are typed."""
    context = click.Context(command, **command.context_settings)
    options = (p for p in command.get_params(context) if isinstance(p, click.Option))
    return {flag for option in options for flag in (*option.opts, *option.secondary_opts)}


def named(text: str) -> set[str]:
    """Return the options that a text names as code."""
    return {word for found in code(text) for word in re.findall(r"(?<![\w-])--?[a-z][\w-]*", found)}


def entries(command: click.Command) -> Iterator[tuple[str, click.Option]]:
    """Yield each option of a command as the page has to write it, with its metavar."""
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
    """No command is left out, none is made up."""
    found = re.findall(r"^### (swarm .*)$", PAGE, re.MULTILINE)
    assert sorted(map(heading, COMMANDS)) == sorted(found)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command(command: str) -> None:
    """A command's section names its options, all of them and no other."""
    assert flags(swarm.commands[command]) - HELP == named(section(f"swarm {command}")) - HELP


def test_the_options_of_the_command_itself() -> None:
    """The table of common options is that of the group."""
    rows = table("Commands", "option of every command")
    assert flags(swarm) == named("".join(cells[0] for cells in rows))


@pytest.mark.parametrize(
    "command", [name for name in COMMANDS if "| option |" in section(f"swarm {name}")]
)
def test_the_tables_of_options(command: str) -> None:
    """Each row has the names, the metavar and the default of the command's own option."""
    documented = {cells[0]: cells[1] for cells in table(f"swarm {command}", "option")}
    options = dict(entries(swarm.commands[command]))
    assert set(options) == set(documented)
    of_upload = {option.key: option for option in OPTIONS}
    for text, option in options.items():
        known = of_upload.get(option.name or "")
        assert (default(known, option) or "") == documented[text], text


def default(known: Option | None, option: click.Option) -> str | None:
    """Return an option's default as the page writes it; None where the help's text alone has it."""
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
    """The table of options says what an upload does without the option."""
    holds = getattr(Upload(), option.key)
    if option.default in {"all", "none"} or " " in str(option.default):
        assert holds is None
    else:
        assert holds == option.parse(option.default or "")


def test_upload_keys_and_variables() -> None:
    """[upload] lists each key and its variable; the flags that are no keys are named."""
    expected = {f"`{option.key}`": f"`{option.variable}`" for option in OPTIONS}
    assert list(expected.items()) == [(cells[0], cells[1]) for cells in table("[upload]", "option")]
    assert {f"--{name}" for name in FLAG_ONLY} == named(
        section("swarm upload").partition("only as flags")[2]
    )


def test_every_section_of_the_ini() -> None:
    """Each kind of section has its own, and there are no more."""
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
    """A section's table names its options, all of them and no other."""
    assert known == set(code("".join(cells[0] for cells in table(name, "option"))))


@pytest.mark.parametrize("option", csv_rules.PARSERS)
def test_values_and_default_of_a_meters_option(option: str) -> None:
    """The words that an option takes are those listed; its default is what holds without it."""
    parse = csv_rules.PARSERS[option]
    (cells,) = [c for c in table("[meter:ID]", "option") if c[0] == f"`{option}`"]
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse("\t\tno such value")
    words = re.split(", | or ", str(caught.value))
    if option != "decimal" and all(re.fullmatch("[a-z]+", word) for word in words):
        assert words == code(cells[1])
    written = code(cells[2])
    holds = {"route": None, **vars(CsvRules(timezone=None))}.get(option)
    assert (parse(written[0]) if written else None) == holds


def test_environments_registers_and_units() -> None:
    """Collectors, registers and units stand as they are known, in order."""
    urls = {code(name)[0]: code(url) for name, url in table("[swarm]", "environment |")}
    assert {**{name: [url] for name, url in ENVIRONMENTS.items()}, SANDBOX: []} == urls
    listed = [(code(names), unit) for names, _, unit in table("[meter:ID]", "registers")]
    assert [(name, unit_of(name)) for name in REGISTERS] == [
        (name, unit) for names, unit in listed for name in names
    ]


def test_the_original_apps_options() -> None:
    """Every option that such an INI may hold."""
    rows = table("INIs of the original app", "section")
    found = {cells[0].strip("`[]"): {name.lower() for name in code(cells[1])} for cells in rows}
    assert {name: set(options or ()) for name, options in legacy.SCHEMA.items()} == found


def test_exit_codes_and_sizes() -> None:
    """The codes that a run can end with, and how much of a file is guessed from."""
    found = {int(n) for cells in table("Exit codes", "code") for n in cells[0].split(",")}
    assert {0, *PRECEDENCE} == found
    assert f"{SAMPLE_BYTES // 1024} KiB" in section("swarm init")


def test_the_help_groups_what_there_is() -> None:
    """Every option of upload stands in one group of its help, and the groups hold nothing else."""
    grouped = [name for names in GROUPS.values() for name in names]
    options = {p.name for p in swarm.commands["upload"].params if isinstance(p, click.Option)}
    assert (options, len(options)) == (set(grouped), len(grouped))
