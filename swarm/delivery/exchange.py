"""The requests of one stream: its connection slot, its waits, and the answers that end it."""

from http import HTTPStatus
from typing import NoReturn

from swarm.collector.client import CollectorClient, LastPacketReply, Outcome
from swarm.collector.retry import ANSWERED, RetryBudget, Verdict
from swarm.config.options import RetryPolicy
from swarm.delivery.context import CollectorDown, ExchangeContext, StreamEnded, unauthorized
from swarm.delivery.result import RowPlace, StreamProblem, Tally
from swarm.delivery.task import Target
from swarm.errors import ExitCode


class Exchange:
    """The exchanges of one stream with the collector.

    After an answer that does not let the stream continue, `recover` waits or raises `StreamEnded`.
    While the stream waits, the ``stall_reason`` of its ``tally`` says why.
    """

    def __init__(
        self,
        target: Target,
        policy: RetryPolicy,
        context: ExchangeContext,
        tally: Tally | None = None,
    ) -> None:
        self._target = target
        self._policy = policy
        self._context = context
        self._tally = tally
        self._client: CollectorClient | None = None
        self._renewed: CollectorClient | None = None

    def wait_until_allowed(self) -> None:
        """Return when a request may be sent: the collector is reachable, a slot is free."""
        if self._context.is_slot_recalled():
            self.release_slot()
            self._acquire_client()
        self._context.wait_for_turn(self._target.credential)
        if self._client is None:
            self._acquire_client()

    def post(self, packet: bytes) -> Outcome:
        """Post one packet, once; the caller has called `wait_until_allowed` before."""
        client = self._client or self._acquire_client()
        outcome = client.post(self._target.url, packet)
        self._context.record_outcome(outcome, self._target.credential)
        if outcome.verdict is Verdict.ACKNOWLEDGED:
            self._renewed = None
            if self._tally and self._tally.stall_reason:
                self._tally.stall_reason = ""
        return outcome

    def ask_last_packet_once(self) -> LastPacketReply:
        """Ask for the stream's last packet, once.

        Raises `StopRequested`, or `CollectorDown` after an outage as long as a packet is tried.
        """
        self.wait_until_allowed()
        reply = self._acquire_client().last_packet(self._target.url, self._target.stream)
        self._context.record_outcome(reply.outcome, self._target.credential)
        return reply

    def ask_last_packet(
        self, budget: RetryBudget | None = None, place: RowPlace | None = None
    ) -> LastPacketReply:
        """Ask for the stream's last packet until there is an answer, or the budget is used up."""
        budget = budget or RetryBudget(self._policy.retry_for)
        while True:
            reply = self.ask_last_packet_once()
            if reply.is_known or reply.outcome.verdict in ANSWERED:
                return reply
            self.recover(reply.outcome, budget, place)

    def recover(self, outcome: Outcome, budget: RetryBudget, place: RowPlace | None) -> None:
        """Return when it makes sense to try again; raise `StreamEnded` if it never does."""
        if outcome.verdict is Verdict.UNAUTHORIZED:
            self._renew_session(outcome)
        elif outcome.verdict in {Verdict.NOT_ALLOWED, Verdict.REDIRECTED, Verdict.UNTRUSTED}:
            self.end_refused(outcome, place)
        else:
            self.wait(outcome, budget, place)

    def wait(self, outcome: Outcome, budget: RetryBudget, place: RowPlace | None) -> None:
        """Wait as long as the collector asks, else the backoff.

        Raises `StreamEnded` if the budget is used up.
        """
        if self._tally:
            self._tally.stall_reason = outcome.detail
        if budget.is_used_up():
            retry_for = self._policy.retry_for
            message = str(CollectorDown(retry_for, outcome.detail))
            problem = StreamProblem(
                "temporary", message, ExitCode.TEMPORARY, status=outcome.status
            ).at(place)
            is_outage = outcome.status is None and self._context.is_outage(retry_for)
            raise StreamEnded(problem, stops_run=is_outage)
        # During an outage one stream probes for all: `wait_for_turn` waits.
        if outcome.verdict is not Verdict.UNREACHABLE:
            self.pause(budget.next_wait(outcome.wait))

    def pause(self, seconds: float) -> None:
        """Wait with the connection slot released for other streams, then acquire one again.

        Raises `StopRequested` if the run must end meanwhile.
        """
        if seconds > 0:
            self.release_slot()
            self._context.sleep(seconds, self._target.credential)
            self._acquire_client()

    def release_slot(self) -> None:
        """Release the connection slot, if the stream has one."""
        if self._client is not None:
            client, self._client = self._client, None
            self._context.release_slot(client)

    def _acquire_client(self) -> CollectorClient:
        if self._client is None:
            self._client = self._context.acquire_slot(self._target.access)
        return self._client

    def _renew_session(self, outcome: Outcome) -> None:
        """Renew the session once; if that does not help, the credentials are wrong.

        After a wait the stream may have another client, whose session is as old: that one is
        renewed as well.
        """
        client = self._acquire_client()
        if self._renewed is not client:
            self._renewed = client
            client.renew()
            return
        self._context.refuse_credential(self._target.credential)
        message = f"{unauthorized(self._target.access.username)}: {outcome.detail}"
        raise StreamEnded(
            StreamProblem("unauthorized", message, ExitCode.REFUSED, status=outcome.status)
        )

    def end_refused(self, outcome: Outcome, place: RowPlace | None = None) -> NoReturn:
        """End the stream: trying again does not help."""
        detail, status, refused = outcome.detail, outcome.status, ExitCode.REFUSED
        if outcome.verdict is Verdict.UNTRUSTED:
            message = f"{detail}; no credential was sent"
            raise StreamEnded(StreamProblem("tls", message, refused), stops_run=True)
        if outcome.verdict is Verdict.REDIRECTED:
            message = (
                f"the collector redirects, and swarm never follows a redirect: {detail}; "
                "correct the URL"
            )
            problem = StreamProblem("redirect", message, refused, status=status)
            raise StreamEnded(problem.at(place), stops_run=True)
        hint = "; check the URL" if status == HTTPStatus.NOT_FOUND else ""
        message = f"refused by the collector: {detail}{hint}"
        raise StreamEnded(StreamProblem("refused", message, refused, status=status).at(place))
