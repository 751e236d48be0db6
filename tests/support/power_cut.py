"""A simulated power cut for real processes: data that was not synced is lost, the boot ID changes.

A run is traced by `strace`, which records what is written to its state folder and what is synced.
After the run was killed, the folder is rewritten with what a power cut leaves of that record. Later
runs see another boot ID, through a mount in a namespace of their own.
"""

import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from tests.simulation.disk import Names, read_files, write_files

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_CALLS = (
    *("openat", "pwrite64", "write", "fsync", "ftruncate", "rename", "renameat", "renameat2"),
    *("unlink", "unlinkat"),
)
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(r"^(\d+)<((?:\\x[0-9a-f]{2})*)>")


@cache
def missing() -> str:
    """Return what this machine lacks for simulated power cuts, or an empty text."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    if os.geteuid() != 0:
        return "a namespace with a boot ID of its own needs root"
    probe = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False)
    if probe.returncode:
        return "strace may not trace here"
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return "unshare may not make a namespace here" if probe.returncode else ""


def recorded(command: Iterable[str], log: Path) -> list[str]:
    """Return a command that runs another one and records its system calls."""
    calls = ",".join(_CALLS)
    strace = ["strace", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "1000000", "-o", str(log)]
    return [*strace, "-e", f"trace={calls}", *command]


def in_boot(number: int, command: Iterable[str], folder: Path) -> list[str]:
    """Return a command that runs another one with the boot ID of this number."""
    boot = folder / f"boot-{number}"
    boot.write_text(f"{number:08x}-0000-4000-8000-000000000000\n")
    mount = f'mount --bind "{boot}" {_BOOT_ID} && exec "$@"'
    return ["unshare", "-m", "sh", "-c", mount, "sh", *command]


def cut(state: Path, before: dict[str, bytes], log: Path, rng: random.Random) -> None:
    """Rewrite a state folder with what a power cut leaves; ``before`` is its earlier content."""
    names = Names()
    names.reset(before)
    for call, arguments in _calls(log):
        _apply(names, state, call, arguments)
    write_files(state, names.survivors(rng))


def contents(state: Path) -> dict[str, bytes]:
    """Return the content of a state folder."""
    return read_files(state) if state.exists() else {}


def _calls(log: Path) -> Iterator[tuple[str, str]]:
    """Yield the calls that succeeded, with their arguments."""
    begun: dict[str, str] = {}
    for line in log.read_text("utf-8", "replace").splitlines():
        process, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith(_UNFINISHED):
            begun[process] = text.removesuffix(_UNFINISHED)
            continue
        if resumed := _RESUMED.match(text):
            text = begun.pop(process, "") + resumed[2]
        if (match := _CALL.match(text)) and int(match[3]) >= 0:
            yield match[1], match[2]


def _apply(names: Names, state: Path, call: str, arguments: str) -> None:
    paths = [_plain(each) for each in _STRING.findall(arguments)]
    descriptor = _DESCRIPTOR.match(arguments)
    name = _plain(descriptor[2]) if descriptor else ""
    if call == "openat":
        if paths[0].startswith(f"{state}/") and not Path(paths[0]).is_dir():
            file = names.opened(paths[0])
            if "O_TRUNC" in arguments:
                file.changes.append(0)
    elif call.startswith(("rename", "unlink")):
        if not paths[0].startswith(f"{state}/"):
            return
        if call.startswith("rename"):
            names.renamed(paths[0], paths[1])
        else:
            names.removed(paths[0])
    elif not name.startswith(str(state)):
        return
    elif call == "fsync":
        if name in names.now:
            names.now[name].sync(bytes(names.now[name].content))
        else:
            names.synced(name)
    else:
        _write(names, name, call, arguments)


def _write(names: Names, name: str, call: str, arguments: str) -> None:
    file = names.now.get(name)
    if file is None:  # removed since
        return
    if call == "ftruncate":
        file.changes.append(int(arguments.rpartition(",")[2]))
        return
    data = bytes.fromhex(_STRING.findall(arguments)[0].replace("\\x", ""))
    offset = int(arguments.rpartition(",")[2]) if call == "pwrite64" else len(file.content)
    file.changes.append((offset, data))


def _plain(text: str) -> str:
    return bytes.fromhex(text.replace("\\x", "")).decode("utf-8", "surrogateescape")
