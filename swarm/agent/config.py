"""The library's `Environment` and `Config`: a collector, credentials, and how to send to it."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeVar, overload

from swarm.agent.measurement import Measurement, check_year, is_encodable, moment
from swarm.collector.transport.base import Access
from swarm.config.csv_parsers import zone
from swarm.config.ignored import key_log_notice, proxy_notices
from swarm.config.parsers import FOREVER, LONGEST
from swarm.config.urls import (
    ENVIRONMENTS,
    ROUTES,
    checked_proxy,
    checked_url,
    collector_name,
    with_route,
)
from swarm.errors import ConfigError
from swarm.localtime import Zone

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


class _CachedProperty(Generic[_T]):
    """A `functools.cached_property` without the lock that it has before Python 3.12.

    In a forked process, such a lock may be held forever by a thread that was not forked.
    """

    def __init__(self, function: Callable[[Any], _T]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> _T: ...
    def __get__(self, instance: object, owner: type) -> Self | _T:
        if instance is None:
            return self
        value = instance.__dict__[self._function.__name__] = self._function(instance)
        return value


class Environment(StrEnum):
    """The collector's environments; each member is a URL."""

    PRODUCTION = ENVIRONMENTS["production"]
    DEVELOPMENT = ENVIRONMENTS["development"]
    DEMO = ENVIRONMENTS["demo"]
    LOCAL = ENVIRONMENTS["local"]


@dataclass(frozen=True)
class Config:
    """A collector, the credentials for it, and how measurements are sent to it.

    ``environment_or_url`` is an `Environment` or a URL; ``http://`` is for this machine only.
    Timestamps without offset are read in ``timezone``. ``route`` is ``utc`` (the collector converts
    to the meter's local time) or ``partial`` (it takes partial data). ``timeout`` (s) limits one
    request as a whole. ``retry_for`` (s) is the time for which a measurement is tried; None is the
    agent's own. Raises one `ConfigError` with all problems.
    """

    environment_or_url: str
    username: str
    password: str = field(repr=False)
    timezone: str = "UTC"
    route: Literal["utc", "partial"] | None = None
    timeout: float = 30.0
    retry_for: float | None = None
    ca_bundle: str | None = None
    proxy: str | None = None

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigError(*problems)

    @_CachedProperty
    def url(self) -> str:
        """Return the URL that packets are posted to."""
        return with_route(checked_url(self.environment_or_url), self.route)

    @_CachedProperty
    def collector(self) -> str:
        """Return the collector's name, the same for all configs of one collector."""
        return collector_name(self.url)

    @_CachedProperty
    def access(self) -> Access:
        """Return the credentials and the options of connections to the collector."""
        proxy = None if self.proxy is None else checked_proxy(self.proxy)
        notices = list(key_log_notice())
        if proxy is None:
            notices += proxy_notices("set the config's 'proxy'")
        for notice in notices:
            warn_once(notice)
        return Access(self.username, self.password, self.timeout, self.ca_bundle, proxy)

    def moment(self, measurement: Measurement) -> tuple[int, int]:
        """Return a measurement's instant and the offset of its packet (ms).

        Raises `MeasurementError` if a clock change skips its timestamp, or the packet's local time
        is not in the years 1 to 9999.
        """
        instant, offset = moment(measurement.timestamp, self._zone)
        if self.route == "utc":
            offset = 0
        check_year(measurement.timestamp, instant, offset)
        return instant, offset

    @_CachedProperty
    def _zone(self) -> Zone | None:
        return None if self.timezone == "UTC" else Zone(self.timezone)

    def _problems(self) -> Iterator[str]:
        yield from _problem("environment_or_url", checked_url, self.environment_or_url)
        if self.timezone != "UTC":  # UTC needs no time zone database
            yield from _problem("timezone", zone, self.timezone)
        if self.proxy is not None:
            yield from _problem("proxy", checked_proxy, self.proxy)
        yield from _username_problem(self.username)
        is_text = isinstance(self.password, str) and is_encodable(self.password)
        if not (is_text and self.password):
            yield "password: expected a text that is not empty"
        if self.route not in (None, *ROUTES):
            yield f"route: found {self.route!r}, expected {', '.join(ROUTES)} or None"
        if not (is_seconds(self.timeout) and self.timeout > 0):
            yield f"timeout: found {self.timeout!r}, expected seconds above zero"
        if self.retry_for is not None and not is_seconds(self.retry_for, FOREVER):
            yield f"retry_for: found {self.retry_for!r}, expected seconds or None"
        if self.ca_bundle is not None:
            yield from _problem("ca_bundle", _existing_file, self.ca_bundle)


_warned: dict[str, object] = {}


def warn_once(notice: str) -> None:
    """Log a warning, unless this process has logged it before.

    Any thread may call this.
    """
    token = object()
    # setdefault is atomic: of several threads, only one finds its own token.
    if _warned.setdefault(notice, token) is token:
        _log.warning("%s", notice)


def is_seconds(value: object, most: float = LONGEST) -> bool:
    """Return True if a value is a number of seconds from 0 to ``most``."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return not value < 0 and value <= most  # False for NaN


def is_whole(value: object, least: int) -> bool:
    """Return True if a value is a whole number that is not less than ``least``."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        return False
    return int(value) >= least


def _username_problem(username: object) -> Iterator[str]:
    if not isinstance(username, str):
        yield f"username: found {type(username).__name__}, expected a text"
    elif not username:
        yield "username: expected a text that is not empty"
    elif not is_encodable(username):
        yield "username: found a text that can't be encoded, expected one without lone surrogates"
    elif ":" in username:
        # The part after the colon may be the password: do not show it.
        yield "username: found a text with ':', which basic auth does not allow"


def _existing_file(name: str) -> str:
    if not Path(name).is_file():
        raise ValueError(f"the name of a file, found {name!r}")
    return name


def _problem(name: str, parse: Callable[[str], object], text: object) -> Iterator[str]:
    if not isinstance(text, str):
        # The repr may contain a secret: show the type only.
        yield f"{name}: found {type(text).__name__}, expected a text"
        return
    try:
        parse(text)
    except ValueError as error:
        yield f"{name}: expected {error}"
