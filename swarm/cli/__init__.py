"""The command line: commands, options, help; log, progress, tables and JSON.

The door is `swarm.cli.main.swarm`. Nothing is imported here: `swarm --help` has to be quick.

In reading order: `main` (the commands), `options` (the options of an upload as flags), `help` and
`completion`; `progress` (what a run shows: nothing, lines, or the `bars`); `upload_report`,
`check_report` and `status_report` (results as table and JSON, with `table`); `log`.
"""
