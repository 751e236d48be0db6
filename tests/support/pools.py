"""Pools of worker processes, as a run opens them."""

from swarm.config.options import Upload
from swarm.run.pool import Pool
from swarm.run.processes import Processes
from swarm.run.shared import SharedState


def local_pool(
    shared: SharedState, upload: Upload, processes: int, slots: int, most: int | None = None
) -> Pool:
    """Return a pool of processes of this computer."""
    is_pinned = (most or slots) > processes
    return Pool(shared, Processes(shared, upload, processes, is_pinned=is_pinned), slots, most)
