"""`swarm split`: make one CSV a meter of the CSVs of an export, and an INI for them.

The entry point is `split.split`. A *wide* file has a column for each meter, a *long* one has a row
for each meter and time.

In reading order: `split` (all files), `source` (a file as text), `layout` (delimiter, header,
columns), `rows` (text -> the rows of each meter), `folder` (the new files, as a whole or not at
all), `ini` (the INI for them).
"""
