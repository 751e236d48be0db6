"""Mutated INIs and CSVs go through the loader, the check and the packets: none may break them.

    python -m tests.fuzz --minutes 5 --seed 1

It prints its figures, saves the inputs that failed, and exits with 1 if any did. Each input depends
only on the seed and its number.
"""

import argparse
import json
import math
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType
from unittest import mock

from swarm.config import credentials
from swarm.config.load import load
from swarm.config.settings import Meter, Settings
from swarm.csv import CheckResult, MeterReader, Row, Window, check_files
from swarm.errors import SettingsError
from swarm.packet import body, packet
from tests.fuzz.mutation import Files, mutated
from tests.fuzz.seeds import PASSWORD_FILE, SECRET, seeds
from tests.support.meters import aged

#: An input that takes more CPU time (seconds) is a failure; after `_GIVEN_UP` it is stopped.
SLOW = 5.0
_GIVEN_UP = 30
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d")
_PIECE = 6
_PIECES = [SECRET[at : at + _PIECE] for at in range(len(SECRET) - _PIECE + 1)]


class FoundError(Exception):
    """Raised for a result that is not allowed."""


@dataclass
class Figures:
    """Counts of a fuzz run: what was done, and what was found."""

    seed: int
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    ini_problems: int = 0
    sound: int = 0
    unsound: int = 0
    packets: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, 0)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """Return the figures as text for people."""
        kinds = ", ".join(f"{name} {count}" for name, count in self.kinds.most_common())
        return [
            f"seed {self.seed}: {self.inputs} inputs in {self.seconds:.0f} s",
            f"INIs: {self.accepted} accepted, {self.refused} with {self.ini_problems} problems",
            f"meters: {self.sound} sound ({self.packets} packets), {self.unsound} with problems",
            f"problems of CSVs: {kinds or 'none'}",
            f"slowest: input {self.slowest[1]}, {self.slowest[0]:.2f} s",
            f"failures: {len(self.failures)}",
            *self.failures,
        ]


class Fuzz:
    """Makes inputs in a folder of its own and checks the results."""

    def __init__(self, folder: Path, seed: int, save: Path) -> None:
        self.figures = Figures(seed)
        self._folder = folder
        self._save = save
        self._seeds = seeds()

    def run(self, *, inputs: float = math.inf, minutes: float = math.inf) -> Figures:
        """Try inputs until their number or the time is reached."""
        start = time.monotonic()
        with _surroundings(self._folder):
            while self.figures.inputs < inputs and time.monotonic() - start < minutes * 60:
                self._try(self.figures.inputs)
                self.figures.inputs += 1
        self.figures.seconds = time.monotonic() - start
        return self.figures

    def _try(self, number: int) -> None:
        rng = random.Random(f"{self.figures.seed}:{number}")
        files = mutated(rng.choice(self._seeds), self._seeds, rng)
        config = self._written(files, is_old=rng.random() < 0.8)
        start = time.process_time()
        try:
            with _limited():
                self._judge(config, with_quality=rng.random() < 0.5)
        except Exception as error:  # any exception is a failure
            self._failed(number, f"{type(error).__name__}: {error}")
        seconds = time.process_time() - start
        self.figures.slowest = max(self.figures.slowest, (seconds, number))
        if seconds > SLOW:
            self._failed(number, f"slow: {seconds:.1f} s")

    def _written(self, files: Files, *, is_old: bool) -> Path:
        """Write an input's files, the INI first, and remove all others; return the INI's path."""
        for left in self._folder.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        for name, data in files.items():
            path = self._folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o600)
            aged(path, 60.0 if is_old else 0.0)
        return self._folder / next(iter(files))

    def _judge(self, config: Path, *, with_quality: bool) -> None:
        try:
            settings = load(config, {})
        except SettingsError as error:
            self.figures.refused += 1
            self.figures.ini_problems += len(error.problems)
            _tellable(error.problems, _copied(config))
            return
        self.figures.accepted += 1
        _tellable(settings.warnings)
        for meter in settings.meters:
            self._judge_meter(settings, meter, with_quality=with_quality)

    def _judge_meter(self, settings: Settings, meter: Meter, *, with_quality: bool) -> None:
        window = Window(settings.upload.since, settings.upload.until)
        found = check_files(meter, window, with_quality=with_quality)
        # A mutation may use the secret as a stream's ID or a file's name, or its file as a CSV.
        public = f"{meter.id} {meter.files}"
        if PASSWORD_FILE in public:
            public += SECRET
        _tellable([*map(str, found.problems), *found.notices], public)
        self.figures.kinds.update(problem.kind for problem in found.problems)
        if not found.is_sound:
            self.figures.unsound += 1
            return
        self.figures.sound += 1
        rows = list(MeterReader(meter, found.checked_files, window).rows())
        self.figures.packets += len(rows)
        _consistent(found, rows)
        for row in rows:
            data = packet(meter.id, row.instant, row.offset, body(found.registers, row.cells))
            _sendable(meter, found, data)

    def _failed(self, number: int, why: str) -> None:
        """Save an input that failed, with the reason."""
        folder = self._save / f"{self.figures.seed}-{number}"
        shutil.copytree(self._folder, folder, dirs_exist_ok=True)
        (folder / "why.txt").write_text(why + "\n", encoding="utf-8", errors="backslashreplace")
        self.figures.failures.append(f"input {number}: {why} (see {folder})")


@contextmanager
def _surroundings(folder: Path) -> Iterator[None]:
    """Work in the folder with all passwords set; never run a mutated password_command."""
    names = ("WATTICS_PASSWORD", "DUBLIN_PASSWORD", "CHICAGO_PASSWORD", "SITE_B_PASSWORD")
    folder.mkdir(exist_ok=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        with (
            mock.patch.dict(os.environ, dict.fromkeys(names, SECRET)),
            mock.patch.object(credentials, "_command_output", return_value=SECRET),
        ):
            yield
    finally:
        os.chdir(before)


@contextmanager
def _limited() -> Iterator[None]:
    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise FoundError(f"given up after {_GIVEN_UP} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(_GIVEN_UP)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _copied(config: Path) -> str:
    """Return the pieces of the secret that a mutation has copied to another line of the INI."""
    lines = set(config.read_text(encoding="utf-8", errors="replace").splitlines())
    return " ".join(piece for piece in _PIECES if sum(piece in line for line in lines) > 1)


def _tellable(messages: tuple[str, ...] | list[str], public: str = "") -> None:
    """Raise if a message contains a piece of the secret, or is not exactly one line.

    Pieces in the text ``public`` are not secret.
    """
    for message in messages:
        if not message or "\n" in message or "\r" in message:
            raise FoundError(f"not a line: {message!r}")
        if any(piece in message and piece not in public for piece in _PIECES):
            raise FoundError("a message shows the secret")


def _consistent(found: CheckResult, rows: list[Row]) -> None:
    """Raise if the rows sent differ from those that the check counted, or are not in order."""
    if found.rows - found.filtered != len(rows):
        raise FoundError(f"{len(rows)} rows, not {found.rows} - {found.filtered}")
    if found.ends != ((rows[0], rows[-1]) if rows else ()):
        raise FoundError("other ends than the check has found")
    if any(later.instant <= row.instant for row, later in pairwise(rows)):
        raise FoundError("rows out of order")


def _sendable(meter: Meter, found: CheckResult, data: bytes) -> None:
    """Raise if a packet is not as the reference describes it."""
    fields = json.loads(data, parse_constant=_finite, parse_float=_finite, parse_int=_finite)
    stream, moment, *_ = fields.values()
    registers = list(fields)[2:]
    if b"\n" in data or ["id", "tsISO8601"] != list(fields)[:2] or meter.id != stream:
        raise FoundError(f"not a packet of the stream: {data!r}")
    if not _TIME.fullmatch(moment):
        raise FoundError(f"not a time: {moment!r}")
    if not registers or registers != [name for name in found.registers if name in fields]:
        raise FoundError(f"other registers: {data!r}")
    if not all(isinstance(fields[name], float) for name in registers):
        raise FoundError(f"not numbers: {data!r}")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise FoundError(f"not finite: {text}")
    return value


def main() -> int:
    """Run the fuzz test from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", type=Path, default=Path("fuzz-failures"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(Path(folder).resolve(), arguments.seed, arguments.save.absolute())
        figures = fuzz.run(minutes=arguments.minutes)
    sys.stdout.write("\n".join(figures.lines()) + "\n")
    return 1 if figures.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
