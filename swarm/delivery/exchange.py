"""One stream's talk with the collector: its session and place, waits, refusals."""

from http import HTTPStatus
from typing import NoReturn

from swarm.collector.client import CollectorClient, LastPacketReply, Outcome
from swarm.collector.retry import RetryBudget, Verdict
from swarm.delivery.context import ExchangeContext, StreamEnded
from swarm.delivery.result import StreamKind, StreamProblem, Tally
from swarm.delivery.task import RowPlace, Target

_ANSWERED = frozenset({Verdict.ACKNOWLEDGED, Verdict.NOT_ALLOWED, Verdict.REJECTED})


class Exchange:
    """The exchanges of one stream; what is no answer to go on with ends in waiting or `Ended`.

    A ``tally`` is told why the stream waits, until its next packet is acknowledged.
    """

    def __init__(
        self, target: Target, context: ExchangeContext, tally: Tally | None = None
    ) -> None:
        self._target = target
        self._context = context
        self._tally = tally
        self._client: CollectorClient | None = None
        self._renewed: CollectorClient | None = None

    def wait_until_allowed(self) -> None:
        """Return when a request may go out: the collector is within reach, a place is free."""
        self._context.wait_for_turn(self._target.credential)
        self._acquire_client()

    def post(self, packet: bytes) -> Outcome:
        """Send one packet, once; call `clear` before."""
        outcome = self._acquire_client().post(self._target.url, packet)
        self._context.record_outcome(outcome, self._target.credential)
        if outcome.verdict is Verdict.ACKNOWLEDGED:
            self._renewed = None
            if self._tally and self._tally.stall_reason:
                self._tally.stall_reason = ""
        return outcome

    def ask_last_packet_once(self) -> LastPacketReply:
        """Ask for the stream's last packet."""
        self.wait_until_allowed()
        question = self._acquire_client().last_packet(self._target.url, self._target.stream)
        self._context.record_outcome(question.outcome, self._target.credential)
        return question

    def ask_last_packet(self, patience: RetryBudget, where: RowPlace | None) -> LastPacketReply:
        """Ask for the stream's last packet until the collector says something of use."""
        while True:
            question = self.ask_last_packet_once()
            if question.is_known or question.outcome.verdict in _ANSWERED:
                return question
            self.recover(question.outcome, patience, where)

    def recover(self, outcome: Outcome, patience: RetryBudget, where: RowPlace | None) -> None:
        """Return when it makes sense to try again after an outcome; raise `Ended` if never."""
        if outcome.verdict is Verdict.UNAUTHORIZED:
            self._unauthorized(outcome, where)
        elif outcome.verdict in {Verdict.NOT_ALLOWED, Verdict.REDIRECTED, Verdict.UNTRUSTED}:
            self._refused(outcome, where)
        else:
            self.wait(outcome, patience, where)

    def wait(self, outcome: Outcome, patience: RetryBudget, where: RowPlace | None) -> None:
        """Wait as the collector asks, or as the backoff says; `Ended` when patience is used up."""
        if self._tally:
            self._tally.stall_reason = outcome.detail
        if patience.is_used_up():
            self._give_up(outcome, where)
        # A collector that is out of reach is probed once for all streams: see `Context.may_send`.
        if outcome.verdict is not Verdict.UNREACHABLE:
            self.pause(patience.next_wait(outcome.wait))

    def pause(self, seconds: float) -> None:
        """Wait with the place free for another stream."""
        if seconds > 0:
            self.release_slot()
            self._context.sleep(seconds, self._target.credential)
            self._acquire_client()

    def release_slot(self) -> None:
        """Give the place back."""
        if self._client is not None:
            link, self._client = self._client, None
            self._context.release_slot(link)

    def end_stream(  # noqa: PLR0913 - the parts of one message
        self,
        kind: StreamKind,
        message: str,
        exit_code: int,
        where: RowPlace | None = None,
        status: int | None = None,
        *,
        stops_run: bool = False,
    ) -> NoReturn:
        """End the stream with a problem, at a row."""
        file, line = where or (None, None)
        problem = StreamProblem(kind, message, exit_code, line, status, file)
        raise StreamEnded(problem, stops_run=stops_run)

    def _acquire_client(self) -> CollectorClient:
        if self._client is None:
            self._client = self._context.acquire_slot(self._target.access)
        return self._client

    def _give_up(self, outcome: Outcome, where: RowPlace | None) -> NoReturn:
        retry_for = self._target.retry_for
        is_silent = outcome.status is None and self._context.is_outage(retry_for)
        message = (
            f"given up after {retry_for:g} s: {outcome.detail}; run the same command again to go on"
        )
        self.end_stream("temporary", message, 5, where, outcome.status, stops_run=is_silent)

    def _unauthorized(self, outcome: Outcome, where: RowPlace | None) -> None:
        """Try once more with a fresh session; after that the credentials are wrong.

        After a wait the stream may have another session, as old as the one before.
        """
        link = self._acquire_client()
        if self._renewed is not link:
            self._renewed = link
            link.renew()
            return
        if not self._context.is_credential_accepted(self._target.credential):
            self._context.disable_credential(self._target.credential)
        message = (
            "the collector does not accept the credentials of "
            f"{self._target.access.username}: {outcome.detail}"
        )
        self.end_stream("unauthorized", message, 4, None, outcome.status)

    def _refused(self, outcome: Outcome, where: RowPlace | None) -> NoReturn:
        words, status = outcome.detail, outcome.status
        if outcome.verdict is Verdict.REDIRECTED:
            message = f"the collector redirects, which is never followed: {words}; correct the URL"
            self.end_stream("redirect", message, 4, where, status, stops_run=True)
        if outcome.verdict is Verdict.UNTRUSTED:
            self.end_stream("tls", f"{words}; no credential was sent", 4, None, stops_run=True)
        hint = "; is the URL right?" if status == HTTPStatus.NOT_FOUND else ""
        self.end_stream("refused", f"refused by the collector: {words}{hint}", 4, where, status)
