"""A terminal for tests: a real pseudo-terminal, and the content of its screen."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading
from typing import Self, TextIO

from swarm.cli.table import width

_TOKEN = re.compile(
    r"\x1b\[(?P<count>\d*)(?P<move>[A-Za-z])|(?P<plain>[^\x00-\x1f]+)|(?P<one>.)", re.DOTALL
)
_SECONDS = 20


class Screen:
    """Content of a terminal's screen; only the control sequences that swarm uses are understood."""

    def __init__(self, lines: int, columns: int) -> None:
        self._cells = [[" "] * columns for _ in range(lines)]
        self._gone: list[str] = []
        self._line = 0
        self._column = 0

    @property
    def lines(self) -> list[str]:
        """The lines on the screen, without those that are empty at the end."""
        lines = [_text(cells) for cells in self._cells]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def history(self) -> list[str]:
        """The lines that have scrolled off the screen, and those on it."""
        return [*self._gone, *self.lines]

    def feed(self, text: str) -> None:
        """Show what a program writes."""
        for token in _TOKEN.finditer(text):
            if token["plain"]:
                for character in token["plain"]:
                    self._put(character)
            elif token["one"] == "\n":
                self._down()
            elif token["one"] == "\r":
                self._column = 0
            else:
                assert token["move"] == "A", f"not understood: {token[0]!r}"
                self._line = max(self._line - int(token["count"] or 1), 0)

    def _down(self) -> None:
        self._line += 1
        if self._line == len(self._cells):
            self._gone.append(_text(self._cells.pop(0)))
            self._cells.append([" "] * len(self._cells[0]))
            self._line -= 1

    def _put(self, character: str) -> None:
        columns = width(character)
        if self._column + columns > len(self._cells[0]):
            self._column = 0
            self._down()
        self._cells[self._line][self._column : self._column + columns] = [
            character,
            *[""] * (columns - 1),
        ]
        self._column += columns


def _text(cells: list[str]) -> str:
    return "".join(cells).rstrip()


class Terminal:
    """A pseudo-terminal: ``file`` is a program's stderr, ``screen`` what its user sees."""

    def __init__(self, lines: int, columns: int) -> None:
        self._ours, self._theirs = pty.openpty()
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, size)
        self.file: TextIO = open(self._theirs, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        self.screen = Screen(lines, columns)
        self.text = ""
        self._marks = threading.Semaphore(0)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def settle(self) -> Screen:
        """Return the screen once everything that was written is on it."""
        self.file.write("\0")
        self.file.flush()
        assert self._marks.acquire(timeout=_SECONDS)
        return self.screen

    def fileno(self) -> int:
        """Return the descriptor of the program's end."""
        return self._theirs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        os.close(self._theirs)
        self._reader.join(_SECONDS)
        os.close(self._ours)

    def _read(self) -> None:
        rest = b""
        while True:
            try:
                rest += os.read(self._ours, 65536)
            except OSError:  # the other end is closed everywhere
                return
            text, rest = _decoded(rest)
            for at, part in enumerate(text.split("\0")):
                if at:
                    self._marks.release()
                self.text += part
                self.screen.feed(part)


def _decoded(data: bytes) -> tuple[str, bytes]:
    """Return the text of the complete characters and control sequences, and the remaining bytes."""
    for cut in range(len(data), max(len(data) - 8, -1), -1):
        head = data[:cut]
        if b"\x1b" not in head[-3:]:
            try:
                return head.decode(), data[cut:]
            except UnicodeDecodeError:
                continue
    return "", data
