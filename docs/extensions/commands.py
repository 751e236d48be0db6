"""The directive ``swarm-command``, for the pages of commands, which are also their man pages.

It makes synopsis, description and options from the click command, in the groups of the help. A man
page also gets sections of the reference.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from swarm.cli.completion import DEFAULT
from swarm.cli.main import swarm

#: The man pages by the name of the command; the name is also that of the page's file.
COMMANDS: dict[str, click.Command] = {"swarm": swarm, **swarm.commands}
#: The man page of the INI.
INI = "swarm.ini(5)"
#: Sections of a man page, with their headings in the reference.
_OF_REFERENCE = {
    "swarm": (
        ("Exit status", "Exit codes"),
        ("Environment", "Environment"),
        ("Files", "Files and state"),
    ),
    "upload": (("Exit status", "Exit codes"),),
}


def man_name(name: str) -> str:
    """Return the name of a command's man page: swarm, swarm-upload."""
    return name if name == "swarm" else f"swarm-{name}"


def man_pages() -> list[tuple[str, str, str, str, int]]:
    """Return the entries of Sphinx's ``man_pages`` for all commands."""
    return [
        (f"commands/{name}", man_name(name), _about(command), "", 1)
        for name, command in COMMANDS.items()
    ]


def _about(command: click.Command) -> str:
    """Return what a command does, as the line under NAME has it."""
    text = command.get_short_help_str(limit=200).rstrip(".")
    return text[0].lower() + text[1:]


class _Recorder(click.HelpFormatter):
    """A formatter that keeps the lists of the help, each with its heading, and prints nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[str, list[tuple[str, str]]] = {}
        self._heading = ""

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Record the lists of the block under this heading."""
        self._heading = name
        yield

    def write_dl(self, rows: Iterable[tuple[str, str]], *_: int, **__: int) -> None:
        """Record a list."""
        self.lists[self._heading] = list(rows)


class SwarmCommand(SphinxDirective):
    """The sections of a command's page; the argument is the command, or ``swarm`` itself."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        self.env.note_reread()  # the source is the code of the command
        name = self.arguments[0]
        is_man = self.config.builds_man_pages
        lines = [*_page(name, is_man=is_man), "## See also", ""]
        lines += [_other_man_pages(name) if is_man else _see_reference(name)]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _page(name: str, *, is_man: bool) -> Iterator[str]:
    """Yield the lines of a command's page in Markdown."""
    command = COMMANDS[name]
    path = "swarm" if command is swarm else f"swarm {name}"
    context = click.Context(command, info_name=path, **command.context_settings)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield from ("## Synopsis", "", "```text", usage, "```", "", "## Description", "")
    # The epilog of the group is about a mark in its list of commands.
    for text in (command.help, "" if command is swarm else command.epilog):
        for paragraph in re.split(r"\n\n+", (text or "").strip()):
            yield from _paragraph(paragraph)
    yield f"```{{program}} {path}\n```\n"
    variables = {each.opts[-1]: each.envvar for each in command.params if each.envvar}
    recorder = _Recorder()
    command.format_options(context, recorder)
    groups = {heading: rows for heading, rows in recorder.lists.items() if heading != "Commands"}
    yield from ("## Options", "")
    for heading, rows in groups.items():
        if len(groups) > 1:
            yield from (f"### {'Other options' if heading == 'Options' else heading}", "")
        for flags, text in rows:
            yield from _option(flags.replace(" / ", ", "), text, variables)
    if command is swarm:
        yield from ("## Commands", "")
        yield from (f"`swarm CONFIG` is the same as `swarm {DEFAULT} CONFIG`.", "")
        for other, each in swarm.commands.items():
            title = f"swarm-{other}(1)" if is_man else f"[swarm {other}]({other}.md)"
            yield from (title, f": {_markdown(_about(each))}", "")
    if is_man:
        yield from _of_reference(name)


def _of_reference(name: str) -> Iterator[str]:
    """Yield the sections of a man page that the site has in the reference."""
    for title, heading in _OF_REFERENCE.get(name, ()):
        yield from (f"```{{reference-section}} {heading}", f":title: {title}", "```", "")


def _paragraph(text: str) -> Iterator[str]:
    """Yield a paragraph of a help text; lines after a backspace stay as they are."""
    if text.startswith("\b"):
        yield from ("```text", *text.splitlines()[1:], "```", "")
    else:
        yield from (_markdown(" ".join(text.split())), "")


def _option(flags: str, text: str, variables: Mapping[str, object]) -> Iterator[str]:
    """Yield the entry of an option: its text, its default and its environment variable."""
    text, _, default = text.partition("[default: ")
    # A range of numbers follows the default.
    shown = _markdown(default.removesuffix("]").partition("; ")[0])
    facts = [f"Default: {shown}."] if shown else []
    variable = variables.get(re.findall(r"--[\w-]+", flags)[0])
    if variable:
        facts.append(f"Variable: `{variable}`.")
    yield from (f"```{{option}} {flags}", _markdown(text.strip()), "", " ".join(facts), "```", "")


def _markdown(text: str) -> str:
    """Return a text of the help as Markdown: options and quoted commands are code."""
    made, end = [], 0
    for found in re.finditer(r"(?<!\w)'([^']+)'(?!\w)|(?<![\w-])--?[a-z][\w-]*", text):
        # A pattern needs its quotes in a shell.
        is_command = found[1] and (" " in found[1] or "*" not in found[1])
        made += [_escaped(text[end : found.start()]), f"`{found[1] if is_command else found[0]}`"]
        end = found.end()
    return "".join([*made, _escaped(text[end:])])


def _escaped(text: str) -> str:
    """Return a text in which no character is markup."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text)


def _other_man_pages(name: str) -> str:
    """Return the names of the other man pages."""
    return ", ".join([*(f"{man_name(each)}(1)" for each in COMMANDS if each != name), INI])


def _see_reference(name: str) -> str:
    """Return a link to the section of the reference about a command."""
    command = COMMANDS[name]
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    metavars = [each.make_metavar(click.Context(command)) for each in arguments]
    words = re.sub(r"[^\w ]", "", " ".join(["swarm", name, *metavars])).lower().split()
    anchor = "commands" if command is swarm else "-".join(words)
    return f"[The reference](../reference.md#{anchor}) describes the command in more detail."


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("swarm-command", SwarmCommand)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
