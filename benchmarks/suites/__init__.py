"""The measurements: each module fills some rows of the table."""
