"""An INI of the original app (``[Web DC]``, ``[General]``, ``[Logs]``) -> the same settings.

Its rules, which hold in such files alone: paths are relative to the current folder, options are
case-insensitive, ``:`` parts name and value as ``=`` does, ``%%`` means ``%``, and MinutesShift and
MinutesInSlot may stand without a value. Timestamps are UTC.
"""

import re
from collections.abc import Mapping
from configparser import ConfigParser, Error, InterpolationError, ParsingError
from pathlib import Path
from typing import Any

import platformdirs

from swarm.errors import SettingsError
from swarm.measurement import REGISTERS, VALUE
from swarm.options import Upload
from swarm.settings import Credentials, CsvRules, Meter, Settings, collector_name
from swarm.urls import checked_url

_WEB, _GENERAL, _LOGS = "Web DC", "General", "Logs"
_MARK = re.compile(r"^\[Web DC\]\s*$", re.MULTILINE)
_KNOWN = {
    _WEB: ("url", "username", "password"),
    _GENERAL: ("filename", "channeltype", "channelreference", "minutesshift", "minutesinslot"),
    _LOGS: ("level", "filename"),
}
_VERBOSITY = {"DEBUG": 2, "INFO": 1}


def recognises(text: str) -> bool:
    """Tell whether an INI is one of the original app."""
    return bool(_MARK.search(text))


def load(path: Path, text: str, given: Mapping[str, Any]) -> Settings:
    """Return the settings of an original app's INI; `SettingsError` has every problem."""
    return _Legacy(path, text).settings(given)


class _Legacy:
    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()
        self.problems: list[str] = []
        self.parser = ConfigParser(allow_no_value=True)
        try:
            self.parser.read_string(text)
        except ParsingError as error:
            raise SettingsError(
                *(f"{path}:{line}: a line that is no 'option = value'" for line, _ in error.errors)
            ) from None
        except Error as error:
            line = getattr(error, "lineno", None)
            message = f"{path}:{line}: a section or option that stands twice, or outside a section"
            raise SettingsError(message) from None

    def settings(self, given: Mapping[str, Any]) -> Settings:
        """Return the settings, or raise every problem."""
        self._unknown_names()
        url = self._url()
        meter = Meter(
            id=self._required(_GENERAL, "ChannelReference"),
            files=(Path(self._required(_GENERAL, "Filename")).expanduser().absolute(),),
            rules=self._rules(),
            url=url,
            credentials=Credentials(
                "", self._required(_WEB, "Username"), self._required(_WEB, "Password")
            ),
        )
        log_file = self._get(_LOGS, "Filename")
        upload = Upload(**{**self._verbosity(), **given})
        if self.problems:
            raise SettingsError(*self.problems)
        return Settings(
            config=self.path,
            collector=collector_name(url),
            url=url,
            meters=(meter,),
            upload=upload,
            state=platformdirs.user_state_path("swarm"),
            log_file=Path(log_file).expanduser().absolute() if log_file else None,
        )

    def _get(self, section: str, option: str) -> str | None:
        try:
            value = self.parser.get(section, option, fallback=None)
        except InterpolationError:
            self._report(section, option, "a single '%'; write it as %% in this kind of INI")
            return None
        return value.strip() if value and value.strip() else None

    def _required(self, section: str, option: str) -> str:
        value = self._get(section, option)
        if value is None:
            self._report(section, option, "missing")
        return value or ""

    def _report(self, section: str, option: str, message: str) -> None:
        inside, number = "", None
        for line, text in enumerate(self.lines, 1):
            if text.startswith("["):
                inside = text.strip().strip("[]")
            name = re.split(r"[=:]", text, maxsplit=1)[0].strip().lower()
            if inside == section and name == option.lower():
                number = line
        place = f"{self.path}:{number}" if number else str(self.path)
        problem = f"{place}: [{section}] {option}: {message}"
        if problem not in self.problems:
            self.problems.append(problem)

    def _unknown_names(self) -> None:
        for section in self.parser.sections():
            if section not in _KNOWN:
                self.problems.append(f"{self.path}: [{section}]: unknown section")
            for option in self.parser.options(section):
                if option not in _KNOWN.get(section, (option,)):
                    self._report(section, option, "unknown option")

    def _url(self) -> str:
        text = self._required(_WEB, "URL")
        try:
            return checked_url(text) if text else ""
        except ValueError as error:
            self._report(_WEB, "URL", str(error))
            return ""

    def _verbosity(self) -> dict[str, Any]:
        level = (self._get(_LOGS, "Level") or "").upper()
        return {"verbose": _VERBOSITY[level]} if level in _VERBOSITY else {}

    def _minutes(self, option: str) -> int | None:
        text = self._get(_GENERAL, option)
        if text is None:
            return None
        if not re.fullmatch(r"[0-9]{1,6}", text):
            self._report(_GENERAL, option, f"found '{text}', expected a whole number of minutes")
            return None
        return int(text)

    def _rules(self) -> CsvRules:
        kind = self._required(_GENERAL, "ChannelType")
        shift, slot = self._minutes("MinutesShift"), self._minutes("MinutesInSlot")
        if kind == "real_electricity":
            if shift is not None:
                self._report(
                    _GENERAL,
                    "MinutesShift",
                    "can't be used with real_electricity; remove the option",
                )
            return CsvRules(timezone="UTC", columns=REGISTERS)
        if kind == "fake_electricity" and not slot:
            self._report(
                _GENERAL,
                "MinutesInSlot",
                "fake_electricity needs it: a whole number of minutes above zero",
            )
        elif kind not in {"other", "fake_electricity", ""}:
            self._report(
                _GENERAL,
                "ChannelType",
                f"found '{kind}', expected real_electricity, fake_electricity or other",
            )
        return CsvRules(
            timezone="UTC",
            columns=(VALUE,),
            shift=(shift or 0) * 60.0,
            pad_first=bool(shift),
            power_from_energy=float(slot) if kind == "fake_electricity" and slot else None,
        )
