"""``[notify]``: whom to tell of the beginning and the end of a run."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from swarm.config.document import Document
from swarm.config.parsers import INVALID
from swarm.config.paths import home_expanded

SECTION: Final = "notify"
OPTIONS: Final = ("healthcheck", "on_success", "on_failure")


@dataclass(frozen=True)
class Notify:
    """The targets of notifications; each is None if it is not set.

    ``healthcheck`` is a URL, whose path may be a secret. ``on_success`` and ``on_failure`` are the
    words of commands, which run in ``folder``.
    """

    folder: Path
    healthcheck: str | None = field(default=None, repr=False)
    on_success: tuple[str, ...] | None = None
    on_failure: tuple[str, ...] | None = None


def load(document: Document) -> Notify | None:
    """Return the targets of an INI, None if it has none. Problems are reported to the document."""
    parsers = {"healthcheck": _url, "on_success": _command, "on_failure": _command}
    values = document.values(SECTION, parsers)
    given = {key: value for key, value in values.items() if value is not INVALID}
    return Notify(document.folder, **given) if given else None


def _url(text: str) -> str:
    """Return the URL of a healthcheck."""
    expected = "a URL such as https://hc-ping.com/UUID, without user and password"
    try:
        parts = urlsplit(text)
        is_usable = parts.hostname and parts.port != 0
    except ValueError:
        raise ValueError(expected) from None
    if parts.scheme not in {"http", "https"} or not is_usable or "@" in parts.netloc:
        raise ValueError(expected)
    if parts.fragment or any(character.isspace() for character in text):
        raise ValueError(expected)
    return text


def _command(text: str) -> tuple[str, ...]:
    """Return the words of a command."""
    try:
        words = tuple(home_expanded(word) for word in shlex.split(text))
    except ValueError:
        raise ValueError("a command whose quotes are closed") from None
    return words
