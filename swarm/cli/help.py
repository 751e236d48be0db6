"""The help of commands with many options: grouped by what they are for."""

import click

#: What the command is for; \b keeps click from wrapping the lines below it.
ABOUT = """Send meter readings from CSV files to the Wattics collector.

Each stream goes in order of time, every row once.

\b
swarm init data/*.csv > meters.ini   write an INI for your files; look it over
swarm check meters.ini               check every file, send nothing
swarm meters.ini                     send what is new; again: go on from there
"""

#: What stands below the options of commands that read an INI.
FORMS = (
    "CONFIG is the INI: 'swarm init' writes one. T is 2023-01-31 or 2023-01-31T12:30; D is 90s, "
    "15m, 2h or 1h30m. Most options can stand in the INI, too, under [upload], or in a variable "
    "such as SWARM_KEEP_GOING; a flag wins over both."
)

#: Headings and the options below them, by their names in the program.
GROUPS = {
    "Which rows": ("meters", "since", "until", "late", "restart", "adopt"),
    "Looking first": ("dry_run",),
    "How fast": ("connections", "processes", "rate_limit", "transport"),
    "When something goes wrong": (
        *("keep_going", "timeout", "retry_for", "max_duration", "settle"),
        *("on_reject", "on_ambiguous"),
    ),
    "What is told": ("progress", "json", "quiet", "verbose"),
}
_OTHERS = "Options"


class Grouped(click.Command):
    """A command whose help shows its options in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group; an option without one comes last."""
        groups: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (*GROUPS, _OTHERS)}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                groups[_heading(param.name)].append(record)
        for heading, records in groups.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _heading(name: str | None) -> str:
    return next((heading for heading, names in GROUPS.items() if name in names), _OTHERS)
