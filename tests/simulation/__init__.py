"""A deterministic simulation of histories: exports, runs and faults, in one process.

The code of check, resume, settlement, delivery and ledger is the real one. The disk (`disk`), the
collector (`collector`) and the clock (`world`) are simulated; `history` says what can happen,
`play` lets it happen and holds what the collector has to the truth.
"""
