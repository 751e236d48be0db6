"""Paths, URLs, users and passwords with any characters, for both engines and the library."""

import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import certifi
import pytest
import trustme

import swarm
from tests.support.collector import Collector, Reply
from tests.support.workspace import Workspace, packets, rows

ROOT = Path(__file__).parents[2]
#: A Unicode name, and one from an old disk whose bytes are not valid UTF-8.
NAMES = ["jürgen ein 😀", os.fsdecode(b"j\xfcrgen \xf0\x9f\x98")]
ENGINES = ["curl", "requests"]


@pytest.fixture(params=NAMES, ids=["unicode", "undecodable"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a folder with such a name; skip the test if the file system refuses it."""
    folder = tmp_path / str(request.param)
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has Unicode names alone")
    return folder


def installed(home: Path) -> dict[str, str]:
    """Install swarm and certifi's CA bundle below a folder; return the environment for it."""
    site = home / "site"
    for package in (swarm, certifi):
        source = Path(package.__file__ or "").parent
        shutil.copytree(source, site / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    (home / "tmp").mkdir()
    env = {"HOME": str(home), "TMPDIR": str(home / "tmp"), "PYTHONPATH": str(site)}
    return {**env, "XDG_STATE_HOME": ""}


def quick_start(home: Path) -> Path:
    """Copy the quick start's INI and its meters, shortened to keep the test fast."""
    shutil.copytree(ROOT / "sample_configs", home / "sample_configs")
    (home / "sample_data").mkdir()
    for path in (ROOT / "sample_data").glob("il-*.csv"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        (home / "sample_data" / path.name).write_text("".join(lines[:100]), encoding="utf-8")
        os.utime(home / "sample_data" / path.name, (0, 0))
    return Path("sample_configs", "quickstart.ini")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_quick_start(home: Path, engine: str) -> None:
    """The README's first command works in such a folder, with swarm installed there."""
    env, config, workspace = installed(home), quick_start(home), Workspace(home)
    options = "--transport", engine

    first = workspace.run(config, *options, "--json", env=env).balanced()
    assert (0, 200) == (first.code, first.report["totals"]["sent"]), first.err
    assert {"yes"} == {meter["verified"] for meter in first.meters.values()}
    again = workspace.run(config, *options, env=env)
    assert (0, True) == (again.code, "Nothing new" in again.out), again.err
    assert (home / ".local/state/swarm/sandbox/packets.sqlite").is_file()
    for command in ("check", "status"):
        assert workspace.run(command, home / config, env=env).code == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_every_path_and_the_url(home: Path, engine: str) -> None:
    """State, log, CA bundle, INI and CSV are in such a folder, and the URL has such a path."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(home / "ca ü.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    workspace = Workspace(home)
    user, password = "jürgen😀", "pä😀 ß%"
    with Collector(auth=(user, password), tls=context) as collector:
        config = workspace.ini(
            f"https://127.0.0.1:{collector.port}/zähler/😀/unifiedjson/",
            {"gäs 😀": workspace.csv("gäs 😀.csv", rows(3)).name},
            swarm={"state": "stätte 😀", "log_file": "ß.log", "ca_bundle": "ca ü.pem"},
            name="ü.ini",
        )
        text = config.read_text().replace("username = acme", f"username = {user}")
        config.write_text(text.replace("password = s3cr%et", f"password = {password}"))
        done = workspace.run(config.name, "--transport", engine, "--json").balanced()

        assert (0, 3) == (done.code, done.report["totals"]["sent"]), done.err
        assert packets("gäs 😀", rows(3)) == collector.packets("gäs 😀")
        path = "/z%C3%A4hler/%F0%9F%98%80/unifiedjson/"
        assert {path} == {request.path for request in collector.requests}
    assert (home / "ß.log").stat().st_size
    assert list((home / "stätte 😀").rglob("*.ledger"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("host", ["bücher.example", "B%C3%BCCHER。example."])
def test_a_host_of_other_letters(workspace: Workspace, engine: str, host: str) -> None:
    """The host is sent in its DNS form (IDNA); here a proxy receives it."""
    with Collector(lambda *_: Reply(502)) as proxy:
        config = workspace.ini(
            f"https://{host}/unifiedjson/",
            {"m": workspace.csv("m.csv", rows(2))},
            swarm={"proxy": f"http://127.0.0.1:{proxy.port}"},
            upload={"retry_for": "0s"},
        )
        assert workspace.run(config, "--transport", engine).code == 5
        assert {"xn--bcher-kva.example:443"} == {request.target for request in proxy.requests}


_AGENT = """
import sys
from datetime import UTC, datetime
from swarm import Agent, Config, SimpleMeasurement
import certifi
assert not certifi.where().isascii()
answers = []
with Agent(transport=sys.argv[1]) as agent:
    agent.add_measurement_sent_handler(lambda _, response: answers.append(response.code))
    config = Config(sys.argv[2], "jürgen😀", "pä😀ß", ca_bundle=sys.argv[3] or None)
    agent.send(SimpleMeasurement("gäs 😀", datetime(2023, 1, 1, tzinfo=UTC), 1.5), config)
    agent.wait_until_last(timeout=30)
print(answers)
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bundle", ["", "ü.pem"])
def test_the_library(home: Path, engine: str, bundle: str) -> None:
    """A program below such a folder sends, whatever characters the folder and the URL have."""
    authorities = home / bundle if bundle else ""
    if bundle:
        shutil.copy(certifi.where(), authorities)
    with Collector(auth=("jürgen😀", "pä😀ß")) as collector:
        done = subprocess.run(
            [sys.executable, "-c", _AGENT, engine, collector.url + "ü", str(authorities)],
            env={**os.environ, **installed(home)},
            capture_output=True,
            text=True,
            cwd=home,
            check=False,
        )
        assert ("[200]\n", "") == (done.stdout, done.stderr)
        assert 1 == len(collector.packets("gäs 😀"))


def test_ids_are_completed(home: Path) -> None:
    """Completion reads an INI in such a folder, and offers its IDs."""
    config = Workspace(home).ini("sandbox", {"gäs-😀": "g.csv"}, swarm={"state": "state"})
    words = f"swarm '{config}' -m g"
    env = {"_SWARM_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "3"}
    done = Workspace(home).run(env=env)
    assert "plain,gäs-😀\n" == done.out


def test_a_password_variable_that_is_no_text(workspace: Workspace, collector: Collector) -> None:
    """A password variable whose bytes are not UTF-8 is reported as such."""
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(2))})
    config.write_text(config.read_text().replace("password = s3cr%et", "password_env = SECRET"))
    done = workspace.run(config, env={"SECRET": os.fsdecode(b"s3cr\xfct")})
    assert (2, True) == (done.code, "SECRET is not UTF-8" in done.err)


def test_a_long_url(workspace: Workspace) -> None:
    """A URL longer than a file name may be is locked and recorded like any other."""
    with Collector() as collector:
        url = collector.url + "zähler/" * 60
        config = workspace.ini(url, {"m": workspace.csv("m.csv", rows(2))})
        assert [0, 0] == [workspace.run(config).code for _ in range(2)]
        assert packets("m", rows(2)) == collector.packets("m")


def test_another_spelling_is_locked(workspace: Workspace) -> None:
    """While one run sends, a run with another spelling of the URL finds its streams locked."""
    with Collector(delay=0.3) as collector:
        meters = {"m": workspace.csv("m.csv", rows(40))}
        other = collector.url.replace("/v2/", "//v2/./").replace("unified", "%75nified")
        other = other.replace(f":{collector.port}", f":0{collector.port}")
        one, two = (
            workspace.ini(collector.url, meters),
            workspace.ini(other, meters, name="two.ini"),
        )
        first = workspace.start(one, "--max-duration", "8s")
        while not collector.requests:
            assert first.poll() is None
        assert workspace.run(two).code == 6
        first.terminate()
        first.communicate()
        assert collector.max_in_flight("m") == 1
