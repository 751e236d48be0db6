"""A deterministic simulation of histories: exports, runs and faults, in one process.

The code of check, resume, settlement, delivery and ledger is the real one. The disk (`disk`), the
collector and the clock (`collector`) are simulated. `history` defines what can happen, `machine`
runs the code, and `play` plays a history and compares the collector's packets with the truth.
"""
