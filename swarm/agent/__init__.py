"""The library: `Agent`, `Config`, measurements; the names of `swarm` itself.

In reading order: `agent` (the entry point), `measurement`, `config`, `queue` (measurements without
a final answer, by stream), `dispatcher` (assigns streams to senders), `sender` (sends one
measurement), `sessions`, `handlers` (called with the answers), `forks` and `thread_log` (protection
against forks and logging handlers of the program).
"""
