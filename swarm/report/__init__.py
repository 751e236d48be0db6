"""The page of ``--report``: pictures of the data, and the outcome of a run.

`file.ReportFile` is what the command line uses. `days` says what became of each day, `charts`
draws, `facts` has the words and figures, and the templates put them together.
"""
