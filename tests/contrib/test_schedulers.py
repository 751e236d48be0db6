"""The files for cron, systemd, launchd, Kubernetes and logrotate, and the page about them."""

import os
import plistlib
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from swarm.config import load
from swarm.errors import ExitCode
from tests.contrib import CONTRIB
from tests.docs.test_readme import ROOT
from tests.support.collector import Collector
from tests.support.processes import until
from tests.support.workspace import USER, Workspace, rows

OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
#: Exit codes after which a later run needs somebody to act first.
FOR_GOOD = {ExitCode.BUG, ExitCode.USAGE, ExitCode.DATA, ExitCode.REFUSED, ExitCode.STATE}
SERVICE = (CONTRIB / "systemd" / "swarm@.service").read_text(encoding="utf-8")


def needs(command: str, package: str) -> pytest.MarkDecorator:
    """Skip a test without a command of a Debian package."""
    return pytest.mark.skipif(
        shutil.which(command, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None,
        reason=f"{command} is missing: install Debian's {package}",
    )


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def settings_of(option: str) -> list[str]:
    """Return the words of a setting of the service."""
    words: str = re.findall(rf"^{option}=(.*)$", SERVICE, re.MULTILINE)[0]
    return words.split()


# systemd


@needs("systemd-analyze", "systemd")
def test_the_units_are_valid(tmp_path: Path) -> None:
    """With swarm in its place, systemd has nothing to say of them; the service is locked down."""
    swarm = tmp_path / "swarm"
    swarm.write_text("#!/bin/sh\n")
    swarm.chmod(0o755)
    for name in ("swarm@.service", "swarm@.timer"):
        text = (CONTRIB / "systemd" / name).read_text(encoding="utf-8")
        assert ("/opt/swarm/bin/swarm" in text) == name.endswith("service")
        (tmp_path / name).write_text(text.replace("/opt/swarm/bin/swarm", str(swarm)))
    units = [str(tmp_path / name) for name in ("swarm@.service", "swarm@.timer")]
    verify = ["systemd-analyze", "verify", *units]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    secure = ["systemd-analyze", "security", "--offline=yes", "--threshold=20"]
    done = subprocess.run(
        [*secure, tmp_path / "swarm@.service"], capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stdout


def test_exit_codes_that_do_not_pass_are_not_tried_again() -> None:
    """The same ones in the service, in the CronJob and on the page."""
    assert {str(int(code)) for code in FOR_GOOD} == set(settings_of("RestartPreventExitStatus"))
    rule = cronjob()["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"][0]
    assert ("FailJob", FOR_GOOD) == (rule["action"], set(rule["onExitCodes"]["values"]))
    told = re.findall(r"^\| ([\d, ]+) \| (.*) \|$", OPERATIONS, re.MULTILINE)
    codes = {int(code): text for codes, text in told for code in codes.split(", ")}
    assert {int(code) for code in ExitCode} == codes.keys()
    assert FOR_GOOD == {code for code, text in codes.items() if not text.startswith("nobody")}


def _calls(name: str) -> set[str]:
    """Return the system calls of a set of systemd."""
    done = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    )
    names = [line.strip() for line in done.stdout.splitlines()[1:]]
    calls = {each for each in names if each and each[0] not in "#@"}
    return calls.union(*(_calls(each) for each in names if each.startswith("@")))


@needs("systemd-analyze", "systemd")
@needs("strace", "strace")
@pytest.mark.parametrize("transport", ["curl", "requests"])
def test_a_run_makes_no_system_call_that_the_service_forbids(
    workspace: Workspace, collector: Collector, transport: str
) -> None:
    """A run with several workers, a report, a metrics file and a command at its end."""
    for name in "abc":
        workspace.csv(f"{name}.csv", rows(200))
    upload = {"processes": "2", "transport": transport, "report": "r.html", "metrics_file": "m"}
    meters = {name: f"{name}.csv" for name in "abc"}
    rest = "\n[notify]\non_success = true\n"
    config = workspace.ini(collector.url, meters, upload=upload, rest=rest)
    trace = workspace.folder / "trace"
    process = workspace.start(config, within=["strace", "-f", "-qq", "-o", str(trace)])
    _, err = process.communicate(timeout=200)
    assert 0 == process.returncode, err
    text = trace.read_text(encoding="utf-8", errors="replace")
    made = set(re.findall(r"^\d+ +(\w+)\(", text, re.MULTILINE))
    assert {"execve", "fcntl", "sendto"} & made
    allowed, forbidden = re.findall(r"^SystemCallFilter=(.*)$", SERVICE, re.MULTILINE)
    assert (allowed, forbidden) == ("@system-service", "~@privileged")
    assert set() == made - (_calls("@system-service") - _calls("@privileged"))
    families = set(re.findall(r"\bsocket\((AF_\w+)", text))
    assert families <= set(settings_of("RestrictAddressFamilies"))


# cron

_CRON = """
set -e
mount -t tmpfs tmpfs /etc/cron.d
mount -t tmpfs tmpfs /var/spool/cron
mount -t tmpfs tmpfs /run
cp "$1" /etc/cron.d/swarm
exec cron -f
"""


@as_root
@needs("unshare", "util-linux")
@needs("cron", "cron")
def test_cron_runs_it(workspace: Workspace, collector: Collector) -> None:
    """A real cron with the file, but each minute, and in a namespace of its own."""
    workspace.csv("a.csv", rows(3))
    config = workspace.ini(collector.url, {"a": "a.csv"})
    text = (CONTRIB / "cron" / "swarm").read_text(encoding="utf-8")
    line = text.splitlines()[-1]
    assert line in OPERATIONS
    assert ["15", "*", "*", "*", "*", "swarm", "/opt/swarm/bin/swarm"] == line.split()[:7]
    wrapper = workspace.folder / "swarm"
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m swarm "$@"\n')
    wrapper.chmod(0o755)
    for old, new in (
        ("15 *", "* *"),
        ("  swarm  ", "  root  "),
        ("/opt/swarm/bin/swarm", str(wrapper)),
        ("/etc/swarm/meters.ini", str(config)),
    ):
        assert old in text
        text = text.replace(old, new)
    table = workspace.folder / "table"
    table.write_text(text)
    table.chmod(0o644)
    command = ["unshare", "--mount", "sh", "-c", _CRON, "sh", str(table)]
    with subprocess.Popen(command, start_new_session=True) as cron:
        try:
            until(lambda: len(collector.bodies("a")) == 3, 90)
        finally:
            # Only the session that was started here.
            os.killpg(cron.pid, signal.SIGTERM)


# launchd and Kubernetes


def test_the_launch_agent() -> None:
    """It is a property list whose label is that of the page, and runs once an hour."""
    (path,) = (CONTRIB / "launchd").iterdir()
    agent = plistlib.loads(path.read_bytes())
    assert path.stem == agent["Label"]
    assert OPERATIONS.count(f"{path.stem}\n") == 2
    assert {"Minute": 15} == agent["StartCalendarInterval"]
    assert ["/opt/swarm/bin/swarm", "--quiet", "--keep-going"] == agent["ProgramArguments"][:3]


def cronjob() -> dict[str, Any]:
    """Return the CronJob."""
    text = (CONTRIB / "kubernetes" / "cronjob.yaml").read_text(encoding="utf-8")
    (job,) = [each for each in yaml.safe_load_all(text) if each["kind"] == "CronJob"]
    return dict(job)


def test_the_objects_of_kubernetes() -> None:
    """They fit the schemas of Kubernetes, and each mount has its volume."""
    text = (CONTRIB / "kubernetes" / "cronjob.yaml").read_text(encoding="utf-8")
    for each in yaml.safe_load_all(text):
        kubernetes_validate.validate(each, "1.30", strict=True)
    pod = cronjob()["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {each["name"] for each in container["volumeMounts"]}
    assert mounts == {each["name"] for each in pod["volumes"]}


# The log


@as_root
@needs("logrotate", "logrotate")
def test_the_log_is_rotated_during_a_run(workspace: Workspace, collector: Collector) -> None:
    """The run goes on in a new file, which belongs to the same user; nothing is lost."""
    text = (CONTRIB / "logrotate" / "swarm").read_text(encoding="utf-8")
    block = text[text.index("\n/var") + 1 :]
    assert block in OPERATIONS
    folder = workspace.folder / "log"
    folder.mkdir(mode=0o700)
    rules = workspace.folder / "rules"
    rules.write_text(
        block.replace("/var/log/swarm", str(folder)).replace("swarm swarm", "root root")
    )
    rules.chmod(0o644)
    workspace.csv("a.csv", rows(300))
    log = folder / "meters.log"
    config = workspace.ini(collector.url, {"a": "a.csv"}, swarm={"log_file": str(log)})
    process = workspace.start(config, "--rate-limit", "100", "--progress", "plain")
    until(lambda: len(collector.bodies("a")) > 20)
    state = ["-f", "-s", str(workspace.folder / "status")]
    subprocess.run(
        ["logrotate", *state, str(rules)], check=True, env={"PATH": "/usr/sbin:/usr/bin:/bin"}
    )
    process.communicate(timeout=60)
    assert 0 == process.returncode
    old = (folder / "meters.log.1").read_text(encoding="utf-8")
    assert "sending 300 rows" in old
    assert "exit 0" not in old
    assert log.read_text(encoding="utf-8").rstrip().endswith("exit 0")
    assert 0o600 == log.stat().st_mode & 0o777


# The page

_PASSWORDS = re.findall(r"```ini\n(password_\w+ = .*)\n```", OPERATIONS)


@pytest.mark.parametrize("line", _PASSWORDS)
def test_each_way_to_give_the_password(
    tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line works as it is, with stand-ins for the programs and the file that it names."""
    option, _, value = line.partition(" = ")
    if option == "password_env":
        monkeypatch.setenv(value, "secret")
    elif option == "password_file":
        file = tmp_path / Path(value).name
        file.write_text("secret\n")
        file.chmod(0o600)
        line = f"{option} = {file}"
    else:
        program, arguments = value.split(maxsplit=1)
        (tmp_path / "bin").mkdir()
        script = tmp_path / "bin" / program
        script.write_text(f'#!/bin/sh\n[ "$*" = "{arguments}" ] && echo secret\n')
        script.chmod(0o700)
        monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    path = tmp_path / "meters.ini"
    path.write_text(
        "[swarm]\nenvironment = demo\ntimezone = UTC\n[meters]\na = a.csv\n"
        f"[credentials]\nusername = {USER}\n{line}\n"
    )
    (meter,) = load.load(path, {"meters": ()}).meters
    assert meter.credentials is not None
    assert "secret" == meter.credentials.password


def test_there_are_six_ways() -> None:
    """File, systemd, keyring, pass, Vault, variable."""
    assert 6 == len(_PASSWORDS)


def test_every_file_is_named_by_a_page() -> None:
    """A file that no page names is not found."""
    pages = OPERATIONS + (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    for path in CONTRIB.rglob("*"):
        if path.is_file():
            assert path.name in pages, path
