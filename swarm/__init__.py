"""swarm: sends meter readings to the Wattics collector, in order, once, and resumable."""

from importlib import import_module
from typing import TYPE_CHECKING

from swarm.version import VERSION

if TYPE_CHECKING:
    from swarm.agent import Agent
    from swarm.agentconfig import Config, Environment
    from swarm.errors import AgentError, ConfigError, MeasurementError, SettingsError, SwarmError
    from swarm.handlers import SentHandler
    from swarm.measurement import ElectricityMeasurement, Measurement, SimpleMeasurement
    from swarm.response import Response

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

# Loaded when they are asked for: the command needs none of them, and `--help` has to be quick.
_HOMES = {
    "Agent": "agent",
    "AgentError": "errors",
    "Config": "agentconfig",
    "ConfigError": "errors",
    "ElectricityMeasurement": "measurement",
    "Environment": "agentconfig",
    "Measurement": "measurement",
    "MeasurementError": "errors",
    "Response": "response",
    "SentHandler": "handlers",
    "SettingsError": "errors",
    "SimpleMeasurement": "measurement",
    "SwarmError": "errors",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'swarm' has no attribute {name!r}")
    found = getattr(import_module(f"swarm.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
