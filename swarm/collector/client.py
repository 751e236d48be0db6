"""Client of the collector's API: post packets, ask for the last packet, interpret the answers."""

import json
import time
from contextlib import suppress
from functools import cache
from typing import NamedTuple
from urllib.parse import quote

from swarm.collector.masking import mask_secrets
from swarm.collector.retry import Verdict, retry_after, verdict_of
from swarm.collector.transport import open_session
from swarm.collector.transport.base import Access, Answer, Engine
from swarm.errors import TransportFault, Unanswered, Unreachable, Untrusted
from swarm.packet import instant_of
from swarm.scheduler import THREADS, Scheduler
from swarm.text import printable

#: Limit for text of the collector in a message, in characters.
LONGEST_DETAIL = 500

_VERDICTS: dict[type[TransportFault], Verdict] = {
    Unreachable: Verdict.UNREACHABLE,
    Untrusted: Verdict.UNTRUSTED,
    Unanswered: Verdict.UNSETTLED,
}


class Outcome(NamedTuple):
    """The outcome of one request; ``wait`` is the pause that the collector asked for (s)."""

    verdict: Verdict
    detail: str = ""
    status: int | None = None
    wait: float | None = None


@cache
def _acknowledged(status: int) -> Outcome:
    """Return the outcome of an acknowledged packet."""
    return Outcome(Verdict.ACKNOWLEDGED, status=status)


class LastPacket(NamedTuple):
    """The collector's last packet of a stream: its instant (ms) and its fields."""

    instant: int
    fields: dict[str, object]


class LastPacketReply(NamedTuple):
    """The result of a request for a stream's last packet.

    ``is_known`` is False if the collector gave no usable answer; ``outcome`` has the reason. If
    ``is_known`` is True and ``last`` is None, the collector holds nothing of the stream.
    """

    outcome: Outcome
    is_known: bool = False
    last: LastPacket | None = None


class CollectorClient:
    """A session with the collector under one credential, for use by one job at a time."""

    def __init__(self, engine: Engine, access: Access, scheduler: Scheduler = THREADS) -> None:
        self.access = access
        self._engine = engine
        self._scheduler = scheduler
        self._session = open_session(engine, access, scheduler)

    def renew(self) -> None:
        """Replace the session by a new one, without its cookies, of which one may have expired."""
        self._session.close()
        self._session = open_session(self._engine, self.access, self._scheduler)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def post(self, url: str, packet: bytes) -> Outcome:
        """Send one packet, without retries."""
        try:
            answer = self._session.post(url, packet)
        except TransportFault as fault:
            return Outcome(_VERDICTS[type(fault)], str(fault))
        if 200 <= answer.status < 300:
            return _acknowledged(answer.status)
        return self._outcome(answer)

    def last_packet(self, url: str, stream: str) -> LastPacketReply:
        """Ask for the last packet that the collector holds of a stream."""
        try:
            answer = self._session.get(f"{url}?stream={quote(stream, safe='')}")
        except TransportFault as fault:
            return LastPacketReply(Outcome(_VERDICTS[type(fault)], str(fault)))
        outcome = self._outcome(answer)
        if answer.status == 404:
            return LastPacketReply(outcome, is_known=True)
        if outcome.verdict is not Verdict.ACKNOWLEDGED:
            return LastPacketReply(outcome)
        is_known = False
        # An answer that can't be read leaves it unknown what is stored.
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            fields = json.loads(answer.body) if answer.body.strip() else None
            if fields:
                last = LastPacket(instant_of(fields["tsISO8601"]), fields)
                return LastPacketReply(outcome, is_known=True, last=last)
            is_known = True
        if answer.is_cut:
            # An empty body means that nothing is stored, but one that was cut means nothing.
            detail = f"the answer is incomplete: {outcome.detail}"
            return LastPacketReply(Outcome(Verdict.UNSETTLED, detail, answer.status))
        return LastPacketReply(outcome, is_known=is_known)

    def _outcome(self, answer: Answer) -> Outcome:
        """Return the outcome of an answer, with the collector's text without secrets."""
        text = answer.body.decode("utf-8", "replace").strip()
        credentials = self.access.authorization.partition(" ")[2]
        text = mask_secrets(text, [self.access.password, credentials])
        text = printable(text[:LONGEST_DETAIL])
        detail = f"HTTP {answer.status}" + (f": {text[:LONGEST_DETAIL]}" if text else "")
        wait = retry_after(answer.retry_after, time.time())
        return Outcome(verdict_of(answer.status), detail, answer.status, wait)
