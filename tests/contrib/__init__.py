"""The files of the folder ``contrib``: schedulers, the log's rotation, monitoring."""

from pathlib import Path

CONTRIB = Path(__file__).parents[2] / "contrib"
