"""`swarm init`: guesses the form of CSVs, and writes an INI for them; rewrites the original app's.

The doors are `generate.starter`, `add.add` and `migrate.migrated`.

In reading order: `generate` (guesses -> INI), `add` (guesses -> an INI that is there), `guess` (a
file's form: `dialect`, `columns`, `file_times`), `timezone` and `host_zone`, `migrate`; `writer`
writes options with their comments.
"""
