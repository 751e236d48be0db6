"""The cluster of a run: its address, its files, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from swarm.config.cluster import ClusterSettings
from swarm.config.load import load
from swarm.errors import SettingsError
from tests.support.ini import SWARM, ini_text, problems

_TLS = "tls://10.0.0.5:8786"


def ini(folder: Path, section: str = "", url: str = "https://collector.example/") -> Path:
    """Write an INI with a section for the cluster."""
    path = folder / "meters.ini"
    text = ini_text()
    start = text.index("environment =")
    end = text.index("\n", start)
    path.write_text(f"{text[:start]}{url}{text[end:]}\n{section}")
    return path


def cluster_of(folder: Path, section: str = "", **given: Any) -> ClusterSettings | None:
    """Return the cluster of an INI with such a section."""
    url = "url = https://collector.example/measurements"
    return load(ini(folder, section, url), given, secrets=False).cluster


def problem_of(folder: Path, section: str = "", **given: Any) -> str:
    """Return the problem of an INI with such a section."""
    with pytest.raises(SettingsError) as found:
        cluster_of(folder, section, **given)
    return str(found.value)


def test_without_a_scheduler_there_is_no_cluster(tmp_path: Path) -> None:
    """A section with files for TLS alone is for those who use the flag."""
    assert cluster_of(tmp_path) is None
    assert cluster_of(tmp_path, "[cluster]\ninsecure = yes\n") is None


def test_the_flag_wins(tmp_path: Path) -> None:
    """Also to run without the cluster of the INI."""
    section = f"[cluster]\nscheduler = {_TLS}\n"
    assert ClusterSettings(_TLS) == cluster_of(tmp_path, section)
    assert ClusterSettings("local") == cluster_of(tmp_path, section, cluster="local")
    assert cluster_of(tmp_path, section, cluster="none") is None


def test_the_files_for_tls_are_relative_to_the_ini(tmp_path: Path) -> None:
    """All three are needed, and must be there."""
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("x")
    section = f"[cluster]\nscheduler = {_TLS}\ntls_ca = ca.pem\n"
    whole = f"{section}tls_cert = cert.pem\ntls_key = key.pem\n"
    paths = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    assert ClusterSettings(_TLS, *paths) == cluster_of(tmp_path, whole)
    problem = problem_of(tmp_path, section)
    assert "[cluster] tls_cert: missing: tls_ca needs it" in problem
    assert "[cluster] tls_key: missing: tls_ca needs it" in problem
    (tmp_path / "key.pem").unlink()
    assert f"no such file: {tmp_path / 'key.pem'}" in problem_of(tmp_path, whole)


def test_a_connection_in_the_clear_must_be_asked_for(tmp_path: Path) -> None:
    """But for one that does not leave this computer."""
    section = "[cluster]\nscheduler = tcp://10.0.0.5:8786\n"
    assert "[cluster] scheduler: tcp:// to another host is not encrypted" in problem_of(
        tmp_path, section
    )
    problem = problem_of(tmp_path, cluster="tcp://10.0.0.5:8786")
    assert "--cluster: tcp:// to another host is not encrypted" in problem
    assert cluster_of(tmp_path, f"{section}insecure = yes\n")
    assert cluster_of(tmp_path, cluster="tcp://127.0.0.1:8786")


def test_workers_send_with_curl(tmp_path: Path) -> None:
    """The other engine can't drop its connections when a lease ends."""
    problem = problem_of(tmp_path, cluster=_TLS, transport="requests")
    assert "--cluster: the workers of a cluster send with curl; leave transport out" in problem


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("environment = sandbox", "the sandbox is on this computer only; use local"),
        ("environment = local", "the collector's URL means another computer on each worker"),
    ],
)
def test_the_workers_must_reach_the_collector(tmp_path: Path, url: str, expected: str) -> None:
    """A collector on this computer goes with workers on this computer."""
    with pytest.raises(SettingsError, match=expected):
        load(ini(tmp_path, url=url), {"cluster": _TLS}, secrets=False)
    assert load(ini(tmp_path, url=url), {"cluster": "local"}, secrets=False).cluster


_IN_THE_CLEAR = (
    "tcp:// to another host is not encrypted, and whoever reaches its port can run programs there "
    "and read passwords; use tls://, or set insecure = yes under [cluster]"
)
_ELSEWHERE = (
    "the collector's URL means another computer on each worker; use one that all workers can "
    "reach, or local"
)
_SANDBOX = "the sandbox is on this computer only; use local, or another environment"
_REMOTE = "url = https://collector.example/\ntimezone = UTC"


@pytest.mark.parametrize(
    ("swarm", "section", "given", "expected"),
    [
        (
            _REMOTE,
            "scheduler = tls://h",
            {},
            ["10: [cluster] scheduler: found 'tls://h', expected"],
        ),
        (_REMOTE, "scheduler = tcp://h:1", {}, [f"10: [cluster] scheduler: {_IN_THE_CLEAR}"]),
        (_REMOTE, "scheduler =", {}, ["10: [cluster] scheduler: empty; give it a value or leave"]),
        (_REMOTE, "insecure = perhaps", {}, ["10: [cluster] insecure: found 'perhaps', expected"]),
        (
            _REMOTE,
            f"scheduler = {_TLS}\ntls_kye = x",
            {},
            ["11: [cluster] tls_kye: unknown option; did you mean 'tls_key'?"],
        ),
        (_REMOTE, "", {"cluster": "tcp://h:1"}, [f"--cluster: {_IN_THE_CLEAR}"]),
        (_REMOTE, f"scheduler = {_TLS}", {"cluster": "tcp://h:1"}, [f"--cluster: {_IN_THE_CLEAR}"]),
        (SWARM, f"scheduler = {_TLS}", {}, [f"10: [cluster] scheduler: {_SANDBOX}"]),
        (SWARM, "", {"cluster": _TLS}, [f"--cluster: {_SANDBOX}"]),
        (
            "environment = local\ntimezone = UTC",
            "scheduler = tcp://h:1",
            {},
            [
                f"10: [cluster] scheduler: {_IN_THE_CLEAR}",
                f"10: [cluster] scheduler: {_ELSEWHERE}",
            ],
        ),
        (SWARM, "scheduler = local", {}, []),
        (SWARM, f"scheduler = {_TLS}", {"cluster": "local"}, []),
        (SWARM, f"scheduler = {_TLS}", {"cluster": "none", "transport": "requests"}, []),
    ],
)
def test_a_problem_has_its_place_and_a_way_out(
    tmp_path: Path, swarm: str, section: str, given: dict[str, Any], expected: list[str]
) -> None:
    """The place is the line of the option, or the flag; all problems come at once."""
    text = ini_text(swarm=swarm, rest=f"[cluster]\n{section}\n")
    found = problems(tmp_path, text, given)
    assert len(expected) == len(found), found
    for start, problem in zip(expected, found, strict=True):
        assert problem.startswith(start)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tcp://[::1]:1", "tcp://localhost:1"])
def test_loopback_needs_no_encryption(tmp_path: Path, address: str) -> None:
    """The connection does not leave this computer, and a collector on it is the same for all."""
    swarm = "environment = local\ntimezone = UTC"
    text = ini_text(swarm=swarm, rest=f"\n[cluster]\nscheduler = {address}\n")
    assert [] == problems(tmp_path, text)
