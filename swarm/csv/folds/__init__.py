"""The fold (PEP 495) of each row in an hour that a clock change repeats.

The entry point is `decide.decide`. In reading order: `occurrences` (rows of a repeated hour),
`direction` (the order in time of a file's rows around it), `evidence` (rows that were sent of it),
`files` (files, and their rows in order), `placing` (files against the evidence), `decide`.

The hour has two *passes*; the first has the older offset. The *fold* of a row is 0 if it is of the
first pass, 1 if it is of the second.
"""
