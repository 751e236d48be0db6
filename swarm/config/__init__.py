"""INI, flags and environment -> `Settings`.

The doors are `load.load`, `settings` (plain data), `options.OPTIONS` (each option of an upload,
once), `urls` and `csv_rules`. In reading order: `load`; `document` and `ini` (the INI's form),
`schema` (its sections and options), `meters`, `csv_rules`, `credentials`, `options` (its
meaning), `legacy` (INIs of the original app); `parsers`, `paths`, `ignored`.
"""
