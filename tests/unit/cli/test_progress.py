"""The progress of a run: bars on real pseudo-terminals, lines elsewhere."""

import io
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from swarm.cli import bars
from swarm.cli.log import LOG, set_up
from swarm.cli.progress import BarProgress, LineProgress, SilentProgress, make_progress
from swarm.csv import CheckResult
from swarm.csv.problems import Problem
from swarm.delivery.result import StreamProblem, StreamResult, Tally
from swarm.errors import ExitCode
from tests.support.terminal import Screen, Terminal

pytestmark = pytest.mark.usefixtures("own_log")

SIZES = [(24, 80), (10, 40), (6, 30), (5, 200), (3, 80), (60, 100)]


@contextmanager
def drawing(
    lines: int, columns: int, *, verbose: int = 0, file: Path | None = None
) -> Iterator[tuple[BarProgress, Terminal]]:
    """Yield progress bars and the terminal of that size which they are drawn on."""
    with Terminal(lines, columns) as terminal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", terminal.file)
        set_up(verbose, file=file)
        yield (shown := BarProgress()), terminal
        shown.close()
        terminal.settle()


def names(count: int) -> list[str]:
    """Return the IDs of streams."""
    return [f"meter-{number:03}" for number in range(count)]


def tick() -> None:
    """Wait until bars may be drawn again."""
    time.sleep(bars.FRAME_SECONDS * 1.1)


def whole(screen: Screen) -> list[str]:
    """Return the lines that are the total bar."""
    return [line for line in screen.lines if line.startswith("total")]


def parts(screen: Screen) -> list[str]:
    """Return the streams that have a bar on the screen, from top to bottom."""
    return re.findall(r"^(meter-\d*)[^:\n]*:", "\n".join(screen.lines), re.MULTILINE)


@pytest.mark.parametrize(("lines", "columns"), SIZES)
def test_bars_never_need_more_lines_than_there_are(lines: int, columns: int) -> None:
    """A terminal of any size has one total bar, and a bar per stream while there is room."""
    with drawing(lines, columns) as (shown, terminal):
        streams = names(40)
        shown.sending(dict.fromkeys(streams, 100))
        room = max(min(lines - 4, 16), 0)
        tallies = {stream: Tally() for stream in streams[:30]}
        for _ in range(3):
            tick()
            for tally in tallies.values():
                tally.sent += 10
            shown.tallies(tallies)
            screen = terminal.settle()
            assert (1, room) == (len(whole(screen)), len(parts(screen)))
            assert len(set(parts(screen))) == room
            assert screen.history == screen.lines  # nothing has scrolled away


def test_a_stream_that_ends_gives_its_line_to_another() -> None:
    """Streams in flight have bars; the total counts all; at the end only the total is left."""
    with drawing(24, 80) as (shown, terminal):
        shown.sending(dict.fromkeys(names(20), 10))
        tallies = {name: Tally(sent=5, resumed=1) for name in names(18)}
        shown.tallies(tallies)
        assert names(16) == parts(terminal.settle())
        shown.ended(StreamResult("meter-003", "done", Tally(sent=10)))
        tick()
        shown.tallies(tallies)
        screen = terminal.settle()
        expected = names(18)[:17]
        expected[3] = expected.pop()
        assert expected == parts(screen)
        assert "112/200" in whole(screen)[0]  # 17 streams of 6 rows, one of 10
        for name in names(20):
            shown.ended(StreamResult(name, "done", Tally(sent=10)))
        shown.close()
        screen = terminal.settle()
        assert (1, []) == (len(screen.lines), parts(screen))
        assert re.fullmatch(r"total +: 100%\|█+\| 200/200 \[.*rows/s\]", screen.lines[0])


def test_one_stream_has_no_bar_beside_the_total() -> None:
    """The bar of a single stream would show the same as the total."""
    with drawing(24, 80) as (shown, terminal):
        shown.sending({"meter-000": 100})
        tick()
        shown.tallies({"meter-000": Tally(sent=50)})
        assert (1, []) == (len(whole(screen := terminal.settle())), parts(screen))


def test_lines_of_the_log_stand_above_the_bars() -> None:
    """Notices, problems and -v lines scroll above the bars, and leave the bars whole."""
    with drawing(12, 70, verbose=1) as (shown, terminal):
        shown.sending(dict.fromkeys(names(5), 100))
        tallies = {name: Tally(sent=30) for name in names(5)}
        notices = []
        for number in range(20):
            shown.tallies(tallies)
            shown.notice(f"notice {number}")
            notices.append(f"notice: notice {number}")
            screen = terminal.settle()
            assert (1, names(5)) == (len(whole(screen)), parts(screen))
        shown.stopping("SIGINT received")
        LOG.error("gas.csv:7:2: not a number")
        shown.close()
        history = terminal.settle().history
        assert notices == [line for line in history if line.startswith("notice")]
        assert ("sending 500 rows of 5 streams", "gas.csv:7:2: not a number") == (
            history[0],
            history[-3],
        )
        assert history[-2].startswith("total")
        assert history[-1].startswith("150 of 500 rows (30 %)")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_ctrl_c_leaves_no_remains(columns: int) -> None:
    """The ^C that the terminal itself writes at the cursor is overwritten."""
    with drawing(12, columns) as (shown, terminal):
        shown.sending(dict.fromkeys(names(3), 100))
        shown.tallies({name: Tally(sent=30) for name in names(3)})
        terminal.file.write("^C")
        shown.stopping("SIGINT received")
        shown.close()
        lines = terminal.settle().history
        assert lines[0].startswith("stopping: SIGINT received")
        assert (1, False) == (len(whole(terminal.screen)), any("^" in line for line in lines))


@pytest.mark.parametrize("columns", [56, 60, 79])
def test_a_narrow_terminal_has_the_rate(columns: int) -> None:
    """A narrow terminal has the figures, without a bar."""
    with drawing(12, columns) as (shown, terminal):
        streams = {"il-electricity-kwh-hourly": 19_417, "il-gas": 19_417}
        shown.sending(streams)
        for sent in (10_000, 10_100):
            tick()
            shown.tallies(dict.fromkeys(streams, Tally(sent=sent)))
        for line in terminal.settle().lines:
            assert re.search(r": +\d+% \d+/\d+ \S+ .*rows/s$", line), line


def test_odd_and_long_names_fit() -> None:
    """IDs that are long, wide or contain control characters keep to their columns."""
    odd = ["x" * 300, "東京" * 40, "a\x1b[2J\tb"]
    with drawing(24, 100) as (shown, terminal):
        shown.sending(dict.fromkeys(odd, 10))
        tick()
        shown.tallies({name: Tally(sent=5) for name in odd})
        lines = terminal.settle().lines
        assert ["x" * 27 + "…", "東京" * 6 + "東… ", "a\\x1b[2J\\tb".ljust(28)] == [
            line.partition(":")[0] for line in lines[1:]
        ]


def test_the_check_has_a_bar_of_its_own() -> None:
    """A bar counts the checked meters; it is removed when sending begins."""
    with drawing(24, 80) as (shown, terminal):
        shown.checking(4)
        tick()
        shown.checked(CheckResult("a", rows=1))
        assert re.match(r"checking +:  25%.* 1/4 \[", terminal.settle().lines[0])
        time.sleep(bars.REFRESH_SECONDS)
        shown.tallies({})
        assert re.match(r"checking +:  25%.* 1/4 \[00:01", terminal.settle().lines[0])
        shown.checked(CheckResult("b", notices=("b: as you should know",)))
        shown.sending({"a": 1})
        lines = terminal.settle().lines
        assert ("notice: b: as you should know", True) == (lines[0], lines[1].startswith("total"))


def test_bars_that_do_not_move_tell_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the total bar continues while all streams wait."""
    with drawing(24, 80) as (shown, terminal):
        monkeypatch.setattr(bars, "REFRESH_SECONDS", 1e9)
        shown.sending({"meter-000": 100})
        tick()
        shown.tallies({"meter-000": Tally(sent=50)})
        terminal.settle()
        before = len(terminal.text)
        tick()
        shown.tallies({"meter-000": Tally(sent=50)})
        terminal.settle()
        assert before == len(terminal.text)
        monkeypatch.setattr(bars, "REFRESH_SECONDS", 0.0)
        tick()
        shown.tallies({"meter-000": Tally(sent=50)})
        terminal.settle()
        assert before < len(terminal.text)


def test_bars_are_drawn_four_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """All bars are drawn in one write every quarter of a second, however often tallies come."""
    with drawing(24, 80) as (shown, terminal):
        shown.sending(dict.fromkeys(names(16), 10**6))
        start, sent = time.monotonic(), 0
        texts: list[str] = []
        with monkeypatch.context() as patch:
            patch.setattr(terminal.file, "write", texts.append)
            while time.monotonic() < start + 0.6:
                shown.tallies(dict.fromkeys(names(16), Tally(sent=(sent := sent + 1))))
        assert 2 <= len(texts) <= (time.monotonic() - start) / 0.25 + 1
        assert (1, 16) == (texts[-1].count("total"), texts[-1].count("meter-"))


def test_the_end_is_drawn_however_soon_it_comes() -> None:
    """The last state of the total is drawn when the bars close."""
    with drawing(24, 80) as (shown, terminal):
        shown.sending(dict.fromkeys(names(2), 10))
        for name in names(2):
            shown.ended(StreamResult(name, "done", Tally(sent=10)))
        shown.close()
        assert "20/20" in whole(terminal.settle())[0]


def test_bars_use_no_colour() -> None:
    """Bars have no colour, so NO_COLOR needs no support."""
    with drawing(24, 80) as (shown, terminal):
        shown.sending(dict.fromkeys(names(3), 10))
        shown.tallies({name: Tally(sent=5) for name in names(3)})
        shown.notice("as you should know")
        shown.close()
        terminal.settle()
        assert {"\x1b[A"} == set(re.findall(r"\x1b\[[^A-Za-z]*[A-Za-z]", terminal.text))


def test_bars_know_the_terminal_behind_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size is that of the terminal of stderr, or else that of COLUMNS and LINES."""
    with Terminal(7, 33) as terminal:
        monkeypatch.setattr(sys, "stderr", terminal.file)
        assert (33, 7) == bars.terminal_size()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setenv("LINES", "9")
    assert (50, 9) == bars.terminal_size()


# Progress as lines, and no progress


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines are shown at each start, once a minute, and at the end; no control characters."""
    set_up()
    shown = LineProgress(clock=(clock := Clock()))
    shown.checking(2)
    shown.sending({"a": 600, "b": 1400})
    for _ in range(300):  # 150 s
        clock.now += 0.5
        shown.tallies({"a": Tally(sent=int(clock.now * 2)), "b": Tally(resumed=10)})
    shown.close()
    shown.close()
    out = capsys.readouterr()
    assert (
        "",
        [
            "checking 2 meters",
            "sending 2,000 rows of 2 streams",
            "130 of 2,000 rows (6 %), 10 of them not new, 2.0 rows/s, about 16 min left",
            "250 of 2,000 rows (12 %), 10 of them not new, 2.0 rows/s, about 15 min left",
            "310 of 2,000 rows (15 %), 10 of them not new, 2 rows/s",
        ],
    ) == (out.out, out.err.splitlines())
    assert not re.search(r"[^\x20-\x7e\n]", out.err)


def test_a_stream_that_waits_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """Waiting streams are reported once a minute, and only after some seconds: a retry may help."""
    set_up()
    shown = LineProgress(clock=(clock := Clock()))
    shown.sending(dict.fromkeys(names(4), 10))
    capsys.readouterr()
    stalled = Tally(stall_reason="HTTP 503 Service Unavailable")
    for _ in range(1000):  # 100 s
        clock.now += 0.1
        shown.tallies({**dict.fromkeys(names(3), stalled), "meter-003": Tally(sent=10)})
    reason = "no packet is acknowledged: HTTP 503 Service Unavailable; retrying"
    notice = f"notice: meter-000 and 2 other streams: {reason}"
    assert [notice, notice] == [s for s in capsys.readouterr().err.splitlines() if "notice" in s]
    shown.ended(StreamResult("meter-000", "stopped", stalled))
    for done in (1, 2):
        shown.tallies(dict.fromkeys(names(3)[1:], Tally(sent=done)))
    assert ["notice: packets are acknowledged again"] == capsys.readouterr().err.splitlines()
    # The packets of a stream that ends did not get through.
    for _ in range(2):
        clock.now += 100
        shown.tallies({"meter-001": stalled})
    shown.ended(StreamResult("meter-001", "stopped", stalled))
    assert 1 == len([s for s in capsys.readouterr().err.splitlines() if "notice" in s])
    # A short wait is not reported.
    shown.tallies({"meter-002": stalled})
    clock.now += 3
    shown.tallies({"meter-002": Tally(sent=3)})
    assert "" == capsys.readouterr().err


def test_rows_that_need_no_packet_are_not_in_the_rate() -> None:
    """A bar that is half full by resumed rows has the rate of the rows that are sent."""
    with drawing(24, 100) as (shown, terminal):
        shown.sending(dict.fromkeys(names(2), 1_000_000))
        for sent in (0, 10, 20):
            tick()
            shown.tallies(dict.fromkeys(names(2), Tally(resumed=500_000, sent=sent)))
        lines = terminal.settle().lines
        assert 3 == len(lines)
        for line in lines:
            rate = re.search(r" ([\d.]+) rows/s", line)
            assert rate
            assert 10 < float(rate[1]) < 200, line
            assert " 50%|" in line


def test_rows_of_both_kinds_at_once_keep_the_rate() -> None:
    """The total's rate is right if one stream is resumed while another stream sends."""
    with drawing(24, 100) as (shown, terminal):
        shown.sending({"resumed": 1_000_000, "sent": 1_000_000})
        for step in range(1, 4):
            tick()
            tallies = {"resumed": Tally(resumed=10_000 * step), "sent": Tally(sent=10 * step)}
            shown.tallies(tallies)
        rate = re.search(r" ([\d.]+) rows/s", whole(terminal.settle())[0])
        assert rate
        assert 5 < float(rate[1]) < 100


def test_a_bar_that_appears_late_has_no_false_rate() -> None:
    """Rows that were sent before a stream's bar was shown do not count for its rate."""
    with drawing(24, 100) as (shown, terminal):
        shown.sending({"early": 1_000_000, "late": 1_000_000})
        tick()
        shown.tallies({"late": Tally(sent=900_000)})
        for step in range(1, 4):
            tick()
            shown.tallies({"late": Tally(sent=900_000 + 10 * step)})
        (line,) = [each for each in terminal.settle().lines if each.startswith("late")]
        rate = re.search(r" ([\d.]+) rows/s", line)
        assert rate
        assert 5 < float(rate[1]) < 100


def test_a_machine_that_slept_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The lines of the minutes during which the machine was suspended are left out."""
    set_up()
    shown = LineProgress(clock=(clock := Clock()))
    shown.sending({"a": 10})
    capsys.readouterr()
    clock.now += 3600
    for _ in range(5):
        shown.tallies({"a": Tally(sent=5)})
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_long_check_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A check has a line a minute too, also while one file is checked."""
    set_up()
    shown = LineProgress(clock=(clock := Clock()))
    shown.checking(3)
    for name in "ab":
        clock.now += 30
        shown.checked(CheckResult(name, rows=1))
        shown.tallies({})
    for _ in range(700):
        clock.now += 0.1
        shown.tallies({})
    lines = ["checking 3 meters", "checked 2 of 3 meters", "checked 2 of 3 meters"]
    assert lines == capsys.readouterr().err.splitlines()


def play(shown: SilentProgress) -> None:
    """Make all calls of an observer that show something."""
    shown.checking(2)
    problem = Problem("bad.csv", 3, 2, "number", "not a number")
    shown.checked(CheckResult("a", rows=10, notices=("a: rows were put in order",)))
    shown.checked(CheckResult("bad", rows=3, problems=(problem,), problem_count=2))
    shown.sending({"a": 10})
    shown.tallies({"a": Tally(sent=1, retries=1), "gone": Tally(sent=3)})
    shown.tallies({"a": Tally(sent=2, retries=1)})
    shown.stopping("SIGINT received")
    tally = Tally(sent=2, resumed=1, retries=1)
    reason = StreamProblem("bug", "a bug in swarm", ExitCode.BUG)
    shown.ended(StreamResult("a", "stopped", tally, reason, traceback="Traceback:\n  line\n"))
    shown.close()


STOPPING = (
    "stopping: SIGINT received; requests under way are completed "
    "(a second signal, or Ctrl-C again, ends the run at once)"
)
PROBLEMS = ["bad.csv:3:2: not a number", "... and 1 more problems"]


def test_quiet_shows_only_problems(capsys: pytest.CaptureFixture[str]) -> None:
    """With -q only problems are shown."""
    set_up(quiet=True)
    play(make_progress("auto", quiet=True, is_terminal=True))
    assert PROBLEMS == capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_no_progress_still_shows_what_should_be_known(
    capsys: pytest.CaptureFixture[str], verbose: int
) -> None:
    """With --progress none, notices and problems are shown, and progress only with -v."""
    set_up(verbose)
    play(make_progress("none", quiet=False, is_terminal=True))
    expected = [
        (1, "checking 2 meters"),
        (1, "a: 10 rows checked"),
        (0, "notice: a: rows were put in order"),
        (1, "bad: 3 rows checked"),
        *((0, line) for line in PROBLEMS),
        (1, "sending 10 rows of 1 stream"),
        (2, "a: 1 retry so far"),
        (0, STOPPING),
        (1, "a: stopped, 2 sent, 1 resumed, 1 retries, verified: unknown"),
        (2, "Traceback:"),
        (2, "  line"),
        (1, "3 of 10 rows (30 %), 1 of them not new, "),
    ]
    shown = capsys.readouterr().err.splitlines()
    assert [line for level, line in expected if level <= verbose] == [
        re.sub(r"[\d,]+ rows/s", "", line) for line in shown
    ]


def test_the_file_gets_the_progress_of_a_run_with_bars(tmp_path: Path) -> None:
    """The log file of a run with bars has the same lines as without, and no bars."""
    path = tmp_path / "swarm.log"
    with drawing(24, 80, file=path) as (shown, _):
        play(shown)
    lines = path.read_text().splitlines()
    for word in ("checking 2 meters", "sending 10 rows of 1 stream", "not a number", "stopping: "):
        assert 1 == sum(word in line for line in lines), word
    assert "\r" not in path.read_bytes().decode()


@pytest.mark.parametrize(
    ("mode", "quiet", "is_terminal", "kind"),
    [
        ("auto", False, True, BarProgress),
        ("auto", False, False, LineProgress),
        ("bar", False, False, BarProgress),
        ("plain", False, True, LineProgress),
        ("none", False, True, SilentProgress),
        ("bar", True, True, SilentProgress),
        ("plain", True, False, SilentProgress),
    ],
)
def test_who_shows_a_run(
    mode: str, quiet: bool, is_terminal: bool, kind: type[SilentProgress]
) -> None:
    """Bars on a terminal, lines elsewhere; --progress overrides that, and -q overrides both."""
    assert kind is type(make_progress(mode, quiet=quiet, is_terminal=is_terminal))
