"""Signs that the files of a meter are in another zone than its ``timezone`` says.

`check` puts the signs into words. It uses `fit` (rows at clock changes -> likely zones),
`clock_changes` (the clock changes of common zones) and `steps` (are rows evenly spaced?).
"""
