"""``[upload]``, and over it what flags and variables say -> `Upload`."""

from collections.abc import Mapping
from typing import Any

from swarm.document import Document
from swarm.options import OPTIONS, Upload
from swarm.values import INVALID

SECTION = "upload"
PARSERS = {option.key: option.parse for option in OPTIONS}

#: Of each pair only one makes sense.
_CONTRARY = (("quiet", "verbose"), ("restart", "adopt"))


def merged(document: Document, said: Mapping[str, Any], given: Mapping[str, Any]) -> Upload:
    """Return the options of a run: what the INI ``said``, and over it what is ``given``."""
    overruled = {b if a in given else a for a, b in _CONTRARY if (a in given) != (b in given)}
    kept = {
        key: value for key, value in said.items() if value is not INVALID and key not in overruled
    }
    upload = Upload(**{**kept, **given})
    for one, other in _CONTRARY:
        if getattr(upload, one) and getattr(upload, other):
            _report(document, given, other, f"stands beside {one}; keep one of the two")
    if upload.since is not None and upload.until is not None and upload.since >= upload.until:
        _report(document, given, "until", "not later than since: no row lies between the two")
    return upload


def _report(document: Document, given: Mapping[str, Any], key: str, problem: str) -> None:
    if key in given:
        document.report_at(None, f"--{key}: {problem}")
    else:
        document.report(SECTION, key, problem)
