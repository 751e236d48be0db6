"""The options of `swarm.config.options` as click's: one table for flags, variables and the INI."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from swarm.cli.completion import words
from swarm.config.options import OPTIONS, Option

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_F = TypeVar("_F", bound=Callable[..., Any])


class Parsed(click.ParamType[Any]):
    """A click type around a parser of `swarm.config.options`."""

    def __init__(self, option: Option) -> None:
        self.name = option.key
        self._option = option

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value of a text; what is wrong with it is told with where it came from."""
        if not isinstance(value, str):
            return value
        try:
            return self._option.parse(value)
        except ValueError as error:
            self.fail(f"{_origin(self._option, ctx)}found '{value}', expected {error}", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        """Return the words that the option takes, where there are but some."""
        return words(self._option.metavar, incomplete)


class _Switch(Parsed, click.types.BoolParamType):
    """The same for a flag, whose variable may say no."""


def _origin(option: Option, ctx: click.Context | None) -> str:
    """Name the variable that a value came from: the user may have forgotten that it is set."""
    source = ctx.get_parameter_source(option.key) if ctx else None
    return f"{option.variable}: " if source is ParameterSource.ENVIRONMENT else ""


def _given(option: Option) -> Callable[[_F], _F]:
    default = f"  [default: {option.default}]" if option.default else ""
    common: dict[str, Any] = {
        "envvar": option.variable,
        "default": None,
        "help": option.help + default,
        "type": Parsed(option),
    }
    if option.counted:
        return click.option(*option.flags, count=True, **common)
    if option.flag:
        return click.option(*option.flags, is_flag=True, **{**common, "type": _Switch(option)})
    return click.option(*option.flags, metavar=option.metavar, **common)


def options(*keys: str) -> Callable[[_F], _F]:
    """Add options of the table to a command: those named, or all."""

    def decorate(command: _F) -> _F:
        for option in reversed(OPTIONS):
            if not keys or option.key in keys:
                command = _given(option)(command)
        return command

    return decorate
