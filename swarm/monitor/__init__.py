"""A run as events, and the live page that shows them.

*Event*: one JSON object about a run; "Events" in docs/reference.md is for users. `events` has them,
`observer` makes them of what a run reports. `page` starts the page's process and passes events to
it. That process (`__main__`) holds the newest `state` and serves it (`app`, `metrics`). It is a
process of its own, so readers take no time from the run, and so the run has no other thread: its
worker processes can be forked.
"""
