"""Histories in chunks, each with its own seed, for processes that play them in parallel."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from tests.simulation.history import GROWING_HISTORIES, HISTORIES, SHORT_HISTORIES, History
from tests.simulation.play import Figures, compare, play
from tests.simulation.real import Real

Kind = Literal["simulated", "compared", "real"]

_CHUNK = 500
_REAL_CHUNK = 20


class Chunk(NamedTuple):
    """A number of histories with one seed: simulated, simulated twice to compare, or real."""

    seed: int
    histories: int
    kind: Kind


_KINDS: dict[Kind, tuple[SearchStrategy[History], Callable[[History], Figures]]] = {
    "simulated": (HISTORIES, play),
    "compared": (GROWING_HISTORIES, compare),
    "real": (SHORT_HISTORIES, partial(play, machine=Real)),
}


def played(chunk: Chunk) -> tuple[Figures, str]:
    """Play a seed's histories; return what happened, and the text of one that went wrong."""
    number, histories, kind = chunk
    figures, story = Figures(), ""
    # Shrinking a history of real processes takes too long.
    phases = [Phase.generate] if kind == "real" else [Phase.generate, Phase.shrink]
    strategy, play_one = _KINDS[kind]

    @seed(number)
    @settings(
        max_examples=histories,
        database=None,
        deadline=None,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(history: History) -> None:
        nonlocal story
        try:
            figures.add(play_one(history))
        except Exception as error:
            # The last one that fails is the shortest.
            story = f"{type(error).__name__}: {error}\n{history}"
            raise

    try:
        each()
    except Exception as error:
        return figures, f"seed {number}: {story or error}"
    return figures, ""


def chunks(first: int, histories: int, kind: Kind) -> Iterator[Chunk]:
    """Yield chunks of histories; the first has the seed ``first``."""
    size = _REAL_CHUNK if kind == "real" else _CHUNK
    for number, start in enumerate(range(0, histories, size), first):
        yield Chunk(number, min(size, histories - start), kind)
