"""One run over all meters: upload, check, status; the pool of worker processes.

The doors are `upload.upload`, `check.check`, `status.status`, `report.Report` and
`observer.Observer`. A run knows no terminal: it tells an observer.

In reading order: `upload`, `check`, `status` (the three runs), `jobs` (read-only jobs), `setup`
(how large the pool is), `pool` (the parent's side) and `worker` (a process's side), `context`
(what a stream has in a worker), `slots` (connections), `shared` (state of all processes), `stop`
(signals and time limits), `rehearsal` (`environment = sandbox`), `report` (the result).

A *slot* is the right to send: a stream that waits gives its slot, and the session in it, to
another.
"""
