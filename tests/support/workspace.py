"""A workspace for tests: a folder with an INI and CSVs, and the real command run in it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

USER, PASSWORD = "acme", "s3cr%et"
_SECONDS = 150


@dataclass(frozen=True)
class Finished:
    """The result of a finished run of the command."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """The report of a run with ``--json``."""
        report: dict[str, Any] = json.loads(self.out)
        return report

    @property
    def meters(self) -> dict[str, dict[str, Any]]:
        """The report's meters by their IDs."""
        return {meter["id"]: meter for meter in self.report["meters"]}

    def balanced(self) -> "Finished":
        """Check the accounting of the report for each meter and in total; return this result."""
        for counts in (self.report["totals"], *self.report["meters"]):
            parts = ("filtered", "sent", "resumed", "rejected", "late", "unsent")
            assert counts["rows"] == sum(counts[part] for part in parts), counts
            assert all(counts[part] >= 0 for part in parts), counts
        return self


class Workspace:
    """A folder to work in, and runs of ``swarm`` in it."""

    def __init__(self, folder: Path, *, is_measured: bool = True) -> None:
        self.folder = folder
        self.state = folder / "state"
        self._is_measured = is_measured

    def csv(self, name: str, lines: Iterable[str] | str) -> Path:
        """Write a CSV that was last modified a minute ago."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = lines if isinstance(lines, str) else "".join(f"{line}\n" for line in lines)
        path.write_text(text, encoding="utf-8", newline="")
        minute_ago = time.time() - 60
        os.utime(path, (minute_ago, minute_ago))
        return path

    def ini(
        self,
        url: str,
        meters: Mapping[str, str | Path],
        *,
        swarm: Mapping[str, str] | None = None,
        upload: Mapping[str, str] | None = None,
        rest: str = "",
        name: str = "config.ini",
    ) -> Path:
        """Write an INI that only its owner can read; ``url`` may be the name of an environment."""
        target = {"url" if "://" in url else "environment": url}
        settings = {**target, "timezone": "UTC", "state": str(self.state), **(swarm or {})}
        sections = {
            "swarm": settings,
            "credentials": {"username": USER, "password": PASSWORD},
            "upload": {"settle": "0.1s", **(upload or {})},
            "meters": meters,
        }
        lines = []
        for section, options in sections.items():
            lines += [f"[{section}]", *(f"{key} = {value}" for key, value in options.items()), ""]
        path = self.folder / name
        path.write_text("\n".join(lines) + rest, encoding="utf-8")
        path.chmod(0o600)
        return path

    def first(self, code: str) -> dict[str, str]:
        """Return an environment in which every Python process of a run executes this code first."""
        site = self.folder / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(code, encoding="utf-8")
        return {"PYTHONPATH": f"{site}{os.pathsep}{_ROOT}"}

    def start(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        within: Sequence[str] = (),
    ) -> "subprocess.Popen[str]":
        """Start the command in a process group of its own; ``within`` is a command that runs it."""
        return subprocess.Popen(
            [*within, sys.executable, "-m", "swarm", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=cwd or self.folder,
            env={**self._env(), "PYTHONPATH": _ROOT, **(env or {})},
            start_new_session=True,
        )

    def run(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Finished:
        """Run the command until it ends."""
        return ended(self.start(*arguments, env=env, cwd=cwd))

    def _env(self) -> dict[str, str]:
        """Return our environment; coverage's variables, which make runs slow, only if measured."""
        skipped = () if self._is_measured else ("COVERAGE_",)
        return {key: value for key, value in os.environ.items() if not key.startswith(skipped)}


_ROOT = str(Path(__file__).parents[2])


def ended(process: "subprocess.Popen[str]") -> Finished:
    """Wait for the end of a run; kill one that hangs, with its workers."""
    try:
        out, err = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"hangs: {out}\n{err}") from None
    return Finished(process.returncode, out, err)


def rows(count: int, start: str = "2023-01-01 00:00:00", minutes: int = 15) -> list[str]:
    """Return ``count`` rows of a single-value CSV."""
    moment = datetime.fromisoformat(start)
    step = timedelta(minutes=minutes)
    return [f"{moment + at * step},{at}.{at % 10}5" for at in range(count)]


def packet(stream: str, row: str) -> dict[str, Any]:
    """Return the packet for a row of a single-value CSV in UTC."""
    moment, value = row.split(",")
    time_text = (
        datetime.fromisoformat(moment).replace(tzinfo=UTC).isoformat(timespec="milliseconds")
    )
    return {"id": stream, "tsISO8601": time_text, "value": float(value)}


def packets(stream: str, lines: Sequence[str]) -> list[dict[str, Any]]:
    """Return the packets for the rows of a single-value CSV in UTC."""
    return [packet(stream, line) for line in lines]
