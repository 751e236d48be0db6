"""The settled rows of each stream, on disk: the next run goes on where the last one stopped.

In reading order: `ledger` (rows, read in step with the files), `ledger_file` and `ledger_format`
(the file, byte by byte), `doubts` (rows that may have been sent), `rejects`, `locks` (one run a
stream), `paths` (where all of it lies).
"""
