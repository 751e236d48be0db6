"""Where measurements go and by whom they are sent: the library's `Environment` and `Config`."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeVar, overload

from swarm.agent.measurement import Measurement, check_year, is_encodable, moment
from swarm.collector.transport.base import Access
from swarm.config.csv_rules import zone
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


class _Lazy(Generic[_T]):
    """A `functools.cached_property` without the lock that it has before Python 3.12.

    In a forked process such a lock may be held for ever, by a thread that is not there.
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
    """The collector's environments; each is its URL."""

    PRODUCTION = ENVIRONMENTS["production"]
    DEVELOPMENT = ENVIRONMENTS["development"]
    DEMO = ENVIRONMENTS["demo"]
    LOCAL = ENVIRONMENTS["local"]


@dataclass(frozen=True)
class Config:
    """A collector, the credentials for it, and how measurements are sent there.

    ``environment_or_url`` is an `Environment` or a URL; ``http://`` is for this machine alone.
    Timestamps without offset are read in ``timezone``. ``route`` is ``utc`` (the collector converts
    to the meter's local time) or ``partial`` (it takes partial data). ``timeout`` is the whole time
    of one request (s), ``retry_for`` how long (s) a measurement is tried, where that is not to be
    the agent's. Every problem is reported in one `ConfigError`.
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

    @_Lazy
    def url(self) -> str:
        """Return where packets are posted to."""
        return with_route(checked_url(self.environment_or_url), self.route)

    @_Lazy
    def collector(self) -> str:
        """Return what all configs of one collector have in common."""
        return collector_name(self.url)

    @_Lazy
    def access(self) -> Access:
        """Return how the collector is reached."""
        proxy = None if self.proxy is None else checked_proxy(self.proxy)
        for notice in _notices(has_proxy=proxy is not None):
            _tell_once(notice)
        return Access(self.username, self.password, self.timeout, self.ca_bundle, proxy)

    def moment(self, measurement: Measurement) -> tuple[int, int]:
        """Return a measurement's instant and its offset on the wire (ms).

        MeasurementError if a clock change skips it, or it is out of the calendar there.
        """
        instant, offset = moment(measurement.timestamp, self._zone)
        if self.route == "utc":
            offset = 0
        check_year(measurement.timestamp, instant, offset)
        return instant, offset

    @_Lazy
    def _zone(self) -> Zone | None:
        return None if self.timezone == "UTC" else Zone(self.timezone)

    def _problems(self) -> Iterator[str]:
        yield from _problem("environment_or_url", checked_url, self.environment_or_url)
        if self.timezone != "UTC":  # which needs no database of time zones
            yield from _problem("timezone", zone, self.timezone)
        if self.proxy is not None:
            yield from _problem("proxy", checked_proxy, self.proxy)
        yield from _username_problem(self.username)
        if not _is_text(self.password):
            yield "password: expected a text that is not empty"
        if self.route not in (None, *ROUTES):
            yield f"route: found {self.route!r}, expected {', '.join(ROUTES)} or None"
        if not (is_seconds(self.timeout) and self.timeout > 0):
            yield f"timeout: found {self.timeout!r}, expected seconds above zero"
        if self.retry_for is not None and not is_seconds(self.retry_for, FOREVER):
            yield f"retry_for: found {self.retry_for!r}, expected seconds or None"
        if self.ca_bundle is not None:
            yield from _problem("ca_bundle", _file, self.ca_bundle)


def _notices(*, has_proxy: bool) -> Iterator[str]:
    yield from key_log_notice()
    if not has_proxy:
        yield from proxy_notices("name it as the config's 'proxy'")


_told: dict[str, object] = {}


def _tell_once(notice: str) -> None:
    me = object()
    # Of threads that come at the same time one is the first.
    if _told.setdefault(notice, me) is me:
        _log.warning("%s", notice)


def is_seconds(value: object, most: float = LONGEST) -> bool:
    """Tell whether a value is a time (s) from 0 up to the most."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return not value < 0 and value <= most  # NaN is neither


def is_whole(value: object, least: int) -> bool:
    """Tell whether a value is a whole number that is not less than the least."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        return False
    return int(value) >= least


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value) and is_encodable(value)


def _username_problem(username: object) -> Iterator[str]:
    if not isinstance(username, str):
        yield f"username: found {type(username).__name__}, expected a text"
    elif not username:
        yield "username: expected a text that is not empty"
    elif not is_encodable(username):
        yield "username: found a text that can't be encoded, expected one without lone surrogates"
    elif ":" in username:
        # What stands behind it may be the password.
        yield "username: found a text with ':', which basic auth can't carry"


def _file(name: str) -> str:
    if not Path(name).is_file():
        raise ValueError(f"the name of a file, found {name!r}")
    return name


def _problem(name: str, parse: Callable[[str], object], text: object) -> Iterator[str]:
    if not isinstance(text, str):
        # Its repr may hold a secret.
        yield f"{name}: found {type(text).__name__}, expected a text"
        return
    try:
        parse(text)
    except ValueError as error:
        yield f"{name}: expected {error}"
