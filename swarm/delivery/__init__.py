"""One stream, from a meter's checked files to the collector, in order; and its status.

The doors are `check.check`, `deliver.deliver` and `status.look`, which workers call by name, with
a `task.Task`; the agent shares `exchange`, `settlement` and `context`.

In reading order: `deliver` (the loop), `task` (what it is given), `resume` (which rows need a
packet), `exchange` (requests, waits, refusals), `settlement` (packets without an answer),
`verify` (the first and the last question), `status`, `context` (what a stream needs of its
process, and how it can end), `result`, `check`.

*Settled*: acknowledged or rejected, and recorded. *Unsettled*: sent, without a clear answer. *In
doubt*: an earlier run may have sent it. *Late*: not newer than the last acknowledged row, and
never sent, or sent with other values.
"""
