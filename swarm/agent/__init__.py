"""The library: `Agent`, `Config`, measurements; the names of `swarm` itself.

In reading order: `agent` (the door), `measurement`, `config`, `queue` (measurements without a
final answer, a stream each), `dispatcher` (gives streams to senders), `sender` (one measurement's
exchanges), `sessions`, `handlers` (are told the answers), `forks` and `thread_log` (forks and
logging handlers of the program).
"""
