"""INI, flags and environment -> `Settings`.

Other packages use `load.load`, `settings` (plain data), `options.OPTIONS` (each option of an
upload, defined once), `urls` and `csv_parsers`. In reading order: `load`; `document` and `ini` (the
syntax of an INI), `schema` (the names of its sections and options), `meters`, `csv_parsers` and
`csv_rules` (values of a meter's settings, and conflicts between them),
`credentials`, `options` (the meaning of its options), `legacy` (INIs of the original app);
`parsers`, `paths`, `ignored`.
"""
