"""A run as events, and its watchers: the live page, the metrics file, notifications.

*Event*: one JSON object about a run; "Events" in docs/reference.md is for users. `events` has them,
`observer` makes them of what a run reports, and passes each to sinks: functions that take an event.

* `page` starts the page's process and passes events to it. That process (`__main__`) holds the
  newest `state` and serves it (`app`, `metrics`). It is a process of its own, so readers take no
  time from the run, and so the run has no other thread: its worker processes can be forked.
* `metrics_file` keeps the same `state` in the run's process, and writes it as `metrics`.
* `notifier` has no events: it gets the start and the report. Each `ping` is a process of its own.

A fourth sink is that of ``--progress json`` (`swarm.cli.json_lines`).
"""
