"""One stream: sends a meter's checked files to the collector, in order; reads the stream's status.

Worker processes call `check.check`, `deliver.deliver`, `status.read_status` and
`status.read_status_offline` by name, with a `task.Task`. The agent uses `exchange`, `settlement`
and `context`.

In reading order: `deliver` (the loop), `task` (its input), `resume` (the rows that need a packet),
`exchange` (requests, waits, refusals), `settlement` (packets without a clear answer), `verify` (the
collector's last packet, before and after), `status`, `context` (the services of the process, and
the ways in which a stream ends early), `result`, `check`.

*Settled*: acknowledged or rejected, and recorded. *Unsettled*: sent, without a clear answer. *In
doubt*: perhaps sent by an earlier run. *Late*: not newer than the last acknowledged row, and never
sent, or sent with other values.
"""
