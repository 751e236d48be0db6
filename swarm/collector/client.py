"""The collector's API: a session with a credential, answers -> outcomes, the last packet."""

import json
import time
from typing import NamedTuple
from urllib.parse import quote

from swarm.collector.masking import mask_secrets
from swarm.collector.retry import Verdict, retry_after, verdict_of
from swarm.collector.transport import open_session
from swarm.collector.transport.base import Access, Answer, Engine
from swarm.errors import Unanswered, Unreachable, Untrusted
from swarm.packet import instant_of
from swarm.scheduler import THREADS, Scheduler

#: How much of a collector's own words is told, in characters.
LONGEST_DETAIL = 500


class Outcome(NamedTuple):
    """The outcome of one exchange; ``wait`` is what the collector asked for, in seconds."""

    verdict: Verdict
    detail: str = ""
    status: int | None = None
    wait: float | None = None


class LastPacket(NamedTuple):
    """The collector's last packet of a stream: its instant (ms) and its fields."""

    instant: int
    fields: dict[str, object]


class LastPacketReply(NamedTuple):
    """The answer to "what do you hold of this stream?".

    ``last`` is None where nothing is stored. ``is_known`` is False where the collector gave no
    usable answer; then ``outcome`` tells why.
    """

    outcome: Outcome
    is_known: bool = False
    last: LastPacket | None = None


class CollectorClient:
    """One session to a collector with one credential, for one job at a time."""

    def __init__(self, engine: Engine, access: Access, scheduler: Scheduler = THREADS) -> None:
        self.access = access
        self._engine = engine
        self._scheduler = scheduler
        self._session = open_session(engine, access, scheduler)

    def renew(self) -> None:
        """Begin a fresh session: an expired cookie is left behind."""
        self._session.close()
        self._session = open_session(self._engine, self.access, self._scheduler)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def post(self, url: str, packet: bytes) -> Outcome:
        """Send one packet, once."""
        try:
            answer = self._session.post(url, packet)
        except (Unreachable, Unanswered, Untrusted) as fault:
            return _fault(fault)
        if 200 <= answer.status < 300:
            return Outcome(Verdict.ACKNOWLEDGED, status=answer.status)
        return self._outcome(answer)

    def last_packet(self, url: str, stream: str) -> LastPacketReply:
        """Ask for the last packet that the collector holds of a stream."""
        try:
            answer = self._session.get(f"{url}?stream={quote(stream, safe='')}")
        except (Unreachable, Unanswered, Untrusted) as fault:
            return LastPacketReply(_fault(fault))
        outcome = self._outcome(answer)
        if answer.status == 404:
            return LastPacketReply(outcome, is_known=True)
        if outcome.verdict is not Verdict.ACKNOWLEDGED:
            return LastPacketReply(outcome)
        question = _last_packet_reply(answer.body, outcome)
        if answer.is_cut and question.last is None:
            # An empty body says that nothing is stored; one that was cut says nothing at all.
            words = f"the answer was cut: {outcome.detail}"
            return LastPacketReply(Outcome(Verdict.UNSETTLED, words, answer.status))
        return question

    def _outcome(self, answer: Answer) -> Outcome:
        wait = retry_after(answer.retry_after, time.time())
        return Outcome(verdict_of(answer.status), self._words(answer), answer.status, wait)

    def _words(self, answer: Answer) -> str:
        text = answer.body.decode("utf-8", "replace").strip()
        pair = self.access.authorization.partition(" ")[2]
        text = mask_secrets(text, [self.access.password, pair])
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:LONGEST_DETAIL])
        return f"HTTP {answer.status}" + (f": {text[:LONGEST_DETAIL]}" if text else "")


def _fault(fault: Unreachable | Unanswered | Untrusted) -> Outcome:
    if isinstance(fault, Unreachable):
        return Outcome(Verdict.UNREACHABLE, str(fault))
    if isinstance(fault, Untrusted):
        return Outcome(Verdict.UNTRUSTED, str(fault))
    return Outcome(Verdict.UNSETTLED, str(fault))


def _last_packet_reply(body: bytes, outcome: Outcome) -> LastPacketReply:
    try:
        fields = json.loads(body) if body.strip() else None
        if not fields:
            return LastPacketReply(outcome, is_known=True)
        return LastPacketReply(
            outcome, is_known=True, last=LastPacket(instant_of(fields["tsISO8601"]), fields)
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return LastPacketReply(outcome)
