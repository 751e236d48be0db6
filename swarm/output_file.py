"""A file that a command writes for its user: as a whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from swarm.errors import SettingsError


class OutputFile:
    """The file of an option such as ``--report``.

    Raises `SettingsError` if no file can be written there.
    """

    def __init__(self, option: str, path: Path) -> None:
        self.path = path
        if path.is_dir():
            raise SettingsError(f"{option} {path}: is a folder; expected the path of a file")
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise SettingsError(
                f"{option} {path}: no file can be written in {path.absolute().parent}: "
                f"{error.strerror}"
            ) from None

    @contextmanager
    def replaced(self) -> Iterator[IO[str]]:
        """Yield a new file (UTF-8), which takes the place of the old one at the end of the block.

        An exception in the block leaves the old one. Raises OSError.
        """
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                yield file
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(name, 0o666 & ~umask)  # noqa: PTH101 - mkstemp gives a name
            os.replace(name, self.path)  # noqa: PTH105 - likewise
        except BaseException:
            with suppress(OSError):
                os.unlink(name)  # noqa: PTH108 - likewise
            raise
