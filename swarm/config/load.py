"""An INI file, with flags and variables over it -> `Settings`; all problems in one go."""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from swarm.config import credentials, ini, legacy, meters
from swarm.config.document import METERS, Document
from swarm.config.ignored import key_log_notice, proxy_notices
from swarm.config.options import PARSERS, SECTION, Upload
from swarm.config.parsers import INVALID
from swarm.config.paths import default_state, is_file, resolved
from swarm.config.schema import Schema, check_names, check_repeats
from swarm.config.settings import Meter, Settings, is_chosen
from swarm.config.urls import (
    ENVIRONMENTS,
    SANDBOX,
    checked_proxy,
    checked_url,
    collector_name,
    is_local,
)
from swarm.errors import SettingsError
from swarm.text import closest, suggestion

#: The sections of an INI and the options that each may hold.
SCHEMA: Schema = {
    "swarm": (
        *("environment", "url", "state", "log_file", "ca_bundle", "proxy"),
        *meters.OPTIONS,
    ),
    "credentials": credentials.OPTIONS,
    "credentials:": credentials.OPTIONS,
    "upload": tuple(PARSERS),
    METERS: None,
    "meter:": meters.OPTIONS,
}
_SECRET = frozenset({credentials.SECTION, legacy.WEB})
_NAMES = (*ENVIRONMENTS, SANDBOX)
#: Of each pair, a run can have only one.
_EXCLUSIVE = (("quiet", "verbose"), ("restart", "adopt"))


def load(path: Path, given: Mapping[str, Any], *, secrets: bool = True) -> Settings:
    """Read the settings of a run.

    ``given`` are the options of the command line and of the environment, parsed; they win over the
    INI. ``secrets`` tells whether passwords are needed: a check sends nothing and needs none.
    Raises `SettingsError` with every problem.
    """
    text = ini.read_text(path)
    _refuse_csv(path, text)
    read = _legacy if legacy.recognises(text) else _native
    document, settings = read(path, text, given, secrets)
    chosen = _chosen(document, settings)
    document.raise_problems()
    is_sending = secrets and not settings.upload.dry_run
    warnings = (*settings.warnings, *_warnings(document, settings, is_sending))
    return replace(settings, meters=chosen, warnings=warnings)


def _refuse_csv(path: Path, text: str) -> None:
    """Say in so many words that a CSV stands in the INI's place: as an INI all of it is wrong."""
    if path.suffix.lower() == ".csv" and not re.search(r"^\s*\[", text, re.MULTILINE):
        raise SettingsError(
            f"{path}: this is a CSV file, but an INI is expected; create one: "
            f"swarm init {path} > meters.ini"
        )


def _legacy(
    path: Path, text: str, given: Mapping[str, Any], _secrets: bool
) -> tuple[Document, Settings]:
    document = ini.parse(path, text, legacy.SYNTAX)
    check_repeats(document, legacy.SCHEMA)
    upload = _merge(document, legacy.choices(document), given)
    return document, legacy.settings(document, upload)


def _native(
    path: Path, text: str, given: Mapping[str, Any], secrets: bool
) -> tuple[Document, Settings]:
    document = ini.parse(path, text)
    check_names(document, SCHEMA)
    check_repeats(document, SCHEMA)
    said = document.values(SECTION, PARSERS)
    upload = _merge(document, said, given)
    return document, _settings(document, upload, secrets=secrets and not upload.dry_run)


def _merge(document: Document, said: Mapping[str, Any], given: Mapping[str, Any]) -> Upload:
    """Return the options of a run: what the INI ``said``, and over it what is ``given``."""
    overruled = {b if a in given else a for a, b in _EXCLUSIVE if (a in given) != (b in given)}
    kept = {
        key: value for key, value in said.items() if value is not INVALID and key not in overruled
    }
    upload = Upload(**{**kept, **given})
    problems = {
        other: f"can't be used together with {one}; remove one"
        for one, other in _EXCLUSIVE
        if getattr(upload, one) and getattr(upload, other)
    }
    if upload.since is not None and upload.until is not None and upload.since >= upload.until:
        problems["until"] = "not later than since: no row lies between the two"
    for key, problem in problems.items():
        if key in given:
            document.report_at(None, f"--{key}: {problem}")
        else:
            document.report(SECTION, key, problem)
    return upload


def _chosen(document: Document, settings: Settings) -> tuple[Meter, ...]:
    """Return the meters that ``--meter`` names, or all; report what names none of the INI's."""
    names = [meter.id for meter in settings.meters]
    chosen = settings.upload.meters
    for name in chosen:
        if names and not any(is_chosen(each, [name]) for each in names):
            hint = suggestion(closest(name, names))
            document.report_at(None, f"--meter {name}: no such meter{hint}")
    return tuple(meter for meter in settings.meters if is_chosen(meter.id, chosen))


def _settings(document: Document, upload: Upload, *, secrets: bool) -> Settings:
    url = _url(document)
    sets = credentials.CredentialSets(document, secrets=secrets)
    return Settings(
        config=document.path,
        collector=SANDBOX if url is None else collector_name(url),
        url=url,
        meters=tuple(meters.load(document, sets, upload.meters)),
        upload=upload,
        state=_state(document),
        log_file=_path(document, "log_file"),
        ca_bundle=_ca_bundle(document),
        proxy=_proxy(document, url),
    )


def _url(document: Document) -> str | None:
    """Return the collector's URL, None for a sandbox of the run's own; empty if it is wrong."""
    values = document.values("swarm", {"environment": _environment, "url": checked_url})
    if len(values) > 1:
        document.report("swarm", "url", "can't be used together with environment; remove one")
    elif not values:
        names = ", ".join(_NAMES)
        document.report(
            "swarm", "environment", f"missing; name one of {names}, or give url = https://..."
        )
    url = next(iter(values.values()), "")
    return url if url is None or isinstance(url, str) else ""


def _environment(text: str) -> str | None:
    name = text.lower()
    if name not in _NAMES:
        hint = suggestion(closest(name, _NAMES))
        raise ValueError(f"{', '.join(ENVIRONMENTS)} or {SANDBOX}{hint}")
    return ENVIRONMENTS.get(name)


def _proxy(document: Document, url: str | None) -> str | None:
    """Return the proxy; the sandbox is reached without one."""
    proxy = document.values("swarm", {"proxy": checked_proxy}).get("proxy")
    if not isinstance(proxy, str) or url is None:
        return None
    if url.startswith("http:") and not is_local(proxy):
        document.report(
            "swarm",
            "proxy",
            "would get the password in the clear; expected no proxy, or https:// as the "
            "collector's URL",
        )
    return proxy


def _path(document: Document, option: str) -> Path | None:
    text = document.text("swarm", option)
    return resolved(text, document.folder) if text else None


def _state(document: Document) -> Path:
    """Return the state folder; the default is in the user's home, which may not be known."""
    path = _path(document, "state") or default_state()
    if path is None and not document.entry("swarm", "state"):
        document.report(
            "swarm",
            "state",
            "missing, and there is no home folder for the default; add a line such as "
            "state = /var/lib/swarm",
        )
    return path or Path()


def _ca_bundle(document: Document) -> str | None:
    path = _path(document, "ca_bundle")
    if path and not is_file(path):
        document.report("swarm", "ca_bundle", f"no such file: {path}")
        document.hint("swarm", "ca_bundle")
    return str(path) if path else None


def _warnings(document: Document, settings: Settings, is_sending: bool) -> Iterator[str]:
    """Yield what a user should know of sound settings."""
    inline = [s for s in document.sections if _kind(s) in _SECRET and document.entry(s, "password")]
    if inline and _is_readable_by_others(document.path):
        yield (
            f"{document.place(inline[0], 'password')}: others on this machine can read this "
            f"password; run: chmod 600 {document.path}"
        )
    for section in filter(lambda section: _kind(section) in _SECRET, document.sections):
        is_secret = is_sending and not settings.sandbox
        name = document.text(section, "password_file") if is_secret else None
        path = resolved(name, document.folder) if name else None
        if path and _is_readable_by_others(path):
            yield (
                f"{document.place(section, 'password_file')}: others on this machine can read "
                f"{path}; run: chmod 600 {path}"
            )
    if is_sending and not settings.sandbox:
        yield from key_log_notice()
    if is_sending and not settings.sandbox and not settings.proxy:
        yield from proxy_notices("set proxy under [swarm]")


def _kind(section: str) -> str:
    return section.partition(":")[0]


def _is_readable_by_others(path: Path) -> bool:
    if os.name != "posix":
        return False  # there the mode says nothing
    try:
        return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False
