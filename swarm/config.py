"""An INI file, with flags and variables over it -> `Settings`; all problems in one go."""

import difflib
import glob
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from swarm import ini as ini_file
from swarm import legacy, rules
from swarm.errors import SettingsError
from swarm.ini import Ini
from swarm.options import BY_KEY, OPTIONS, Upload
from swarm.secrets import SOURCES, SecretError, password
from swarm.settings import ENVIRONMENTS, SANDBOX, Credentials, Meter, Settings
from swarm.settings import collector_name, with_route
from swarm.urls import checked_proxy, checked_url

_SWARM = ("environment", "url", "state", "log_file", "ca_bundle", "proxy")
_METER = (*rules.PARSERS, "credentials")
_CREDENTIALS = ("username", *SOURCES)
_GLOB = frozenset("*?[")


def load(path: Path, given: Mapping[str, Any], *, secrets: bool = True) -> Settings:
    """Read the settings of a run.

    ``given`` are the options of the command line and of the environment, parsed; they win over the
    INI. ``secrets`` tells whether passwords are needed: a check sends nothing and needs none.
    Raises `SettingsError` with every problem.
    """
    text = ini_file.read_text(path)
    if legacy.recognises(text):
        settings = legacy.load(path, text, given)
    else:
        settings = _Loader(ini_file.read(path), given, secrets=secrets).settings()
    return _chosen(settings)


def _chosen(settings: Settings) -> Settings:
    """Keep the meters that ``--meter`` names."""
    names = [meter.id for meter in settings.meters]
    unknown = [name for name in settings.upload.meters if name not in names]
    if unknown:
        raise SettingsError(
            *(
                f"--meter {name}: {settings.config} has no such meter{_suggestion(name, names)}"
                for name in unknown
            )
        )
    if not settings.upload.meters:
        return settings
    from dataclasses import replace

    wanted = set(settings.upload.meters)
    return replace(settings, meters=tuple(m for m in settings.meters if m.id in wanted))


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


class _Loader:
    """One INI on its way to settings; problems gather in ``ini.problems``."""

    def __init__(self, ini: Ini, given: Mapping[str, Any], *, secrets: bool) -> None:
        self.ini = ini
        self.given = given
        self.secrets = secrets
        self.folder = ini.path.absolute().parent

    def settings(self) -> Settings:
        """Return the settings, or raise every problem."""
        self._unknown_names()
        upload = self._upload()
        url = self._url()
        common = self._values("swarm")
        settings = Settings(
            config=self.ini.path,
            collector=SANDBOX if url == SANDBOX else collector_name(url or ""),
            url=url or "",
            meters=tuple(self._meters(url or "", common, upload)),
            upload=upload,
            state=self._path("state") or platformdirs.user_state_path("swarm"),
            log_file=self._path("log_file"),
            ca_bundle=self._ca_bundle(),
            proxy=self._proxy(),
            warnings=tuple(self._warnings()),
        )
        if self.ini.problems:
            raise SettingsError(*self.ini.problems)
        return settings

    def _text(self, section: str, option: str) -> str | None:
        found = self.ini.sections.get(section, {}).get(option)
        if found is None:
            return None
        if not found.value.strip():
            self.ini.report(section, option, "empty; give it a value or leave it out")
            return None
        return found.value.strip()

    def _unknown_names(self) -> None:
        known = {"swarm": (*_SWARM, *_METER), "upload": tuple(BY_KEY), "meters": None}
        for section, options in self.ini.sections.items():
            kind, _, name = section.partition(":")
            if kind == "credentials":
                allowed: tuple[str, ...] | None = _CREDENTIALS
            elif kind == "meter" and name:
                allowed = _METER
            elif section in known:
                allowed = known[section]
            else:
                sections = ("swarm", "credentials", "upload", "meters", "meter:ID")
                self.ini.report(section, None, "unknown section" + _suggestion(section, sections))
                continue
            for option in options:
                if allowed is not None and option not in allowed:
                    self._unknown(section, option, allowed)

    def _unknown(self, section: str, option: str, allowed: tuple[str, ...]) -> None:
        flag_only = section == "upload" and option in {"meter", "restart", "adopt"}
        hint = "; it is a flag only" if flag_only else _suggestion(option, allowed)
        self.ini.report(section, option, "unknown option" + hint)

    def _upload(self) -> Upload:
        values = {}
        for option in OPTIONS:
            text = self._text("upload", option.key)
            if text is not None:
                try:
                    values[option.key] = option.parse(text)
                except ValueError as error:
                    self.ini.report("upload", option.key, f"found '{text}', expected {error}")
        return Upload(**{**values, **self.given})

    def _url(self) -> str | None:
        environment, url = self._text("swarm", "environment"), self._text("swarm", "url")
        names = (*ENVIRONMENTS, SANDBOX)
        if environment and url:
            self.ini.report("swarm", "url", "stands beside environment; keep one of the two")
        elif environment and environment.lower() not in names:
            self.ini.report(
                "swarm",
                "environment",
                f"found '{environment}', expected "
                f"{', '.join(names)}{_suggestion(environment, names)}",
            )
        elif environment:
            return ENVIRONMENTS.get(environment.lower(), SANDBOX)
        elif url:
            return self._checked("url", url)
        elif not {"environment", "url"} & self.ini.sections.get("swarm", {}).keys():
            self.ini.report(
                "swarm",
                None,
                f"environment: missing; name one of {', '.join(names)}, or give url = https://...",
            )
        return None

    def _checked(self, option: str, url: str) -> str | None:
        try:
            return checked_url(url)
        except ValueError as error:
            self.ini.report("swarm", option, str(error))
            return None

    def _proxy(self) -> str | None:
        text = self._text("swarm", "proxy")
        try:
            return checked_proxy(text) if text else None
        except ValueError as error:
            self.ini.report("swarm", "proxy", str(error))
            return None

    def _path(self, option: str) -> Path | None:
        text = self._text("swarm", option)
        return self._resolved(text) if text else None

    def _resolved(self, text: str) -> Path:
        try:
            path = Path(text).expanduser()
        except RuntimeError:
            path = Path(text)
        return self.folder / path

    def _ca_bundle(self) -> str | None:
        path = self._path("ca_bundle")
        if path and not path.is_file():
            self.ini.report("swarm", "ca_bundle", f"no such file: {path}")
        return str(path) if path else None

    def _values(self, section: str) -> dict[str, Any]:
        values = {}
        for option, parse in rules.PARSERS.items():
            text = self._text(section, option)
            if text is not None:
                try:
                    values[option] = parse(text)
                except ValueError as error:
                    self.ini.report(section, option, f"found '{text}', expected {error}")
        return values

    def _meters(self, url: str, common: dict[str, Any], upload: Upload) -> Iterable[Meter]:
        named = self.ini.sections.get("meters", {})
        if not named:
            self.ini.report("meters", None, "no meter; add a line such as gas-meter-01 = gas.csv")
        for section in self.ini.sections:
            kind, _, name = section.partition(":")
            if kind == "meter" and name and name not in named:
                self.ini.report(
                    section, None, "no such meter under [meters]" + _suggestion(name, named)
                )
        known: dict[str, Credentials | None] = {}
        for name in named:
            section = f"meter:{name}"
            values = {**common, **self._values(section)}
            route = values.get("route")
            chosen = not upload.meters or name in upload.meters
            yield Meter(
                id=name,
                files=self._files(name),
                rules=self._rules(section, values),
                url=url if url in ("", SANDBOX) else with_route(url, route),
                credentials=self._credentials(section, known) if chosen else None,
            )

    def _rules(self, section: str, values: dict[str, Any]) -> rules.CsvRules:
        try:
            return rules.build(values)
        except ValueError as error:
            self.ini.report(section, None, str(error))
            return rules.CsvRules(timezone=None)

    def _files(self, name: str) -> tuple[Path, ...]:
        text = self._text("meters", name)
        files: list[Path] = []
        for line in (text or "").splitlines():
            path = self._resolved(line.strip())
            if _GLOB & set(line) and not path.exists():
                found = sorted(glob.glob(str(path), recursive=True))
                files += [Path(match) for match in found] or [path]
            elif line.strip():
                files.append(path)
        return tuple(dict.fromkeys(files))

    def _credentials(
        self, section: str, known: dict[str, Credentials | None]
    ) -> Credentials | None:
        name = self._text(section, "credentials") or self._text("swarm", "credentials") or ""
        if name not in known:
            known[name] = self._credential_set(section, name)
        return known[name]

    def _credential_set(self, meter: str, name: str) -> Credentials | None:
        section = f"credentials:{name}" if name else "credentials"
        if section not in self.ini.sections:
            sets = [s.partition(":")[2] for s in self.ini.sections if s.startswith("credentials:")]
            message = f"no [{section}]{_suggestion(name, sets)}"
            if name:
                self.ini.report(meter, "credentials", message)
            else:
                self.ini.report(section, None, "missing; give username and password")
            return None
        username = self._text(section, "username")
        if username is None and "username" not in self.ini.sections[section]:
            self.ini.report(section, None, "username: missing")
        if username and ":" in username:
            self.ini.report(section, "username", "holds a ':', which basic auth can't carry")
        return Credentials(name, username or "", self._password(section) or "")

    def _password(self, section: str) -> str | None:
        given = [source for source in SOURCES if source in self.ini.sections[section]]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            self.ini.report(
                section, None, f"password: found {found}, expected one of {', '.join(SOURCES)}"
            )
            return None
        value = self._text(section, given[0])
        if value is None or (not self.secrets and given[0] != "password"):
            return None
        try:
            return password(given[0], value, self.folder)
        except SecretError as error:
            self.ini.report(section, given[0], str(error))
            return None

    def _warnings(self) -> Iterable[str]:
        inline = [s for s, options in self.ini.sections.items() if "password" in options]
        mode = self.ini.path.stat().st_mode
        if os.name == "posix" and inline and mode & (stat.S_IRGRP | stat.S_IROTH):
            yield (
                f"{self.ini.where(inline[0], 'password')}: others on this machine can read this "
                f"password; run: chmod 600 {self.ini.path}"
            )
