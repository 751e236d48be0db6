"""INI, flags and environment -> `Settings`.

Other packages use `load.load`, `settings` (plain data), `options.OPTIONS` (each option of an
upload, defined once), `urls` and `csv_rules`. In reading order: `load`; `document` and `ini` (the
syntax of an INI), `schema` (the names of its sections and options), `meters`, `csv_rules`,
`credentials`, `options` (the meaning of its options), `legacy` (INIs of the original app);
`parsers`, `paths`, `ignored`.
"""
