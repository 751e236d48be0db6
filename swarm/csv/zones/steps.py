"""The steps from one time to the next: whether they are even, and where they are not."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from operator import sub

#: So many times are compared with where they are if all steps are even.
_PROBES = 16
#: Pieces of so many times are looked at by themselves, even if their ends fit.
_PIECE = 128
#: Where more than one of so many steps is odd, all are looked at.
_RARE = 8


def even_step(times: Sequence[int]) -> int | None:
    """Return the step of times that follow one another evenly, by probes; None if they do not.

    Less than 0 where they run backwards. There have to be two times.
    """
    step, rest = divmod(times[-1] - times[0], len(times) - 1)
    if rest or not step or times[1] - times[0] != step:
        return None
    stride = -(-len(times) // _PROBES)
    probes = times[::stride]
    is_even = all(later - earlier == step * stride for earlier, later in pairwise(probes))
    return step if is_even else None


def whole_step(times: Sequence[int], probe: int) -> int | None:
    """Return the step of times that follow one another evenly; else None.

    Not seen are a gap and a step back that make up for one another within the time of a ``probe``.
    """
    step = even_step(times)
    if step is None or isinstance(times, range):
        return step
    stride = probe // abs(step)
    if stride > _PROBES:
        probes = times[::stride]
        way = step * stride
        is_even = probes == list(range(times[0], times[0] + len(probes) * way, way))
    else:
        # Such a pair changes the sum alone; that takes as long as so many probes.
        is_even = 2 * sum(times) == len(times) * (times[0] + times[-1])
    return step if is_even else None


def odd_steps(ordered: Sequence[int], usual: int | None) -> tuple[int | None, list[int]]:
    """Return the usual step of times in order, and the places of which the next step is another.

    Quick where ``usual`` is the step of most. The step is None if all times are the same.
    """
    if usual:
        places = _odd(ordered, usual)
        if places is not None:
            return usual, places
    steps = list(map(sub, ordered[1:], ordered))
    counts = Counter(steps)
    del counts[0]
    step = max(counts, key=lambda each: counts[each], default=None)
    return step, [place for place, each in enumerate(steps) if each != step]


def _odd(ordered: Sequence[int], step: int) -> list[int] | None:
    """Return the places of odd steps, None if they are many: by halves, as most are even."""
    most = len(ordered) // _RARE
    places = []
    pieces = [(0, len(ordered) - 1)]
    while pieces:
        low, high = pieces.pop()
        is_even = ordered[high] - ordered[low] == (high - low) * step
        if is_even and high - low <= _PIECE:
            continue
        if high - low == 1:
            places.append(low)
            if len(places) > most:
                return None
        elif high > low:
            middle = (low + high) // 2
            pieces += [(low, middle), (middle, high)]
    return places
