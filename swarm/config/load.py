"""An INI file, overridden by flags and variables -> `Settings`; all problems in one error."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from swarm.config import cluster, credentials, ini, legacy, meters, notify
from swarm.config.document import METERS, Document
from swarm.config.ignored import key_log_notice, proxy_notices
from swarm.config.options import PARSERS, SECTION, Upload
from swarm.config.parsers import INVALID, one_of
from swarm.config.paths import default_state, is_file, is_readable_by_others, resolved
from swarm.config.schema import Schema, check_names, check_repeats
from swarm.config.settings import Settings, is_chosen
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

#: The sections of an INI and the options that each may have.
SCHEMA: Schema = {
    "swarm": (
        *("environment", "url", "state", "log_file", "log_format", "ca_bundle", "proxy"),
        *meters.OPTIONS,
    ),
    "credentials": credentials.OPTIONS,
    "credentials:": credentials.OPTIONS,
    "upload": tuple(PARSERS),
    cluster.SECTION: cluster.OPTIONS,
    notify.SECTION: notify.OPTIONS,
    METERS: None,
    "meter:": meters.OPTIONS,
}
#: The sections that may hold a password.
_SECRET = frozenset({credentials.SECTION, legacy.WEB})
_ENVIRONMENTS = (*ENVIRONMENTS, SANDBOX)
#: Pairs of options that exclude each other.
_EXCLUSIVE = (("quiet", "verbose"), ("restart", "adopt"))


def load(path: Path, given: Mapping[str, Any], *, secrets: bool = True) -> Settings:
    """Read the settings of a run.

    ``given`` are the parsed options of the command line and the environment; they override the
    INI. Without ``secrets`` no password is read: a check sends nothing and needs none. Raises
    `SettingsError` with every problem.
    """
    text = ini.read_text(path)
    if path.suffix.lower() == ".csv" and not re.search(r"^\s*\[", text, re.MULTILINE):
        raise SettingsError(
            f"{path}: this is a CSV file, but an INI is expected; create one: "
            f"swarm init {path} > meters.ini"
        )
    if legacy.recognises(text):
        document = ini.parse(path, text, legacy.SYNTAX)
        check_repeats(document, legacy.SCHEMA)
        upload = _merge(document, legacy.upload_options(document), given)
        settings = legacy.settings(document, upload)
    else:
        document = ini.parse(path, text)
        check_names(document, SCHEMA)
        check_repeats(document, SCHEMA)
        upload = _merge(document, document.values(SECTION, PARSERS), given)
        settings = _settings(document, upload, secrets=secrets and not upload.dry_run)
    names = [meter.id for meter in settings.meters]
    for name in upload.meters:
        if names and not any(is_chosen(each, [name]) for each in names):
            hint = suggestion(closest(name, names))
            document.report_at(None, f"--meter {name}: no such meter{hint}")
    document.raise_problems()
    chosen = tuple(
        meter
        for meter in settings.meters
        if is_chosen(meter.id, upload.meters) and (not upload.share or upload.share.has(meter.id))
    )
    warnings = list(_warnings(document, settings, is_sending=secrets and not upload.dry_run))
    if upload.share and not chosen:
        warnings.append(f"share {upload.share} has no meter: there is nothing to do")
    return replace(
        settings,
        meters=chosen,
        every_id=tuple(names),
        warnings=(*settings.warnings, *warnings),
    )


def _merge(document: Document, configured: Mapping[str, Any], given: Mapping[str, Any]) -> Upload:
    """Return the options of a run: those of the INI, overridden by those ``given``."""
    overridden = {b if a in given else a for a, b in _EXCLUSIVE if (a in given) != (b in given)}
    kept = {
        # A path in an INI is relative to the INI's folder.
        key: document.folder / value if isinstance(value, Path) else value
        for key, value in configured.items()
        if value is not INVALID and key not in overridden
    }
    upload = Upload(**{**kept, **given})
    problems = {
        other: f"can't be used together with {one}; remove one"
        for one, other in _EXCLUSIVE
        if getattr(upload, one) and getattr(upload, other)
    }
    if upload.since is not None and upload.until is not None and upload.since >= upload.until:
        problems["until"] = "not later than since: no row is between the two"
    for key, problem in problems.items():
        if key in given:
            document.report_at(None, f"--{key}: {problem}")
        else:
            document.report(SECTION, key, problem)
    return upload


def _settings(document: Document, upload: Upload, *, secrets: bool) -> Settings:
    """Return the settings of an INI that is not one of the original app."""
    url = _url(document)
    sets = credentials.CredentialSets(document, secrets=secrets)
    every_meter = tuple(meters.load(document, sets, upload.meters))
    paths = {
        option: resolved(text, document.folder)
        for option in ("state", "log_file", "ca_bundle")
        if (text := document.text("swarm", option))
    }
    state = paths.get("state") or default_state()
    if state is None and not document.entry("swarm", "state"):
        message = (
            "missing, and there is no home folder for the default; add a line such as "
            "state = /var/lib/swarm"
        )
        document.report("swarm", "state", message)
    ca_bundle = paths.get("ca_bundle")
    if ca_bundle and not is_file(ca_bundle):
        document.report("swarm", "ca_bundle", f"no such file: {ca_bundle}")
        document.hint("swarm", "ca_bundle")
    return Settings(
        config=document.path,
        collector=SANDBOX if url is None else collector_name(url),
        url=url,
        meters=every_meter,
        upload=upload,
        state=state or Path(),
        log_file=paths.get("log_file"),
        ca_bundle=str(ca_bundle) if ca_bundle else None,
        proxy=_proxy(document, url),
        log_format=_log_format(document),
        cluster=cluster.load(document, upload, url),
        notify=notify.load(document),
    )


def _log_format(document: Document) -> Literal["text", "json"]:
    value = document.values("swarm", {"log_format": one_of("text", "json")}).get("log_format")
    return "json" if value == "json" else "text"


def _url(document: Document) -> str | None:
    """Return the collector's URL, None for the run's own sandbox, empty if there is a problem."""
    values = document.values("swarm", {"environment": _environment, "url": checked_url})
    if len(values) > 1:
        document.report("swarm", "url", "can't be used together with environment; remove one")
    elif not values:
        names = ", ".join(_ENVIRONMENTS)
        document.report(
            "swarm", "environment", f"missing; set it to one of {names}, or set url = https://..."
        )
    url = next(iter(values.values()), "")
    return url if url is None or isinstance(url, str) else ""


def _environment(text: str) -> str | None:
    """Return the URL of an environment, None for the sandbox."""
    name = text.lower()
    if name not in _ENVIRONMENTS:
        hint = suggestion(closest(name, _ENVIRONMENTS))
        raise ValueError(f"{', '.join(ENVIRONMENTS)} or {SANDBOX}{hint}")
    return ENVIRONMENTS.get(name)


def _proxy(document: Document, url: str | None) -> str | None:
    """Return the proxy; the run's own sandbox needs none."""
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


def _warnings(document: Document, settings: Settings, *, is_sending: bool) -> Iterator[str]:
    """Yield warnings about settings without problems."""
    secret = [section for section in document.sections if section.partition(":")[0] in _SECRET]
    inline = next((section for section in secret if document.entry(section, "password")), None)
    if inline and is_readable_by_others(document.path):
        yield (
            f"{document.place(inline, 'password')}: other users of this computer can read this "
            f"password; run: chmod 600 {document.path}"
        )
    if not is_sending or settings.sandbox:
        return
    for section in secret:
        name = document.text(section, "password_file")
        path = resolved(name, document.folder) if name else None
        if path and is_readable_by_others(path):
            yield (
                f"{document.place(section, 'password_file')}: other users of this computer can "
                f"read this password; run: chmod 600 {path}"
            )
    yield from key_log_notice()
    if not settings.proxy:
        yield from proxy_notices("set proxy under [swarm]")
