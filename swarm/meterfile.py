"""A meter's files -> checked rows in chronological order (contract, section 4).

`survey` checks them; `MeterReader` reads them for sending, as the check found them.
"""

from swarm.csvrows import Row
from swarm.survey import Survey, survey
from swarm.timeorder import MeterReader, Window

__all__ = ["MeterReader", "Row", "Survey", "Window", "survey"]
