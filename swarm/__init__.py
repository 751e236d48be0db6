"""swarm: sends meter readings to the Wattics collector, in order, once, and resumable."""

from swarm.version import VERSION as __version__

__all__ = ["__version__"]
