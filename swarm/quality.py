"""The quality of a meter's data: what no rule forbids, and a user should know before sending."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from swarm.csvrows import Batch, Row
from swarm.falling import Falling
from swarm.pace import Gap, Pace
from swarm.settings import Meter

_CHUNK = 4096


@dataclass(frozen=True)
class Quality:
    """The findings of a check in sound files.

    ``interval`` is in seconds, as set for the meter or else the commonest step; None with fewer
    than two rows. ``gaps`` are the first of ``gap_count``, in the times of the packets;
    ``missing`` are the rows that all of them lack.
    """

    interval: float | None = None
    gaps: tuple[Gap, ...] = ()
    gap_count: int = 0
    missing: int = 0
    duplicates: int = 0
    out_of_order: int = 0


class Inspection:
    """Looks at a meter's rows on their way, in the order and the times in which they are sent."""

    def __init__(self, meter: Meter, registers: tuple[str, ...], interval: float | None) -> None:
        self.pace = Pace(interval)
        self._falling = Falling(meter, registers)

    def through(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the rows, and take note of them."""
        while chunk := list(islice(rows, _CHUNK)):
            self.pace.follow(Batch([row.instant for row in chunk], chunk.copy))
            self._falling.follow(chunk)
            yield from chunk

    def notices(self) -> Iterator[str]:
        """Yield what the user should know, one line each."""
        yield from self._falling.notices()


def quality(pace: Pace, duplicates: int, out_of_order: int) -> Quality:
    """Return what is known once all rows were followed."""
    return Quality(
        interval=None if pace.interval is None else pace.interval / 1000,
        gaps=tuple(pace.gaps),
        gap_count=pace.gap_count,
        missing=pace.missing,
        duplicates=duplicates,
        out_of_order=out_of_order,
    )
