"""`swarm init`: write an INI for CSVs from guesses, or convert an INI of the original app.

The entry points are `generate.generate`, `add.add` and `migrate.migrate`.

In reading order: `generate` (a new INI), `add` (meters for an existing INI), `guess` (the settings
of one file, from `dialect`, `columns` and `file_times`), `timezone` (zones), `writer` (INI text),
`migrate` (INIs of the original app).
"""
