"""The command line: commands, options, help; log, progress, tables and JSON.

The entry point is `swarm.cli.main.swarm`. Nothing is imported here, so that `swarm --help` is
quick.

In reading order: `main` (the commands, with `split`), `options` (the options of an upload as flags)
and `completion`; `progress` (the progress of a run: none, lines, or `bars`); `upload_report`,
`check_report` and `status_report` (results as a table and as JSON, with `table`); `output`, `log`.
"""
