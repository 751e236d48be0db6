"""Each rule of sections 3 and 4 of the contract by its name: once accepted, once refused.

A few runs of the command cover many meters, one or more for each rule; each test checks its own.
"""

import base64
import fcntl
import json
import os
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from tests.contract.inis import RULES, Rule
from tests.contract.rules import (
    PACKETS,
    PASSWORD,
    REFUSED,
    ROWS,
    TAKEN,
    Packets,
    Refused,
    Taken,
)
from tests.support.collector import Collector
from tests.support.meters import OLD, written
from tests.support.workspace import Finished, Workspace

Made = TypeVar("Made")


@dataclass(frozen=True)
class Seen:
    """The end of a run and, by stream, the bodies, routes and users of its requests."""

    folder: Path
    ended: Finished
    bodies: dict[str, list[bytes]]
    routes: dict[str, set[str]]
    users: dict[str, set[str]]

    def lines_of(self, *marks: str) -> list[str]:
        """Return the lines on stderr that contain one of the texts."""
        lines = self.ended.err.splitlines()
        return [line for line in lines if any(mark in line for mark in marks)]


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """Make something once for all processes of a test session; return it."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    kept = shared / f"{name}.pickle"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            (shared / name).mkdir()
            kept.write_bytes(pickle.dumps(make(shared / name)))
        made: Made = pickle.loads(kept.read_bytes())
    return made


def swarm(workspace: Workspace, collector: Collector, *arguments: str | Path) -> Seen:
    """Run the command from a folder that is not the INI's; return what the collector received."""
    elsewhere = workspace.folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    before = len(collector.requests)
    env = {"HOME": str(workspace.folder / "home"), "RULES_PASSWORD": "one"}
    ended = workspace.run(*arguments, env=env, cwd=elsewhere)
    bodies: dict[str, list[bytes]] = {}
    routes: dict[str, set[str]] = {}
    users: dict[str, set[str]] = {}
    for request in collector.requests[before:]:
        stream = request.stream or ""
        pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic "))
        routes.setdefault(stream, set()).add(request.path)
        users.setdefault(stream, set()).add(pair.decode())
        if request.method == "POST":
            bodies.setdefault(stream, []).append(request.body)
    return Seen(workspace.folder, ended, bodies, routes, users)


def ini(folder: Path, url: str, meters: Iterable[tuple[str, str, str]]) -> Path:
    """Write an INI with a BOM, CRLF and comments, for meters given as ID, files, options."""
    found = list(meters)
    lines = [
        *("; a comment", "  # another, further in", "[swarm]", f"url = {url}", "#timezone = ?"),
        *("timezone = UTC", f"state = {folder / 'state'}", "[credentials]", "username = acme"),
        *(f"password = {PASSWORD}", "[credentials:env]", "username = e"),
        *("password_env = RULES_PASSWORD", "[credentials:file]", "username = f"),
        *("password_file = two.txt", "[credentials:command]", "username = c"),
        *("password_command = printf three", "[upload]", "settle = 0.1s", "[meters]"),
        *(f"{name} = {source}" for name, source, _ in found),
        *(f"[meter:{name}]\n{options}\n; end" for name, _, options in found if options),
    ]
    (folder / "two.txt").write_text("two\n")
    text = "\n".join(lines).replace("\n", "\r\n")
    return written(folder / "rules.ini", "\ufeff" + text)


def csv_of(case: Taken | Refused) -> str:
    """Return the file name of a case that has one file."""
    number = (TAKEN if isinstance(case, Taken) else REFUSED).index(case)
    return f"{number:03}.csv{'.gz' * ('gzip' in case.name and isinstance(case, Refused))}"


# Accepted


def _accepted(folder: Path) -> list[Seen]:
    """Send all accepted meters, let files grow and send again; then check."""
    workspace = Workspace(folder, is_measured=False)
    for case in TAKEN:
        for name, content in _files(case).items():
            (folder / name).parent.mkdir(exist_ok=True)
            # A modification time in the future keeps the file fresh on any slow machine.
            written(folder / name, content, -60.0 if case.is_fresh else OLD)
    with Collector() as collector:
        meters = [(c.name, c.source.replace("{file}", csv_of(c)), c.options) for c in TAKEN]
        config = ini(folder, collector.url, meters)
        # A case that is refused by mistake must fail alone.
        first = swarm(workspace, collector, config, "--keep-going")
        for path, later in [(folder / csv_of(case), case.later) for case in TAKEN if case.later]:
            written(path, path.read_text() + later)
        again = swarm(workspace, collector, config, "--keep-going", "--json")
        return [first, again, swarm(workspace, collector, "check", config, "--json")]


def _files(case: Taken) -> Mapping[str, str | bytes]:
    content = case.content
    return {csv_of(case): content} if isinstance(content, str | bytes) else content


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> list[Seen]:
    """Return the results for the accepted meters: first run, second run, check."""
    return once(tmp_path_factory, "accepted", _accepted)


def bodies(stream: str, packets: Packets) -> list[bytes]:
    """Return packets as they must arrive, byte for byte."""
    head = json.dumps(stream, ensure_ascii=False)
    return [f'{{"id":{head},"tsISO8601":"{time}",{rest}}}'.encode() for time, rest in packets]


def names(cases: Iterable[Taken | Refused]) -> list[str]:
    """Return the names of cases, for the tests' IDs."""
    return [case.name for case in cases]


taken = pytest.mark.parametrize("case", TAKEN, ids=names(TAKEN))


@taken
def test_accepted_rule(accepted: list[Seen], case: Taken) -> None:
    """The packets arrive byte for byte, at the right route and user, with all notices."""
    first, _, _ = accepted
    assert bodies(case.name, case.packets) == first.bodies.get(case.name)
    assert {f"/measurements/v2/{case.route}/"} == first.routes[case.name]
    assert {case.user} == first.users[case.name]
    file = first.folder / csv_of(case)
    notices = [notice.format(id=case.name, file=file) for notice in case.notices]
    assert [f"notice: {notice}" for notice in notices] == first.lines_of(str(file), case.name)


def test_accepted_run_ends_well(accepted: list[Seen]) -> None:
    """The run exits with 0, reports every meter, and prints no other problem or notice."""
    first, _, _ = accepted
    assert 0 == first.ended.code, first.ended.err
    assert sum(len(case.notices) for case in TAKEN) == first.ended.err.count("notice: ")
    assert all(case.name in first.ended.out for case in TAKEN)


@taken
def test_accepted_rule_of_a_file_that_grows(accepted: list[Seen], case: Taken) -> None:
    """The next run sends only the appended rows, read as if all had been there from the start."""
    _, again, _ = accepted
    assert bodies(case.name, case.later_packets) == again.bodies.get(case.name, [])
    assert ("done", len(case.later_packets)) == (
        again.ended.meters[case.name]["state"],
        again.ended.meters[case.name]["sent"],
    )


def test_accepted_interval_is_that_of_the_gap_report(accepted: list[Seen]) -> None:
    """Three rows are missing in an hour if one is expected every quarter of an hour."""
    _, _, check = accepted
    (meter,) = (
        m for m in check.ended.report["meters"] if m["id"] == "interval: for the gap report"
    )
    assert (0, 900, 3) == (check.ended.code, meter["interval_seconds"], meter["gaps"][0]["missing"])
    assert not check.bodies


# Refused


def _refused(folder: Path) -> list[Seen]:
    """Send a valid meter beside all refused ones, without and with ``--keep-going``."""
    workspace = Workspace(folder, is_measured=False)
    for case in REFUSED:
        if case.content is not None:
            written(folder / csv_of(case), case.content)
        elif case.is_folder:
            (folder / csv_of(case)).mkdir()
    sound = TAKEN[0]
    written(folder / "sound.csv", ROWS)
    meters = [(case.name, csv_of(case), case.options) for case in REFUSED]
    with Collector() as collector:
        config = ini(folder, collector.url, [*meters, (sound.name, "sound.csv", "")])
        config.chmod(0o644)
        whole = swarm(workspace, collector, config)
        return [whole, swarm(workspace, collector, config, "--keep-going", "--json")]


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> list[Seen]:
    """Return the results for the refused files, without and with ``--keep-going``."""
    return once(tmp_path_factory, "refused", _refused)


@pytest.mark.parametrize("case", REFUSED, ids=names(REFUSED))
def test_refused_rule(refused: list[Seen], case: Refused) -> None:
    """The problems are on stderr, in full and in order, and nothing of the file is sent."""
    _, going = refused
    file = going.folder / csv_of(case)
    expected = [f"{file}:{problem}".replace("{file}", str(file)) for problem in case.problems]
    assert expected == going.lines_of(str(file))
    assert case.name not in going.bodies
    assert ("invalid", 0) == (
        going.ended.meters[case.name]["state"],
        going.ended.meters[case.name]["sent"],
    )


def test_refused_count_of_problems(refused: list[Seen]) -> None:
    """Of 25 problems twenty are printed and the others counted."""
    _, going = refused
    assert ["... and 5 more problems"] == going.lines_of("more problems")


def test_refused_files_do_not_stop_the_others(refused: list[Seen]) -> None:
    """With ``--keep-going`` the valid meter is sent, and the run exits with 3."""
    _, going = refused
    sound = TAKEN[0].name
    assert (3, {sound}) == (going.ended.code, set(going.bodies))
    assert bodies(sound, PACKETS) == going.bodies[sound]


def test_refused_files_stop_the_run(refused: list[Seen]) -> None:
    """Without ``--keep-going`` no request is made; the problems are the same."""
    whole, going = refused
    assert (3, {}) == (whole.ended.code, whole.routes)
    assert sorted(going.lines_of(".csv")) == sorted(whole.lines_of(".csv"))


def test_warning_of_a_password_that_others_can_read(refused: list[Seen]) -> None:
    """The warning names the line and the remedy, for a password in the INI and in a file."""
    whole, _ = refused
    config, kept = whole.folder / "rules.ini", whole.folder / "two.txt"
    text = "other users of this computer can read this password; run: chmod 600 {}"
    inline, apart = text.format(config), text.format(kept)
    assert [
        f"warning: {config}:10: [credentials] password: {inline}",
        f"warning: {config}:16: [credentials:file] password_file: {apart}",
    ] == whole.lines_of("chmod")


# Completeness


def test_every_rule_stands_both_ways() -> None:
    """Each rule has an accepted and a refused case; one that only an INI breaks is in ``RULES``."""
    kept, broken = ({case.name.partition(":")[0] for case in cases} for cases in (TAKEN, REFUSED))
    assert {"problems"} == broken - kept
    assert [] == [rule for rule in kept - broken if not any(rule in ini.name for ini in RULES)]


@pytest.mark.parametrize("cases", [TAKEN, REFUSED, RULES], ids=["taken", "refused", "INI"])
def test_every_rule_has_a_name_of_its_own(cases: Sequence[Taken | Refused | Rule]) -> None:
    """No two rules have the same name: a broken one can be found by it."""
    assert len(cases) == len({case.name for case in cases})
