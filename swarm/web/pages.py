"""Pages from templates: each is one file, in which every text from outside is escaped."""

from functools import cache
from typing import Any

from jinja2 import (
    ChoiceLoader,
    Environment,
    PackageLoader,
    StrictUndefined,
    Template,
    select_autoescape,
)

from swarm.text import format_duration, format_time, pluralize
from swarm.version import VERSION


@cache
def template(package: str, name: str) -> Template:
    """Return a template of a package's folder ``templates``; it may extend those of swarm.web."""
    loaders = [PackageLoader(each) for each in dict.fromkeys((package, "swarm.web"))]
    environment = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=lambda number: f"{number:,}",
        duration=format_duration,
        pluralize=pluralize,
        time=format_time,
    )
    environment.globals.update(version=VERSION)
    return environment.get_template(name)


def render(package: str, name: str, **values: Any) -> str:
    """Return a page; ``values`` are those that its template names."""
    return template(package, name).render(**values)
