"""The hour that a clock change repeats: which of its two passes each row is of.

The door is `decide.decide`. In reading order: `occurrences` (rows of a repeated hour),
`direction` (how a file runs through time around it), `evidence` (what was sent of it), `placing`
and `files` (files against the evidence, and in order), `decide`.

A *fold* is the repetition: its first *pass* has the older offset. A *reading* is the pass that a
row is taken for.
"""
