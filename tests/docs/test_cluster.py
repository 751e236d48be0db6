"""``docs/cluster.md``, typed command by command: certificates, three hosts, units and shares."""

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from tests.support.collector import Collector
from tests.support.hosts import OBSTACLE, Hosts
from tests.support.workspace import Workspace, packets, rows

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
STREAMS = ("gas", "elec", "water")
ROWS = rows(60)
_SECONDS = 60
_NEEDS_OPENSSL = pytest.mark.skipif(
    shutil.which("openssl") is None,
    reason="openssl is not installed; on Debian: apt-get install openssl",
)


def block(after: str, first: str) -> str:
    """Return the indented block that begins with ``first``, below a heading or a sentence."""
    text = PAGE.partition(after)[2]
    match = re.search(rf"(?m)^    {re.escape(first)}.*\n(?:(?:    .*)?\n)*", text)
    assert match, f"no block {first} after {after}"
    return "\n".join(line.removeprefix("    ") for line in match[0].splitlines()).rstrip() + "\n"


def programs() -> dict[str, str]:
    """Return an environment in which the commands of the page are those of this checkout."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


def make_certificates(folder: Path) -> None:
    """Make the files of the page in a folder."""
    folder.mkdir()
    subprocess.run(
        ["/bin/sh", "-ec", block("### Certificates", "openssl req -x509")],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=_SECONDS,
    )


@_NEEDS_OPENSSL
def test_the_certificates_stand_the_strictest_check(tmp_path: Path) -> None:
    """Newer versions of Python and OpenSSL ask for all that RFC 5280 demands."""
    folder = tmp_path / "etc"
    make_certificates(folder)
    command = ["openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", "cert.pem"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    assert (0, "cert.pem: OK\n") == (done.returncode, done.stdout), done.stderr
    assert 0 == (folder / "key.pem").stat().st_mode & 0o077


@contextmanager
def running(command: str, folder: Path, within: tuple[str, ...]) -> Iterator[None]:
    """Run a command of the page on a host while the block runs."""
    process = subprocess.Popen(
        [*within, "/bin/sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=programs(),
        start_new_session=True,
    )
    try:
        yield
    finally:
        # The nannies of workers have sessions of their own: ask them to end, and wait for that.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")
@_NEEDS_OPENSSL
def test_three_hosts_in_three_commands(workspace: Workspace, tmp_path: Path) -> None:
    """The commands of the page, on three hosts, send every row once."""
    pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    etc = tmp_path / "etc"
    make_certificates(etc)

    def here(text: str) -> str:
        text = text.replace("/etc/swarm", str(etc)).replace("10.0.0.5", "10.77.1.1")
        # All hosts are on this computer, which may have many cores.
        return text.replace("--nworkers=-1", "--nworkers=1")

    start = here(block("### Three commands", "cd /etc/swarm && dask scheduler"))
    scheduler, worker = start.splitlines()
    section = here(block("### Three commands", "[cluster]"))
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(str(tmp_path / "web.pem"))
    authority.issue_cert("10.77.2.4").configure_cert(tls)
    for stream in STREAMS:
        workspace.csv(f"{stream}.csv", ROWS)
    with (
        Hosts(4) as hosts,
        Collector(tls=tls, listener=hosts.listener(4)) as collector,
        running(scheduler, tmp_path, hosts.within(1)),
        running(worker, tmp_path, hosts.within(2)),
        running(worker, tmp_path, hosts.within(3)),
    ):
        config = workspace.ini(
            collector.url,
            {stream: f"{stream}.csv" for stream in STREAMS},
            swarm={"ca_bundle": str(tmp_path / "web.pem")},
            rest=f"\n{section}",
        )
        within = hosts.within(1)
        for _ in range(4):
            # The scheduler may not listen yet: the exit code says that the same command goes on.
            process = workspace.start(config, "--json", within=within)
            out, err = process.communicate(timeout=_SECONDS)
            if process.returncode != 5:
                break
        for stream in STREAMS:
            assert packets(stream, ROWS) == collector.packets(stream)
    assert 0 == process.returncode, err
    use = json.loads(out)["cluster"]
    assert ("tls://10.77.1.1:8786", 0, 0) == (use["scheduler"], use["lost"], use["moved"])
    assert 1 <= use["hosts"] <= use["workers"] <= 2


def test_the_units_run_the_commands_of_the_page() -> None:
    """Each has the options of the command, and may add some."""
    commands = block("### Three commands", "cd /etc/swarm && dask scheduler").splitlines()
    units = re.findall(r"(?m)^    ExecStart=(.*)$", PAGE)
    assert len(commands) == len(units) == 2
    for command, unit in zip(commands, units, strict=True):
        words = command.removeprefix("cd /etc/swarm && dask ").split()
        kind, *others = unit.removeprefix("/opt/swarm/bin/dask ").split()
        assert words[0] == kind
        assert set(words[1:]) <= set(others)


def test_the_options_of_dask_exist() -> None:
    """As the installed version has them."""
    pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    for kind in ("scheduler", "worker"):
        command = [sys.executable, "-m", "dask", kind, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_SECONDS)
        used = {
            option
            for line in re.findall(rf"dask {kind} .*", PAGE)
            for option in re.findall(r"--[a-z-]+[a-z]", line)
        }
        assert used
        assert used <= set(re.findall(r"--[a-z-]+[a-z]", done.stdout))


@pytest.mark.parametrize(
    ("codes", "runs", "code"),
    [
        ("0", 1, 0),
        ("5 6 0", 3, 0),
        ("5 5 5 5", 3, 5),
        ("3", 1, 3),
        ("5 4", 2, 4),
        ("7 0", 1, 7),
        ("2 0", 1, 2),
    ],
)
def test_a_share_runs_again_as_long_as_that_can_help(
    tmp_path: Path, codes: str, runs: int, code: int
) -> None:
    """The script of the page, with commands that only note how they were called."""
    (tmp_path / "codes").write_text("\n".join(codes.split()))
    stub = f'#!/bin/sh\ncd {tmp_path}\necho "$XDG_STATE_HOME $*" >> calls\n'
    stub += 'code=$(sed -n "$(wc -l < calls)p" codes)\nexit "$code"\n'
    for name, text in (("swarm", stub), ("sleep", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "share.sh").write_text(block("`share.sh`", "#!/bin/sh"))
    done = subprocess.run(
        ["/bin/sh", "share.sh", "3/8", "share-3"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        check=False,
        timeout=_SECONDS,
    )
    calls = (tmp_path / "calls").read_text().splitlines()
    expected = "/shared/swarm/share-3 /shared/meters.ini --share 3/8 --progress none -q"
    assert (code, [expected] * runs) == (done.returncode, calls)
