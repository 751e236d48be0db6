"""A meter's files -> checked rows in chronological order ("The CSV" in docs/reference.md).

`survey` checks them; `MeterReader` reads them for sending, as the check found them.
"""

from swarm.csvrows import Row
from swarm.pace import Gap
from swarm.quality import Quality
from swarm.readings import Settled
from swarm.survey import Survey, survey
from swarm.timeorder import MeterReader, Window

__all__ = ["Gap", "MeterReader", "Quality", "Row", "Settled", "Survey", "Window", "survey"]
