"""`swarm init`: write an INI for CSVs from guesses, or convert an INI of the original app.

The entry points are `generate.generate`, `add.add` and `migrate.migrate`.

In reading order: `generate` (a new INI), `add` (meters for an existing INI), `periods` and `groups`
(the files of one meter), `guess` (one file) with `dialect` (its layout) and `needed` (the settings
for that), `foreign` (files that are no CSV), `encoding`, `stamps` (the columns of the timestamp),
`columns`, `words`, `extra_lines` (footers), `shape` (several meters in a file), `file_times` and
`timezone` (zones), `writer` (INI text), `migrate` (INIs of the original app).
"""
