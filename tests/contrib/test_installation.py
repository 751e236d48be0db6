"""The commands of docs/operations.md that install swarm for a computer, typed in a namespace."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.test_readme import ROOT
from tests.docs.test_typed_pages import SOURCES, clone, offline

OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
#: What is written to these folders is gone with the namespace; users are added to a copy of /etc.
_NAMESPACE = """
set -e
cp -a /etc {folder}/etc
mount --bind {folder}/etc /etc
for each in /opt /var/lib /var/log; do mount -t tmpfs tmpfs $each; done
cd {clone}
echo '[swarm]' > meters.ini
{commands}
echo ---
/opt/swarm/bin/swarm --version
cd /
stat -c '%A %U %G %n' var/lib/swarm var/log/swarm etc/swarm etc/swarm/meters.ini etc/cron.d/swarm
runuser -u swarm -- cat /etc/swarm/meters.ini
runuser -u nobody -- cat /etc/swarm/meters.ini || echo forbidden
"""


def commands_below(heading: str) -> str:
    """Return the shell commands of a section."""
    section = OPERATIONS.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return "".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.skipif(
    not all(map(shutil.which, ("unshare", "useradd", "runuser"))),
    reason="unshare, useradd or runuser is missing: install Debian's util-linux and passwd",
)
def test_the_commands_of_the_page(tmp_path: Path) -> None:
    """Program, user, folders and the line of cron are there, with the rights that they need."""
    headings = ("Install it for the computer", "A user and its folders", "cron")
    commands = "".join(map(commands_below, headings))
    assert 7 == len(commands.splitlines())
    copy = clone(tmp_path, *SOURCES, "contrib")
    script = _NAMESPACE.format(folder=tmp_path, clone=copy, commands=commands)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={**os.environ, **offline(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    version, *files, content, refused = done.stdout.partition("---\n")[2].splitlines()
    assert version.startswith("swarm, version")
    assert [
        "drwx------ swarm swarm var/lib/swarm",
        "drwx------ swarm swarm var/log/swarm",
        "drwxr-x--- root swarm etc/swarm",
        "-rw-r----- root swarm etc/swarm/meters.ini",
        "-rw-r--r-- root root etc/cron.d/swarm",
    ] == files
    assert ("[swarm]", "forbidden") == (content, refused)
