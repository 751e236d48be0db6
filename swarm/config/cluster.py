"""The cluster of a run: the section ``[cluster]``, and ``--cluster``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from swarm.config.document import Document
from swarm.config.options import Upload
from swarm.config.parsers import ADDRESS, INVALID, LOCAL, NO_CLUSTER, boolean, scheduler
from swarm.config.paths import is_file, resolved
from swarm.config.urls import is_local, is_loopback

SECTION: Final = "cluster"
OPTIONS: Final = ("scheduler", "tls_ca", "tls_cert", "tls_key", "insecure")
_FILES: Final = ("tls_ca", "tls_cert", "tls_key")


@dataclass(frozen=True)
class ClusterSettings:
    """The scheduler of a Dask cluster, and the files for TLS; None: as Dask itself is set up."""

    scheduler: str
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None


def load(document: Document, upload: Upload, url: str | None) -> ClusterSettings | None:
    """Return the cluster of a run; None without one. Problems are reported to the document.

    ``url`` is that of the collector, None for the sandbox.
    """
    values = document.values(SECTION, {"scheduler": scheduler, "insecure": boolean})
    configured = values.get("scheduler")
    is_flag = upload.cluster is not None
    address = upload.cluster or (configured if configured is not INVALID else None)
    files = {option: _file(document, option) for option in _FILES}
    if not address or address == NO_CLUSTER:
        return None
    place = _Place(document, is_flag=is_flag)
    given = [option for option in _FILES if document.entry(SECTION, option)]
    for option in _FILES if given else ():
        if option not in given:
            document.report(SECTION, option, f"missing: {', '.join(given)} needs it")
    match = ADDRESS.fullmatch(str(address))
    is_elsewhere = match is not None and not is_loopback(match[2].strip("[]"))
    if match and match[1] == "tcp" and is_elsewhere and values.get("insecure") is not True:
        place.report(
            "tcp:// to another host is not encrypted, and whoever reaches its port can run "
            "programs there and read passwords; use tls://, or set insecure = yes under "
            "[cluster]"
        )
    if url and is_elsewhere and is_local(url):
        place.report(
            "the collector's URL means another computer on each worker; use one that all workers "
            f"can reach, or {LOCAL}"
        )
    if url is None and address != LOCAL:
        place.report(f"the sandbox is on this computer only; use {LOCAL}, or another environment")
    if upload.transport == "requests":
        place.report("the workers of a cluster send with curl; leave transport out")
    return ClusterSettings(str(address), **files)


class _Place:
    """The place of the scheduler's address, for messages."""

    def __init__(self, document: Document, *, is_flag: bool) -> None:
        self._document = document
        self._is_flag = is_flag

    def report(self, message: str) -> None:
        if self._is_flag:
            self._document.report_at(None, f"--cluster: {message}")
        else:
            self._document.report(SECTION, "scheduler", message)


def _file(document: Document, option: str) -> Path | None:
    text = document.text(SECTION, option)
    if not text:
        return None
    path = resolved(text, document.folder)
    if not is_file(path):
        document.report(SECTION, option, f"no such file: {path}")
        document.hint(SECTION, option)
    return path
