"""An INI of the original app (``[Web DC]``, ``[General]``, ``[Logs]``) -> the same settings.

Such files have their own rules: paths are relative to the current folder, option names are
case-insensitive, ``:`` separates name and value as ``=`` does, ``%%`` means ``%``, and MinutesShift
and MinutesInSlot need no value. Timestamps are UTC. The original app ignored unknown names, so here
they are warnings only: its files run unchanged.
"""

import re
from configparser import BasicInterpolation
from itertools import chain
from pathlib import Path
from typing import Any

from swarm.config.document import Document, current_folder
from swarm.config.ini import IniSyntax
from swarm.config.options import Upload
from swarm.config.parsers import INVALID, Parser, one_of
from swarm.config.paths import default_state, resolved
from swarm.config.schema import Schema, unknown_names
from swarm.config.settings import Credentials, CsvRules, Meter, Settings
from swarm.config.urls import checked_url, collector_name
from swarm.packet import REGISTERS, VALUE

WEB, _GENERAL, _LOGS = "Web DC", "General", "Logs"
_MARK = re.compile(r"^\s*\[\s*(Web DC|General|Logs)\s*\]", re.MULTILINE)
_SWARM_MARK = re.compile(r"^\s*\[\s*(swarm|meters)\s*\]", re.MULTILINE)

SCHEMA: Schema = {
    WEB: ("url", "username", "password"),
    _GENERAL: ("filename", "channeltype", "channelreference", "minutesshift", "minutesinslot"),
    _LOGS: ("level", "filename"),
}
SYNTAX = IniSyntax(
    header=re.compile(r"\[(?P<header>[^]=]+)\]"),
    delimiters=("=", ":"),
    interpolation=BasicInterpolation(),
    bare=frozenset(chain.from_iterable(options or () for options in SCHEMA.values())),
)

_REAL, _FAKE, _OTHER = "real_electricity", "fake_electricity", "other"
#: The app's log levels -> ``verbose``, the number of -v flags.
_VERBOSITY = {
    **dict.fromkeys(("debug", "notset"), 2),
    "info": 1,
    **dict.fromkeys(("warning", "warn", "error", "critical", "fatal"), 0),
}


def recognises(text: str) -> bool:
    """Return True if an INI is one of the original app."""
    return bool(_MARK.search(text)) and not _SWARM_MARK.search(text)


def upload_options(document: Document) -> dict[str, Any]:
    """Return the options of an upload that an original app's INI sets: ``verbose``."""
    level = _optional(document, _LOGS, "Level", one_of(*_VERBOSITY))
    return {"verbose": _VERBOSITY[level]} if level in _VERBOSITY else {}


def settings(document: Document, upload: Upload) -> Settings:
    """Return the settings of an original app's INI; report its problems to the document."""
    url = _required(document, WEB, "URL", checked_url)
    log_file = _optional(document, _LOGS, "Filename")
    state = default_state()
    if state is None:
        message = (
            "no home folder for the state folder; set the variable XDG_STATE_HOME, or rewrite the "
            "INI with swarm init --from and set 'state' under [swarm]"
        )
        document.report_at(None, message)
    ignored = (
        f"{document.path}:{line}: {message}; it is ignored"
        for line, message in unknown_names(document, SCHEMA)
    )
    return Settings(
        config=document.path,
        collector=collector_name(url),
        url=url,
        meters=(_meter(document),),
        upload=upload,
        state=state or Path(),
        log_file=resolved(log_file, current_folder(document.path))
        if isinstance(log_file, str)
        else None,
        warnings=tuple(ignored),
    )


def _meter(document: Document) -> Meter:
    """Return the one meter of an original app's INI."""
    user = _required(document, WEB, "Username")
    if ":" in user:
        document.report(WEB, "Username", "contains ':', which basic auth does not allow")
    stream = _required(document, _GENERAL, "ChannelReference")
    file = _required(document, _GENERAL, "Filename")
    kind = _required(
        document, _GENERAL, "ChannelType", one_of(_REAL, _FAKE, _OTHER, any_case=False)
    )
    shift = _optional(document, _GENERAL, "MinutesShift", _minutes)
    slot = _optional(document, _GENERAL, "MinutesInSlot", _minutes)
    if kind == _REAL and shift not in {None, INVALID}:
        document.report(_GENERAL, "MinutesShift", f"can't be used with {_REAL}; remove the option")
    if kind == _FAKE and slot in {None, 0}:
        document.report(
            _GENERAL, "MinutesInSlot", f"{_FAKE} needs it: a whole number of minutes above zero"
        )
    rules = CsvRules(
        timezone="UTC",
        columns=REGISTERS if kind == _REAL else (VALUE,),
        shift=60.0 * shift if shift and shift is not INVALID else 0.0,
        pad_first=bool(shift),
        power_from_energy=float(slot) if kind == _FAKE and isinstance(slot, int) else None,
    )
    return Meter(
        id=stream,
        files=(resolved(file, current_folder(document.path)),),
        rules=rules,
        credentials=Credentials("", user, _required(document, WEB, "Password")),
    )


def _minutes(text: str) -> int:
    if not re.fullmatch(r"\+?[0-9]{1,6}", text):
        raise ValueError("a whole number of minutes")
    return int(text)


def _optional(document: Document, section: str, option: str, parse: Parser = str) -> Any:
    """Return a parsed value, None if the option is missing or empty, `INVALID` if it is wrong."""
    entry = document.entry(section, option)
    if entry is None or entry.value == "":
        return None
    return document.values(section, {option: parse})[option]


def _required(document: Document, section: str, option: str, parse: Parser = str) -> str:
    """Return a parsed value; report a missing one; return an empty text if there is a problem."""
    value = _optional(document, section, option, parse)
    if value is None:
        document.report(section, option, "missing")
    return value if isinstance(value, str) else ""
