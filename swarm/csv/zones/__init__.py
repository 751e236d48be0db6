"""The zone whose clocks the rows of files follow.

`check` tells signs of a wrong `timezone`, by `fit` (rows at clock changes -> zones),
`clock_changes` (when the clocks of common zones are changed) and `steps` (are rows even?).
"""
