"""The newest state of a run, put together from its events, in the process of the page."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_MOST_MESSAGES = 50
_MOST_POINTS = 600

#: An event as JSON has it.
Json = Mapping[str, Any]


@dataclass
class StreamState:
    """A stream: the counts of its newest event, and the number of that change."""

    change: int
    facts: dict[str, Any]


@dataclass
class RunState:
    """The state of a run; ``change`` grows by one with each event."""

    change: int = 0
    start: Json = field(default_factory=dict)
    progress: Json = field(default_factory=dict)
    end: Json | None = None
    streams: dict[str, StreamState] = field(default_factory=dict)
    messages: deque[tuple[int, Json]] = field(default_factory=lambda: deque(maxlen=_MOST_MESSAGES))
    #: Rates over time, as (number of seconds, packets a second, True if something held it up).
    points: list[tuple[int, float, bool]] = field(default_factory=list)
    _seconds: int = 0
    _every: int = 1

    def apply(self, event: Json) -> None:
        """Take an event into account; an unknown one changes nothing."""
        self.change += 1
        match event["event"]:
            case "start":
                self.start = event
            case "progress":
                for name, (rows, done, retries, trouble) in event.get("streams", {}).items():
                    self._update(name, rows=rows, done=done, retries=retries, trouble=trouble)
                self.progress = {key: value for key, value in event.items() if key != "streams"}
                if event["rows"]:
                    self._add_point(event["rate"], bool(event["trouble"]))
            case "problem" | "notice":
                self.messages.append((self.change, event))
                if event["event"] == "problem":
                    self._update(event["meter"], problem=event["message"])
            case "stream":
                facts = {key: event[key] for key in event if key not in {"event", "time", "id"}}
                self._update(event["id"], trouble="", done=event["rows"] - event["unsent"], **facts)
            case "end":
                self.end = event

    def since(self, change: int) -> dict[str, Any]:
        """Return what has changed after a change; all of it after 0."""
        return {
            "change": self.change,
            "start": self.start,
            "progress": self.progress,
            "end": self.end,
            "streams": {
                name: each.facts for name, each in self.streams.items() if each.change > change
            },
            "messages": [event for number, event in self.messages if number > change],
            "points": self.points,
        }

    def _update(self, name: str, **facts: Any) -> None:
        known = self.streams.get(name)
        if known is None:
            self.streams[name] = StreamState(self.change, facts)
        else:
            known.change = self.change
            known.facts.update(facts)

    def _add_point(self, rate: float, is_held_up: bool) -> None:
        if self._seconds % self._every == 0:
            self.points.append((self._seconds, rate, is_held_up))
            if len(self.points) > _MOST_POINTS:
                self.points = list(_thinned(self.points))
                self._every *= 2
        elif is_held_up and self.points:
            seconds, before, _ = self.points[-1]
            self.points[-1] = (seconds, before, True)
        self._seconds += 1


def _thinned(points: list[tuple[int, float, bool]]) -> Iterator[tuple[int, float, bool]]:
    """Yield every second point; one that is left out passes on that something held up the run."""
    for index in range(0, len(points), 2):
        seconds, rate, is_held_up = points[index]
        following = points[index + 1][2] if index + 1 < len(points) else False
        yield seconds, rate, is_held_up or following
