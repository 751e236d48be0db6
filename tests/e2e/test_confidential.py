"""No secret in output, logs, tracebacks or state, and credentials are sent to one host only."""

import base64
import html
import json
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, quote_plus

import pytest
import trustme

from tests.support.collector import Behaviour, Collector, Reply, Request, redirect
from tests.support.workspace import PASSWORD, USER, Finished, Workspace, packets, rows

PAIR = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (PASSWORD, PAIR, base64.b64encode(PASSWORD.encode()).decode())


def reveal(workspace: Workspace, done: Finished) -> list[str]:
    """Return where a secret appears: in the output of a run, or in the files it left."""
    texts = {"stdout": done.out, "stderr": done.err}
    for path in workspace.folder.rglob("*"):
        if path.is_file() and path.suffix != ".ini":
            texts[str(path)] = path.read_bytes().decode("latin-1")
    return [source for source, text in texts.items() if any(s in text for s in SECRETS)]


def echo(request: Request, _: Collector) -> Behaviour | None:
    """Answer with the whole request, credentials included, as a careless collector does."""
    if request.method == "GET":
        return None
    return Reply(400, request.head + b"\n" + PASSWORD.encode() + b"\n" + request.body)


@pytest.mark.parametrize("arguments", [[], ["-vv"], ["--json"], ["--on-reject", "skip"]])
def test_an_answer_that_quotes_the_password_is_masked(
    workspace: Workspace, arguments: list[str]
) -> None:
    """The answer is shown, logged and kept with the rejected rows, but without a secret."""
    with Collector(echo) as collector:
        log = {"log_file": str(workspace.folder / "swarm.log")}
        config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(2))}, swarm=log)
        done = workspace.run(config, *arguments)
        assert done.code == 3
        assert "***" in done.err + done.out + "".join(
            path.read_text() for path in workspace.state.rglob("*.jsonl")
        )
        assert not reveal(workspace, done)


@pytest.mark.parametrize(
    "spelled",
    [
        json.dumps,
        html.escape,
        quote_plus,
        lambda text: quote(text, safe="").lower(),
        lambda text: html.escape(json.dumps(text)),
    ],
    ids=["json", "html", "form", "url", "json in html"],
)
def test_an_escaped_password_is_masked(workspace: Workspace, spelled: Callable[[str], str]) -> None:
    """The log and the report hide the password and the header however a collector escapes them."""
    password = 's3cr&et"x/é <y>'
    pair = base64.b64encode(f"{USER}:{password}".encode()).decode()
    said = f"no: {spelled(password)} ({spelled(pair)})"
    with Collector(lambda request, _: Reply(400, said.encode()) if request.body else None) as one:
        log = {"log_file": str(workspace.folder / "swarm.log")}
        config = workspace.ini(one.url, {"m": workspace.csv("m.csv", rows(2))}, swarm=log)
        config.write_text(config.read_text().replace(PASSWORD, password))
        done = workspace.run(config, "--json", "-vv")
        assert done.code == 3
        message = done.meters["m"]["problem"]["message"]
        assert "no: " in message
        texts = [done.out, done.err, (workspace.folder / "swarm.log").read_text()]
        assert not [text for text in texts for secret in ("s3cr", pair[:20]) if secret in text]
        assert all("***" in text for text in texts)


def test_a_command_does_not_see_other_passwords(workspace: Workspace, collector: Collector) -> None:
    """A ``password_command`` gets the environment without the INI's other secrets."""
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(2)), "n": "m.csv"})
    text = config.read_text().replace(f"password = {PASSWORD}", "password_command = sh seen.sh")
    other = "[credentials:b]\nusername = b\npassword_env = SECRET_B\n[meter:n]\ncredentials = b\n"
    config.write_text(f"{text}\n{other}")
    (workspace.folder / "seen.sh").write_text("env > seen.txt; echo x\n")
    assert workspace.run(config, env={"SECRET_B": "hunter2", "OTHER": "kept"}).code == 0
    seen = (workspace.folder / "seen.txt").read_text()
    assert ("OTHER=kept" in seen, "hunter2" in seen, "SECRET_B" in seen) == (True, False, False)


@pytest.mark.parametrize("words", ["upload --dry-run", "upload --json", "check --json"])
def test_ids_move_no_cursor(workspace: Workspace, collector: Collector, words: str) -> None:
    """Characters that are not printable are escaped as in JSON; letters are printed as they are."""
    stream = "gäs 😀\x9b2J\u202e\u200b\x7f"
    config = workspace.ini(collector.url, {stream: workspace.csv("m.csv", rows(2))})
    done = workspace.run(*words.split(), config)
    assert done.code == 0
    assert done.out.replace("\n", "").isprintable()
    assert '"gäs 😀\\u009b2J\\u202e\\u200b\\u007f"' in done.out
    first = done.out.splitlines()[0] if "--dry-run" in words else done.out
    assert stream in json.dumps(json.loads(first), ensure_ascii=False)


def test_an_answer_is_made_harmless(workspace: Workspace) -> None:
    """Control characters of an answer are escaped, and it is cut at 500 characters."""
    words = b"\x1b[31mred\x07\r\n" + b"x" * 2000
    with Collector(lambda r, _: Reply(400, words) if r.body else None) as collector:
        config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(2))})
        done = workspace.run(config, "--json")
        message = done.meters["m"]["problem"]["message"]
        assert message.isprintable()
        assert "\\x1b[31mred\\x07" in message
        assert len(message) < 560


def test_a_malformed_ini_shows_no_secret(workspace: Workspace) -> None:
    """A malformed line of the credentials is reported only by its number."""
    config = workspace.ini("http://127.0.0.1:1/", {"m": "m.csv"})
    config.write_text(config.read_text().replace(f"password = {PASSWORD}", f"password {PASSWORD}"))
    done = workspace.run(config, "-vv")
    assert (2, False) == (done.code, PASSWORD in done.err + done.out)


def test_a_redirect_gets_no_credentials(workspace: Workspace) -> None:
    """Not a byte is sent to the target of a redirect."""
    with Collector() as other, Collector([redirect(other.url)] * 9) as collector:
        config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(2))})
        assert workspace.run(config).code == 4
        assert other.connections == 0


@pytest.mark.parametrize("engine", ["curl", "requests"])
def test_the_environment_leads_nothing_astray(
    workspace: Workspace, collector: Collector, engine: str
) -> None:
    """Proxy variables and a netrc have no effect; a proxy variable causes a notice."""
    with Collector() as trap:
        netrc = workspace.folder / "netrc"
        netrc.write_text("machine 127.0.0.1 login other password else\n")
        address = f"http://127.0.0.1:{trap.port}"
        env = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"), address)
        config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(2))})
        done = workspace.run(config, "--transport", engine, env={**env, "NETRC": str(netrc)})
        assert (0, 0) == (done.code, trap.connections)
        assert packets("m", rows(2)) == collector.packets("m")
        assert {r.headers["authorization"] for r in collector.requests} == {f"Basic {PAIR}"}
        assert "set proxy under [swarm]" in done.err


def served(authority: trustme.CA, *names: str, expired: bool = False) -> ssl.SSLContext:
    """Return a TLS context of a server, with a certificate for these names."""
    ends = datetime.now(UTC) - timedelta(days=1) if expired else None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_after=ends).configure_cert(context)
    return context


@pytest.mark.parametrize("engine", ["curl", "requests"])
@pytest.mark.parametrize("fault", ["unknown authority", "another host", "expired"])
def test_a_certificate_that_does_not_verify(workspace: Workspace, engine: str, fault: str) -> None:
    """A certificate that can't be verified ends the run (exit 4) before any HTTP is sent."""
    authority = trustme.CA()
    names = ["other.example.com"] if fault == "another host" else ["127.0.0.1"]
    known = trustme.CA() if fault == "unknown authority" else authority
    known.cert_pem.write_to_path(str(workspace.folder / "ca.pem"))
    with Collector(tls=served(authority, *names, expired=fault == "expired")) as collector:
        meters = {name: workspace.csv(f"{name}.csv", rows(2)) for name in "abc"}
        config = workspace.ini(collector.url, meters, swarm={"ca_bundle": "ca.pem"})
        done = workspace.run(config, "--json", "--transport", engine).balanced()
        assert (4, []) == (done.code, collector.requests)
        assert "tls" in {(meter["problem"] or {}).get("kind") for meter in done.meters.values()}
        assert "certificate" in done.err.lower()


@pytest.mark.parametrize("engine", ["curl", "requests"])
def test_an_own_authority(workspace: Workspace, engine: str) -> None:
    """``ca_bundle`` names the authority of a collector's certificate."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(workspace.folder / "ca.pem"))
    with Collector(tls=served(authority, "127.0.0.1")) as collector:
        path = workspace.csv("m.csv", rows(3))
        config = workspace.ini(collector.url, {"m": path}, swarm={"ca_bundle": "ca.pem"})
        assert workspace.run(config, "--transport", engine).code == 0
        assert packets("m", rows(3)) == collector.packets("m")


def test_a_bug_is_one_line(workspace: Workspace, collector: Collector) -> None:
    """An exception in a worker is one line for the user (exit 1); -vv shows the traceback."""
    env = workspace.first(
        "import swarm.delivery.deliver\n"
        f"def packet(*_): raise RuntimeError('{PASSWORD[:0]}oops')\n"
        "swarm.delivery.deliver.packet = packet\n"
    )
    config = workspace.ini(collector.url, {"m": workspace.csv("m.csv", rows(2))})
    done = workspace.run(config, env=env)
    assert (1, 1) == (done.code, done.err.count("oops"))
    assert "Traceback" not in done.err
    assert "Traceback" in workspace.run(config, "-vv", env=env).err


def test_a_port_that_is_closed_meanwhile(workspace: Workspace) -> None:
    """A collector whose port is closed is an outage (exit 5), not a redirect."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    config = workspace.ini(
        f"http://127.0.0.1:{port}/",
        {"m": workspace.csv("m.csv", rows(2))},
        upload={"retry_for": "0s"},
    )
    assert workspace.run(config).code == 5
