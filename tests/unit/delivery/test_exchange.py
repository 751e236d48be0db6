"""One stream's talk with the collector, with sessions that are scripted."""

import pickle
from collections.abc import Sequence
from typing import Any, cast

import pytest

from swarm.collector.client import CollectorClient, Outcome
from swarm.collector.retry import RetryBudget, verdict_of
from swarm.collector.transport.base import Access
from swarm.config.options import RetryPolicy
from swarm.delivery.context import CollectorDown, StopRequested, StreamEnded
from swarm.delivery.exchange import Exchange
from swarm.delivery.task import Target


class Session:
    """A session that gives the answers of a script."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.renewals = 0

    def post(self, *_: object) -> Outcome:
        """Answer."""
        status = self.statuses.pop(0)
        return Outcome(verdict_of(status), f"HTTP {status}", status, wait=0.01)

    def renew(self) -> None:
        """Count it."""
        self.renewals += 1


class Context:
    """A context that hands out sessions in turn; all else is of no interest."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self.sessions = list(sessions)

    def acquire_slot(self, _: Access) -> CollectorClient:
        """Return the next session."""
        return cast(CollectorClient, self.sessions.pop(0))

    def __getattr__(self, _: str) -> Any:
        return lambda *_: None


def posted(*sessions: Session) -> int | None:
    """Post until the packet is acknowledged, or the stream ends; return the last status."""
    exchange = Exchange(
        Target("m", "", Access("u", "p"), 0), RetryPolicy(60.0), cast(Any, Context(sessions))
    )
    patience = RetryBudget(60.0)
    while (outcome := exchange.post(b"")).status != 200:
        exchange.recover(outcome, patience, None)
    return outcome.status


def test_each_session_that_has_expired_is_renewed_once() -> None:
    """After a wait a stream may get another session, as old as its first: that is renewed too."""
    first, second = Session(401, 429), Session(401, 200)
    assert 200 == posted(first, second)
    assert [1, 1] == [first.renewals, second.renewals]


def test_a_fresh_session_that_is_refused_ends_the_stream() -> None:
    """One try with a fresh session, no more."""
    session = Session(401, 401)
    with pytest.raises(StreamEnded) as caught:
        posted(session)
    assert (1, 4) == (session.renewals, caught.value.problem.exit_code)


@pytest.mark.parametrize(
    "error", [StopRequested(), StopRequested(is_refused=True), CollectorDown(5.0, "refused")]
)
def test_the_ends_of_a_stream_can_be_pickled(error: StopRequested | CollectorDown) -> None:
    """A worker process may send them to its parent."""
    copy = pickle.loads(pickle.dumps(error))
    assert (str(error), vars(error)) == (str(copy), vars(copy))
