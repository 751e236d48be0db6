"""The workers of a Dask cluster, for the pool of a run.

The command keeps all that lasts: settings, locks, checkpoints, rejected rows and the report. On
each worker process of the cluster it opens a *seat*, which runs streams as a worker process of a
local pool does. `channel` is the only module that knows Dask. Design: docs/architecture.md.
"""
