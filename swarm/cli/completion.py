"""Shell completion beyond what click does by itself: meters, and options of the default command."""

from pathlib import Path

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class
from click_default_group import DefaultGroup

# How like a command's name (0..1) a word is that is taken for it, rather than for an INI.
_ALIKE = 0.7
# Bash quotes what stands for a file, as an ID with blanks or brackets needs, too.
_QUOTED = """COMPREPLY+=("$value")
            if [[ $value == *[^[:alnum:]_./=@:+-]* ]]; then
                compopt -o filenames 2>/dev/null
            fi"""


@add_completion_class
class Bash(BashComplete):
    """Bash, which click would have insert an ID as bare words and patterns."""

    source_template = BashComplete.source_template.replace("COMPREPLY+=($value)", _QUOTED).replace(
        "read type value", "read -r type value"
    )


class Commands(DefaultGroup):
    """The commands, of which one may go unnamed: its options and files are offered as well."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin so; where none does, any file may."""
        found = super().shell_complete(ctx, incomplete)
        default = self.commands.get(self.default_cmd_name or "")
        if default is not None and incomplete.startswith("-"):
            known = {item.value for item in found}
            offered = default.shell_complete(ctx, incomplete)
            found += [item for item in offered if item.value not in known]
        return found or [CompletionItem(incomplete, type="file")]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant, the unnamed one too; a misspelt one is refused."""
        word = args[0]
        if not ctx.resilient_parsing and word not in self.commands and word.isalpha():
            self._refuse_misspelt(word)
        return super().resolve_command(ctx, args)

    def _refuse_misspelt(self, word: str) -> None:
        from swarm.text import closest

        close = closest(word, self.commands, _ALIKE)
        if close and not Path(word).exists():
            raise click.UsageError(f"no command and no file: '{word}'; did you mean '{close}'?")


def meters(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the IDs of the meters in the INI that the command line names, if it does already."""
    from swarm.config import ini
    from swarm.config.document import METERS
    from swarm.errors import SettingsError

    # An option that has no value yet ends click's reading: the INI may be among what is left.
    config = ctx.params.get("config") or next(iter(ctx.args), None)
    if config is None:
        return []
    try:
        sections = ini.parse(Path(config), ini.read_text(Path(config))).sections
    except SettingsError:
        return []
    return [
        CompletionItem(name) for name in sections.get(METERS, {}) if name.startswith(incomplete)
    ]


def words(metavar: str, incomplete: str) -> list[CompletionItem]:
    """Return the words of an option that takes one of several: ``report|send``."""
    found = metavar.split("|") if "|" in metavar else []
    return [CompletionItem(word) for word in found if word.startswith(incomplete)]
