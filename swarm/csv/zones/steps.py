"""The steps from one time to the next: whether all are equal, and where they are not."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from operator import sub

#: About this many times are compared with their place in an even series.
_PROBES = 16
#: Pieces of up to this many steps are taken as even if their two ends fit.
_PIECE = 128
#: If more than one step in this many is odd, all steps are computed.
_RARE = 8


def even_step(times: Sequence[int]) -> int | None:
    """Return the step of evenly spaced times, as far as probes show; None if they are not.

    The step is negative if the times run backwards. There must be two times or more.
    """
    step, rest = divmod(times[-1] - times[0], len(times) - 1)
    if rest or not step or times[1] - times[0] != step:
        return None
    stride = -(-len(times) // _PROBES)
    probes = times[::stride]
    is_even = all(later - earlier == step * stride for earlier, later in pairwise(probes))
    return step if is_even else None


def whole_step(times: Sequence[int], probe: int) -> int | None:
    """Return the step of evenly spaced times, None if they are not; stricter than `even_step`.

    Only a gap and a step back that cancel each other out within ``probe`` (in the unit of the
    times) can be missed.
    """
    step = even_step(times)
    if step is None or isinstance(times, range):
        return step
    stride = probe // abs(step)
    if stride > _PROBES:
        probes = times[::stride]
        probe_step = step * stride
        is_even = probes == list(range(times[0], times[0] + len(probes) * probe_step, probe_step))
    else:
        # Such a pair changes only the sum, which is as fast as this many probes.
        is_even = 2 * sum(times) == len(times) * (times[0] + times[-1])
    return step if is_even else None


def odd_steps(ordered: Sequence[int], usual: int | None) -> tuple[int | None, list[int]]:
    """Return the usual step of ordered times, and the indexes after which the step is another.

    Fast if most steps are equal to ``usual``. The step is None if all times are the same.
    """
    if usual:
        indexes = _odd_indexes(ordered, usual)
        if indexes is not None:
            return usual, indexes
    steps = list(map(sub, ordered[1:], ordered))
    counts = Counter(steps)
    del counts[0]
    usual = max(counts, key=lambda step: counts[step], default=None)
    return usual, [index for index, step in enumerate(steps) if step != usual]


def _odd_indexes(ordered: Sequence[int], usual: int) -> list[int] | None:
    """Return the indexes of odd steps, None if there are many; by bisection, as most are even."""
    most = len(ordered) // _RARE
    indexes = []
    pieces = [(0, len(ordered) - 1)]
    while pieces:
        low, high = pieces.pop()
        is_even = ordered[high] - ordered[low] == (high - low) * usual
        if is_even and high - low <= _PIECE:
            continue
        if high - low == 1:
            indexes.append(low)
            if len(indexes) > most:
                return None
        elif high > low:
            middle = (low + high) // 2
            pieces += [(low, middle), (middle, high)]
    return indexes
