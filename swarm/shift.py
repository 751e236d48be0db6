"""From a row's time to the time that is sent: ``shift`` and ``route = utc``."""

from swarm.localtime import Zone
from swarm.settings import CsvRules

#: Instant and offset in ms.
Moment = tuple[int, int]


def local_zone(rules: CsvRules) -> Zone | None:
    """Return the zone of the CSV's times; None where they bring their offsets themselves."""
    named = None if "%z" in rules.timestamp_format else rules.timezone
    return Zone(named) if named else None


class Shift:
    """The way from a row's time to that of its packet."""

    def __init__(self, rules: CsvRules) -> None:
        self.ms = round(rules.shift * 1000)
        self._utc = rules.utc
        # Offsets that the CSV brings itself stay as they are.
        self._zone = local_zone(rules)

    @property
    def is_none(self) -> bool:
        """Whether times go out as they are."""
        return not self.ms and not self._utc

    def sent_at(self, instant: int, offset: int, *, later: bool = True) -> Moment:
        """Return the moment that is sent; without ``later`` it is not shifted.

        Raises OverflowError or ValueError past the calendar's end.
        """
        if later and self.ms:
            instant += self.ms
            if self._zone is not None:
                offset = self._zone.offset_at(instant)
        return instant, 0 if self._utc else offset
