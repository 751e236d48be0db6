"""One run over all meters: upload, check, status; the pool of worker processes.

Other packages use `upload.upload`, `check.check`, `status.status`, `report.Report` and
`observer.Observer`. A run knows no terminal: it reports its progress to an observer.

In reading order: `upload`, `check`, `status` (the three runs), `jobs` (jobs that only read),
`setup` (the size of the pool), `pool` (the parent's side), `connections` (the number of slots),
`concurrency` (its controller), `worker` (the worker's side), `context` (the services for streams in
a worker), `slots` (connection slots), `shared` (state of all processes), `stop` (the early end of a
run), `rehearsal` (`environment = sandbox`), `report`.

*Connection slot*: the right to send. A stream that waits releases its slot, with the connection in
it, to another stream.
"""
