"""Checkpoints on disk: the settled rows of each stream, from which the next run resumes.

In reading order: `ledger` (rows, read in step with the CSV files), `ledger_file` and
`ledger_format` (the file and its bytes), `doubts` (rows that may have been sent), `rejects`,
`locks` (one run per stream), `paths` (where the files are).
"""
