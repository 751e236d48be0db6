"""The options of `swarm.config.options` as options of click: flags, variables, grouped help."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from swarm.cli.completion import words
from swarm.config.options import BY_KEY, GROUPS, OPTIONS, ROWS, Option

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_F = TypeVar("_F", bound=Callable[..., Any])
_OTHERS = "Options"
#: The settings of each command.
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Parsed(click.ParamType[Any]):
    """The click type of an `Option`, which uses its parser."""

    def __init__(self, option: Option) -> None:
        self.name = option.key
        self._option = option

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the parsed value; an error names the environment variable, if it came from one."""
        if not isinstance(value, str):
            return value
        try:
            return self._option.parse(value)
        except ValueError as error:
            source = ctx.get_parameter_source(self.name) if ctx else None
            origin = self._option.variable if source is ParameterSource.ENVIRONMENT else ""
            place = f"{origin}: " if origin else ""
            self.fail(f"{place}found '{value}', expected {error}", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        """Return the values that begin with the word, if the option has a fixed set of values."""
        return words(self._option.metavar, incomplete)


class _Switch(Parsed, click.types.BoolParamType):
    """The type of a flag without a value; its environment variable may be ``no``."""


def options(*keys: str) -> Callable[[_F], _F]:
    """Return a decorator that adds options of an upload to a command; all if no key is given."""

    def decorate(command: _F) -> _F:
        for option in reversed(OPTIONS):
            if keys and option.key not in keys:
                continue
            default = f"  [default: {option.default}]" if option.default else ""
            command = click.option(
                *option.flags,
                metavar=option.metavar or None,
                is_flag=option.is_switch or None,
                count=option.is_counted,
                type=_Switch(option) if option.is_switch else Parsed(option),
                envvar=None if option.flag_only else option.variable,
                default=None,
                help=option.help + default,
            )(command)
        return command

    return decorate


class GroupedCommand(click.Command):
    """A command whose help shows its options in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group of options; options without a group come last."""
        groups: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (*GROUPS, _OTHERS)}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                known = BY_KEY.get(param.name or "")
                heading = ROWS if param.name == "meters" else known.group if known else _OTHERS
                groups[heading].append(record)
        for heading, records in groups.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)
