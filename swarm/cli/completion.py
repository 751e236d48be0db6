"""The group of commands, whose default command needs no name, and shell completion."""

import os
from pathlib import Path

import click
from click.shell_completion import CompletionItem

DEFAULT = "upload"
#: A word at least this similar (0..1) to the name of a command is taken for a misspelt command.
_SIMILAR = 0.7


class Commands(click.Group):
    """The group of commands; arguments without the name of a command are for `DEFAULT`."""

    # Options before the INI are those of the default command.
    ignore_unknown_options = True

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is named, or the default.

        Raises `click.UsageError` for a misspelt name.
        """
        from swarm.text import closest

        word = args[0]
        if word in self.commands:
            return super().resolve_command(ctx, args)
        if not ctx.resilient_parsing and word.isalpha() and not Path(word).exists():
            close = closest(word, self.commands, _SIMILAR)
            if close:
                raise click.UsageError(f"no command and no file: '{word}'; did you mean '{close}'?")
        return DEFAULT, self.commands[DEFAULT], args

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands; a star marks the default."""
        names = {name: f"{name}*" if name == DEFAULT else name for name in self.list_commands(ctx)}
        limit = formatter.width - 6 - max(map(len, names.values()))
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (shown, self.commands[name].get_short_help_str(limit))
                    for name, shown in names.items()
                ]
            )

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, the default first."""
        return sorted(self.commands, key=lambda name: (name != DEFAULT, name))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin with the word, else complete file names."""
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            known = {item.value for item in found}
            offered = self.commands[DEFAULT].shell_complete(ctx, incomplete)
            found += [item for item in offered if item.value not in known]
        return found or [CompletionItem(incomplete, type="file")]


def meters(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the IDs of the meters in the INI, if the command line names an INI before the word."""
    from swarm.config import ini
    from swarm.config.document import METERS
    from swarm.errors import SettingsError

    # click stops parsing at an option without a value: the INI may be among the remaining words.
    config = ctx.params.get("config") or next(iter(ctx.args), None)
    if config is None:
        return []
    try:
        sections = ini.parse(Path(config), ini.read_text(Path(config))).sections
    except SettingsError:
        return []
    names = [name for name in sections.get(METERS, {}) if name.startswith(incomplete)]
    if os.environ.get("_SWARM_COMPLETE", "").startswith("bash"):
        # bash would split such an ID into words, or take it for a pattern of file names.
        names = [name for name in names if not set(name) & set(" \t*?[]\\'\"")]
    return [CompletionItem(name) for name in names]


def words(metavar: str, incomplete: str) -> list[CompletionItem]:
    """Return the values that begin with the word, of an option such as ``report|send``."""
    # A word in capitals, such as N, stands for a value.
    found = [word for word in metavar.split("|") if not word.isupper()] if "|" in metavar else []
    return [CompletionItem(word) for word in found if word.startswith(incomplete)]
