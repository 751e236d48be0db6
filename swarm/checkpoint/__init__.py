"""Checkpoints on disk: the settled rows of each stream, from which the next run resumes.

In reading order: `ledger` (rows), `cursor` (look-up in step with the CSV files), `ledger_file` and
`ledger_format` (the file and its bytes), `doubts` (rows that may have been sent), `settled` (a
cache of what need not be read again), `rejects`,
`locks` (one run per stream), `paths` (where the files are).

The state folder::

    checkpoints/COLLECTOR/STREAM.ledger           settled rows; notes; the packet in flight
    checkpoints/COLLECTOR/STREAM.ledger.doubts    rows that may be stored, if there are any
    checkpoints/COLLECTOR/STREAM.ledger.settled   a cache: what of the files is all acknowledged
    rejects/COLLECTOR/STREAM.csv, .log.jsonl      rejected rows; status and reason of each
    locks/COLLECTOR/runs.lock, senders.lock       a byte per stream: its run, its worker process
    sandbox/packets.sqlite                        the packets of ``environment = sandbox``
"""
