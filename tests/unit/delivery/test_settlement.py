"""Packets without an answer: whether they were stored, and what happens where nothing tells.

A packet's fate is asked once `settle` has passed since the end of its exchange.
"""

import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import trustme

from swarm.checkpoint.ledger import ACKNOWLEDGED, Ledger
from swarm.checkpoint.ledger_format import Baseline, LedgerEntry, Note, Origin
from swarm.collector.client import LastPacketReply, Outcome
from swarm.collector.retry import RetryBudget, Verdict
from swarm.collector.transport.base import Access
from swarm.config.options import RetryPolicy
from swarm.delivery.context import StreamEnded
from swarm.delivery.exchange import Exchange
from swarm.delivery.result import StreamProblem, Tally
from swarm.delivery.settlement import SettledRows, Settlement
from swarm.delivery.task import RowItem, Target, notes_of
from swarm.delivery.verify import baseline
from tests.simulation.collector import Clock
from tests.support.collector import Behaviour, Collector, Raw, Request
from tests.support.streams import (
    STREAM,
    ScriptedCollector,
    StreamContext,
    holds,
    item,
    kill,
    last_packet,
    outcome,
    record,
    reopened,
    tells_nothing,
)
from tests.support.workspace import Workspace, packets, rows

LINES = rows(2)
#: The second connection takes longer to shake hands than `settle`; then the packet comes, the
#: connection is reset, and the packet is stored within `settle` all the same.
_HANDSHAKE, _STORED_AFTER, _SETTLE = 1.5, 0.8, 1.2

_RESET = Outcome(Verdict.UNSETTLED, "connection reset")
_ROW = item(10)
#: Answers that do not say what the last packet is: the question is not offered or refused, or the
#: answer can't be read.
_USELESS = [tells_nothing(status) for status in (405, 501, 403, 400, 200)]


class Setting:
    """A settlement with a collector that gives these answers, and all that it changes."""

    def __init__(
        self, clock: Clock, answers: Iterable[LastPacketReply | None], **policy: Any
    ) -> None:
        self.clock = clock
        self.tally = Tally()
        self.collector = ScriptedCollector(clock, answers=answers)
        self.context = StreamContext(clock, self.collector)
        rules = RetryPolicy(**{"settle": 2.0, "retry_for": 60.0, **policy})
        target = Target(STREAM, "", Access("u", "p"), 0)
        self.exchange = Exchange(target, rules, self.context, self.tally)
        self.settlement = Settlement(self.exchange, rules, self.tally)

    def reconcile(self, row: RowItem = _ROW, of: Outcome = _RESET, patience: float = 60.0) -> bool:
        """Return True if a packet was stored whose exchange has ended just now."""
        self.exchange.wait_until_allowed()
        return self.settlement.reconcile(row, of, self.clock.now, RetryBudget(patience))

    def reconcile_earlier_run(self, *notes: Note) -> SettledRows:
        """Return what became of the noted rows of a run whose ledger was opened just now."""
        return self.settlement.reconcile_earlier_run(notes, self.clock.now)

    @property
    def duplicates(self) -> int:
        """The number of packets that may be stored twice."""
        return self.tally.possible_duplicates


def ended(function: Callable[..., object], *arguments: object) -> StreamProblem:
    """Return the problem that ends a stream."""
    with pytest.raises(StreamEnded) as caught:
        function(*arguments)
    return caught.value.problem


# A packet of this run


def test_a_packet_that_is_the_collectors_last_was_stored(clock: Clock) -> None:
    """It is not sent again, and no duplicate is possible."""
    setting = Setting(clock, [holds(last_packet(_ROW))])
    assert setting.reconcile()
    assert (0, ["GET"]) == (setting.duplicates, setting.collector.methods)


def test_a_packet_is_found_however_the_collector_writes_it(clock: Clock) -> None:
    """Quoted, and with a field of the collector's own."""
    setting = Setting(clock, [holds(last_packet(_ROW, value="1.50", received="now"))])
    assert setting.reconcile()


@pytest.mark.parametrize("last", [None, last_packet(item(9))])
def test_a_packet_was_not_stored_if_the_last_one_is_older(clock: Clock, last: Any) -> None:
    """Or if there is none: it is sent again, and will be there once, also with ``stop``."""
    setting = Setting(clock, [holds(last)], on_ambiguous="stop")
    assert not setting.reconcile()
    assert 0 == setting.duplicates


_AMBIGUOUS = [
    holds(last_packet(_ROW, value=7)),
    holds(last_packet(item(11))),
    *_USELESS,
]


@pytest.mark.parametrize("answer", _AMBIGUOUS)
def test_a_packet_whose_fate_can_not_be_told_is_sent_again_and_counted(
    clock: Clock, answer: LastPacketReply
) -> None:
    """The last packet has its instant with other values, is newer, or is not told."""
    setting = Setting(clock, [answer])
    assert not setting.reconcile()
    assert (1, 1) == (setting.duplicates, len(setting.collector.calls))


@pytest.mark.parametrize("answer", _AMBIGUOUS)
def test_a_packet_whose_fate_can_not_be_told_ends_the_stream_if_that_was_asked_for(
    clock: Clock, answer: LastPacketReply
) -> None:
    """With ``on_ambiguous = stop``; nothing is sent twice, so nothing is counted."""
    setting = Setting(clock, [answer], on_ambiguous="stop")
    problem = ended(setting.reconcile)
    assert ("ambiguous", 5, 0) == (problem.kind, problem.exit_code, setting.duplicates)
    assert "--on-ambiguous resend sends it again" in problem.message


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (tells_nothing(405), "the collector does not return its last packet (HTTP 405)"),
        (
            holds(last_packet(item(11))),
            "the collector's last packet has the time 1970-01-01T00:11:00.000+00:00",
        ),
    ],
)
def test_the_problem_says_why_nothing_is_told(
    clock: Clock, answer: LastPacketReply, expected: str
) -> None:
    """With the collector's own answer, or the time of its last packet."""
    assert expected in ended(Setting(clock, [answer], on_ambiguous="stop").reconcile).message


def test_the_question_waits_until_the_packet_has_settled(clock: Clock) -> None:
    """From the end of the exchange, however long that took to come here; the slot is free."""
    setting = Setting(clock, [holds(None)], settle=2.0)
    ended_at = clock.now
    clock.sleep(0.5)
    setting.settlement.reconcile(_ROW, outcome(500, wait=0.25), ended_at, RetryBudget(60.0))
    assert [ended_at + 2.0] == setting.collector.asked
    assert [0.25, 1.25] == setting.context.sleeps


def test_the_question_waits_no_longer_than_that(clock: Clock) -> None:
    """A collector that asked for a longer wait got it: then the packet has settled."""
    setting = Setting(clock, [holds(None)], settle=2.0)
    setting.reconcile(of=outcome(503, wait=30.0))
    assert [30.0] == setting.context.sleeps


def test_a_question_without_a_useful_answer_is_asked_again(clock: Clock) -> None:
    """Until the collector says something, or the time for the packet is used up."""
    faults = [tells_nothing(503), LastPacketReply(_RESET), tells_nothing(429)]
    setting = Setting(clock, [*faults, holds(last_packet(_ROW))])
    assert setting.reconcile()
    assert 4 == len(setting.collector.asked)
    setting = Setting(clock, [tells_nothing(503)] * 1000, retry_for=10.0)
    problem = ended(setting.reconcile, _ROW, _RESET, 10.0)
    assert ("temporary", 5, 503) == (problem.kind, problem.exit_code, problem.status)
    assert "given up after 10 s: HTTP 503" in problem.message


def test_nothing_is_asked_once_the_time_for_the_packet_is_used_up(clock: Clock) -> None:
    """The stream ends with what the packet's exchange came to; the next run asks."""
    setting = Setting(clock, [])
    problem = ended(setting.reconcile, _ROW, _RESET, 0.0)
    assert ("temporary", "connection reset") == (problem.kind, setting.tally.stall_reason)
    assert [] == setting.collector.calls


# Streams that were restarted


@pytest.mark.parametrize("held", [Baseline(Origin.RESTARTED), baseline(last_packet(_ROW))])
def test_a_packet_from_before_a_restart_proves_nothing(clock: Clock, held: Baseline) -> None:
    """It may be the one that the collector held then, or is known to be that one."""
    setting = Setting(clock, [holds(last_packet(_ROW))])
    setting.settlement.baseline = held
    assert not setting.reconcile()
    assert 1 == setting.duplicates


@pytest.mark.parametrize(
    "held", [Baseline(), baseline(last_packet(item(11))), baseline(last_packet(_ROW, value=7))]
)
def test_a_packet_since_a_restart_was_stored(clock: Clock, held: Baseline) -> None:
    """The packet that was held then is known, and is another one."""
    setting = Setting(clock, [holds(last_packet(_ROW))])
    setting.settlement.baseline = held
    assert setting.reconcile()


def test_an_older_packet_from_before_a_restart_says_that_nothing_was_stored(clock: Clock) -> None:
    """Whoever sent it: the packet is not the collector's last."""
    setting = Setting(clock, [holds(last_packet(item(9)))], on_ambiguous="stop")
    setting.settlement.baseline = baseline(last_packet(item(9)))
    assert not setting.reconcile()
    assert 0 == setting.duplicates


# Rows that an earlier run has noted

_NOTES = tuple(notes_of([item(minute) for minute in (1, 2, 3)]))


@pytest.mark.parametrize("stored", [1, 2, 3])
def test_the_rows_up_to_the_last_packet_were_stored(clock: Clock, stored: int) -> None:
    """They went out in order; the others were not, and nothing is in doubt."""
    reply = holds(last_packet(item(stored)))
    setting = Setting(clock, [reply], on_ambiguous="stop")
    assert SettledRows(stored, (), reply) == setting.reconcile_earlier_run(*_NOTES)


@pytest.mark.parametrize("last", [None, last_packet(item(0))])
def test_no_row_was_stored_if_the_last_packet_is_older(clock: Clock, last: Any) -> None:
    """Or if there is none."""
    setting = Setting(clock, [holds(last)], on_ambiguous="stop")
    assert SettledRows(0, (), holds(last)) == setting.reconcile_earlier_run(*_NOTES)


@pytest.mark.parametrize(
    ("answer", "doubtful"),
    [
        (holds(last_packet(item(2), value=7)), _NOTES[:2]),
        (holds(last_packet(item(9))), _NOTES),
        (tells_nothing(405), _NOTES),
        (tells_nothing(200), _NOTES),
    ],
)
def test_rows_that_may_be_stored_are_doubtful(
    clock: Clock, answer: LastPacketReply, doubtful: tuple[Note, ...]
) -> None:
    """Those that are newer than the last packet are not; with ``stop`` the stream ends."""
    found = Setting(clock, [answer]).reconcile_earlier_run(*_NOTES)
    assert SettledRows(0, doubtful, answer) == found
    setting = Setting(clock, [answer], on_ambiguous="stop")
    assert "ambiguous" == ended(setting.reconcile_earlier_run, *_NOTES).kind


def test_late_rows_are_doubtful_by_their_own_times(clock: Clock) -> None:
    """They went out after newer ones: each is held to the last packet by itself."""
    notes = notes_of([item(minute) for minute in (5, 2, 4)])
    setting = Setting(clock, [holds(last_packet(item(4), value=7))])
    assert (notes[1], notes[2]) == setting.reconcile_earlier_run(*notes).in_doubt
    setting = Setting(clock, [holds(last_packet(item(2)))])
    assert (2, ()) == setting.reconcile_earlier_run(*notes)[:2]


def test_a_note_of_an_earlier_version_is_known_by_its_instant(clock: Clock) -> None:
    """It has no measurements."""
    note = Note(item(1).instant, 5, 0, 0)
    setting = Setting(clock, [holds(last_packet(item(1), value=7))])
    assert (1, ()) == setting.reconcile_earlier_run(note)[:2]


@pytest.mark.parametrize("held", [Baseline(Origin.RESTARTED), baseline(last_packet(item(2)))])
def test_rows_that_equal_a_packet_from_before_a_restart_are_doubtful(
    clock: Clock, held: Baseline
) -> None:
    """The last packet may be that one; rows that are newer than it were not stored."""
    setting = Setting(clock, [holds(last_packet(item(2)))])
    setting.settlement.baseline = held
    assert (0, _NOTES[:2]) == setting.reconcile_earlier_run(*_NOTES)[:2]


def test_rows_since_a_restart_were_stored(clock: Clock) -> None:
    """The last packet is another one than that which was held then."""
    setting = Setting(clock, [holds(last_packet(item(2)))])
    setting.settlement.baseline = baseline(last_packet(item(0)))
    assert (2, ()) == setting.reconcile_earlier_run(*_NOTES)[:2]


def test_an_earlier_runs_packet_has_settled_by_the_time_of_the_question(clock: Clock) -> None:
    """It was sent before the ledger was opened: it needs no more than ``settle`` from then."""
    setting = Setting(clock, [holds(None)], settle=2.0)
    opened = clock.now
    clock.sleep(0.5)
    setting.settlement.reconcile_earlier_run(_NOTES, opened)
    assert [opened + 2.0] == setting.collector.asked
    setting = Setting(clock, [holds(None)], settle=2.0)
    setting.settlement.reconcile_earlier_run(_NOTES, clock.now - 10)
    assert [] == setting.context.sleeps


def test_the_question_for_an_earlier_run_is_given_up_after_a_while(clock: Clock) -> None:
    """After ``retry_for``: nothing is sent until it has an answer."""
    setting = Setting(clock, [tells_nothing(500)] * 1000, retry_for=10.0, settle=0)
    began = clock.now
    problem = ended(setting.reconcile_earlier_run, *_NOTES)
    assert ("temporary", 500) == (problem.kind, problem.status)
    assert began + 10 == clock.now


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (holds(last_packet(item(2))), ([0, 1, 2], [])),
        (holds(last_packet(item(0))), ([0], [])),
        (holds(last_packet(item(2), value=7)), ([0], [1, 2])),
        (tells_nothing(405), ([0], [1, 2, 3])),
    ],
)
def test_after_a_power_cut_one_question_settles_all_rows_in_doubt(
    path: Path,
    clock: Clock,
    power_cut: Callable[[], None],
    answer: LastPacketReply,
    expected: tuple[list[int], list[int]],
) -> None:
    """The ledger records what was stored, and keeps what nothing tells of."""
    stored, doubts = expected
    ledger = Ledger.create(path, STREAM)
    record(ledger, item(0))
    kill(ledger, item(1), item(2), item(3))
    power_cut()
    ledger = reopened(path)
    assert _NOTES == ledger.in_doubt
    setting = Setting(clock, [answer])
    found = setting.reconcile_earlier_run(*ledger.in_doubt)
    ledger.settle(found.stored, found.in_doubt)
    ledger.close()
    ledger = reopened(path)
    assert [LedgerEntry(item(n).instant, item(n).digest, ACKNOWLEDGED) for n in stored] == list(
        ledger.entries()
    )
    assert {(item(n).instant, item(n).digest) for n in doubts} == ledger.unresolved
    assert () == ledger.in_doubt
    ledger.close()


# The time to settle, with a real connection


@pytest.mark.parametrize("engine", ["curl", "requests"])
def test_a_slow_handshake_does_not_use_up_the_time_to_settle(
    workspace: Workspace, tmp_path: Path, engine: str
) -> None:
    """Asked too early, the collector would not know the packet yet, and get it twice."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    posts: list[int] = []

    def script(request: Request, _: Collector) -> Behaviour | None:
        if request.method == "GET":
            # The next request comes over a new connection.
            return None if posts else Raw(data=b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
        posts.append(request.connection)
        return Raw(end="reset", later=_STORED_AFTER) if len(posts) == 1 else None

    with Collector(
        script, tls=context, handshake=lambda number: _HANDSHAKE if number == 1 else 0.0
    ) as collector:
        config = workspace.ini(
            collector.url,
            {"m": workspace.csv("m.csv", LINES)},
            swarm={"ca_bundle": str(tmp_path / "ca.pem")},
            upload={"settle": f"{_SETTLE}s", "transport": engine},
        )
        done = workspace.run(config, "--json").balanced()
        assert (0, 2) == (done.code, done.meters["m"]["sent"])
        assert 1 == posts[0]  # the slow one
        assert packets("m", LINES) == collector.packets("m")
