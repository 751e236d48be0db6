"""swarm: sends meter readings to the Wattics collector, in order, once, and resumable."""

from importlib import import_module
from typing import TYPE_CHECKING

from swarm.version import VERSION

if TYPE_CHECKING:
    from swarm.agent.agent import Agent
    from swarm.agent.config import Config, Environment
    from swarm.agent.handlers import Response, SentHandler
    from swarm.agent.measurement import ElectricityMeasurement, Measurement, SimpleMeasurement
    from swarm.errors import AgentError, ConfigError, MeasurementError, SettingsError, SwarmError

__version__ = VERSION

__all__ = [
    "Agent",
    "AgentError",
    "Config",
    "ConfigError",
    "ElectricityMeasurement",
    "Environment",
    "Measurement",
    "MeasurementError",
    "Response",
    "SentHandler",
    "SettingsError",
    "SimpleMeasurement",
    "SwarmError",
    "__version__",
]

# Each name is imported on first use: the command needs none of them, and `--help` must be quick.
_MODULES = {
    "Agent": "agent.agent",
    "AgentError": "errors",
    "Config": "agent.config",
    "ConfigError": "errors",
    "ElectricityMeasurement": "agent.measurement",
    "Environment": "agent.config",
    "Measurement": "agent.measurement",
    "MeasurementError": "errors",
    "Response": "agent.handlers",
    "SentHandler": "agent.handlers",
    "SettingsError": "errors",
    "SimpleMeasurement": "agent.measurement",
    "SwarmError": "errors",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'swarm' has no attribute {name!r}")
    value = getattr(import_module(f"swarm.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
