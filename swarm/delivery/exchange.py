"""One stream's talk with the collector: its session and place, waits, refusals."""

from http import HTTPStatus
from typing import NoReturn

from swarm.collector.client import Link, Outcome, Question
from swarm.collector.retry import Patience, Verdict
from swarm.delivery.context import Ended, ExchangeContext
from swarm.delivery.result import StreamKind, StreamProblem, Tally
from swarm.delivery.task import Target, Where

_ANSWERED = frozenset({Verdict.ACKNOWLEDGED, Verdict.REFUSED, Verdict.REJECTED})


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
        self._place: Link | None = None
        self._renewed: Link | None = None

    def clear(self) -> None:
        """Return when a request may go out: the collector is within reach, a place is free."""
        self._context.may_send(self._target.credential)
        self._link()

    def post(self, packet: bytes) -> Outcome:
        """Send one packet, once; call `clear` before."""
        outcome = self._link().post(self._target.url, packet)
        self._context.heard(outcome, self._target.credential)
        if outcome.verdict is Verdict.ACKNOWLEDGED:
            self._renewed = None
            if self._tally and self._tally.trouble:
                self._tally.trouble = ""
        return outcome

    def ask_once(self) -> Question:
        """Ask for the stream's last packet."""
        self.clear()
        question = self._link().last(self._target.url, self._target.stream)
        self._context.heard(question.outcome, self._target.credential)
        return question

    def ask(self, patience: Patience, where: Where | None) -> Question:
        """Ask for the stream's last packet until the collector says something of use."""
        while True:
            question = self.ask_once()
            if question.is_known or question.outcome.verdict in _ANSWERED:
                return question
            self.get_over(question.outcome, patience, where)

    def get_over(self, outcome: Outcome, patience: Patience, where: Where | None) -> None:
        """Return when it makes sense to try again after an outcome; raise `Ended` if never."""
        if outcome.verdict is Verdict.UNAUTHORIZED:
            self._unauthorized(outcome, where)
        elif outcome.verdict in {Verdict.REFUSED, Verdict.REDIRECTED, Verdict.UNTRUSTED}:
            self._refused(outcome, where)
        else:
            self.wait(outcome, patience, where)

    def wait(self, outcome: Outcome, patience: Patience, where: Where | None) -> None:
        """Wait as the collector asks, or as the backoff says; `Ended` when patience is used up."""
        if self._tally:
            self._tally.trouble = outcome.words
        if patience.is_used_up():
            self._give_up(outcome, where)
        # A collector that is out of reach is probed once for all streams: see `Context.may_send`.
        if outcome.verdict is not Verdict.UNREACHABLE:
            self.pause(patience.next_wait(outcome.wait))

    def pause(self, seconds: float) -> None:
        """Wait with the place free for another stream."""
        if seconds > 0:
            self.leave()
            self._context.sleep(seconds, self._target.credential)
            self._link()

    def leave(self) -> None:
        """Give the place back."""
        if self._place is not None:
            link, self._place = self._place, None
            self._context.leave(link)

    def stop(  # noqa: PLR0913 - the parts of one message
        self,
        kind: StreamKind,
        message: str,
        exit_code: int,
        where: Where | None = None,
        status: int | None = None,
        *,
        stops_run: bool = False,
    ) -> NoReturn:
        """End the stream with a problem, at a row."""
        file, line = where or (None, None)
        problem = StreamProblem(kind, message, exit_code, line, status, file)
        raise Ended(problem, stops_run=stops_run)

    def _link(self) -> Link:
        if self._place is None:
            self._place = self._context.enter(self._target.access)
        return self._place

    def _give_up(self, outcome: Outcome, where: Where | None) -> NoReturn:
        retry_for = self._target.retry_for
        is_silent = outcome.status is None and self._context.gives_up(retry_for)
        message = (
            f"given up after {retry_for:g} s: {outcome.words}; run the same command again to go on"
        )
        self.stop("temporary", message, 5, where, outcome.status, stops_run=is_silent)

    def _unauthorized(self, outcome: Outcome, where: Where | None) -> None:
        """Try once more with a fresh session; after that the credentials are wrong.

        After a wait the stream may have another session, as old as the one before.
        """
        link = self._link()
        if self._renewed is not link:
            self._renewed = link
            link.renew()
            return
        if not self._context.is_accepted(self._target.credential):
            self._context.condemn(self._target.credential)
        message = (
            "the collector does not accept the credentials of "
            f"{self._target.access.username}: {outcome.words}"
        )
        self.stop("unauthorized", message, 4, None, outcome.status)

    def _refused(self, outcome: Outcome, where: Where | None) -> NoReturn:
        words, status = outcome.words, outcome.status
        if outcome.verdict is Verdict.REDIRECTED:
            message = f"the collector redirects, which is never followed: {words}; correct the URL"
            self.stop("redirect", message, 4, where, status, stops_run=True)
        if outcome.verdict is Verdict.UNTRUSTED:
            self.stop("tls", f"{words}; no credential was sent", 4, None, stops_run=True)
        hint = "; is the URL right?" if status == HTTPStatus.NOT_FOUND else ""
        self.stop("refused", f"refused by the collector: {words}{hint}", 4, where, status)
