"""A forecast of a run's end, from its pace and the timetable of its rate limit."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from swarm.config.timetable import Timetable
from swarm.text import format_duration

#: A forecast over more changes of the limit than this has no end that is worth telling.
_MOST_CHANGES = 5000
_DONE_IN = 3600.0
_FREE = "as fast as the line allows"


@dataclass(frozen=True)
class Forecast:
    """A forecast from a local time on.

    ``pace`` is the present one in rows a second, and ``seconds`` the time that is left. ``change``
    is the local time at which the limit changes before the end, with the pace from then on. Each
    is None if it is not known.
    """

    now: datetime
    pace: float | None
    seconds: float | None
    change: tuple[datetime, float | None] | None = None

    def __str__(self) -> str:
        """Return it for people: ``50 rows/s until 18:30, then about 1,900; done about Thu 04:10``.

        A time that is left is told in minutes if it is less than an hour.
        """
        text = _FREE if self.pace is None else f"{_rate(self.pace)} rows/s"
        if self.change is not None:
            time, pace = self.change
            after = _FREE if pace is None else f"about {_rate(pace)}"
            text += f" until {self._clock(time)}, then {after}"
        if self.seconds is None:
            return text
        if self.seconds < _DONE_IN:
            return f"{text}{'; ' if self.change else ', '}about {_left(self.seconds)} left"
        return f"{text}; done about {self.end()}"

    def end(self) -> str:
        """Return the local time of the end, with its day if that is not today; empty if unknown."""
        if self.seconds is None:
            return ""
        return self._clock(self.now + timedelta(seconds=self.seconds))

    def _clock(self, time: datetime) -> str:
        days = (time.date() - self.now.date()).days
        form = "%H:%M" if days == 0 else "%a %H:%M" if days < 7 else "%Y-%m-%d %H:%M"
        return time.strftime(form)


def forecast(
    left: int, pace: float | None, free_pace: float | None, limit: Timetable | None, now: datetime
) -> Forecast:
    """Return the forecast for the rows that are ``left``.

    ``pace`` is the present pace in rows a second, and ``free_pace`` the one without a limit; each
    is None if it is not known. ``now`` is the computer's local time, naive.
    """
    change = limit.next_change(now) if limit is not None else None
    if limit is None or change is None:
        return Forecast(now, pace, left / pace if pace else None)
    time, seconds, present = now, 0.0, pace
    first: tuple[datetime, float | None] | None = None
    for _ in range(_MOST_CHANGES):
        # Differences of naive local times ignore a clock change in between.
        lasts = change[0].timestamp() - time.timestamp()
        if present is not None and present * lasts >= left:
            return Forecast(now, pace, seconds + left / present if present else None, first)
        following = _least(change[1], free_pace)
        first = first or (change[0], following)
        if present is None:
            break
        left -= int(present * lasts)
        time, seconds, present = change[0], seconds + lasts, following
        change = limit.next_change(time) or change
    return Forecast(now, pace, None, first)


def _least(rate: float | None, pace: float | None) -> float | None:
    """Return the pace under a limit: a limit that is known alone is taken to be reached."""
    known = [each for each in (rate, pace) if each is not None]
    return min(known, default=None)


def _rate(pace: float) -> str:
    return f"{pace:,.0f}" if pace >= 10 else f"{pace:,.1f}"


def _left(seconds: float) -> str:
    return format_duration(seconds) if seconds < 60 else f"{seconds / 60:.0f} min"
