"""Histories in chunks, each with its own seed, for processes that play them in parallel."""

from collections.abc import Iterator

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.simulation.history import HISTORIES, SHORT_HISTORIES, History
from tests.simulation.machine import Simulated
from tests.simulation.play import Figures, play
from tests.simulation.real import Real

_CHUNK = 500
_REAL_CHUNK = 20


def played(chunk: tuple[int, int, bool]) -> tuple[Figures, str]:
    """Play a seed's histories; return what happened, and the text of one that went wrong."""
    number, histories, is_real = chunk
    figures, story = Figures(), ""
    # Shrinking a history of real processes takes too long.
    phases = [Phase.generate] if is_real else [Phase.generate, Phase.shrink]

    @seed(number)
    @settings(
        max_examples=histories,
        database=None,
        deadline=None,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(SHORT_HISTORIES if is_real else HISTORIES)
    def each(history: History) -> None:
        nonlocal story
        try:
            figures.add(play(history, Real if is_real else Simulated))
        except Exception as error:
            # The last one that fails is the shortest.
            story = f"{type(error).__name__}: {error}\n{history}"
            raise

    try:
        each()
    except Exception as error:
        return figures, f"seed {number}: {story or error}"
    return figures, ""


def chunks(first: int, histories: int, *, is_real: bool) -> Iterator[tuple[int, int, bool]]:
    """Yield seeds with the number of histories for each, and ``is_real``."""
    size = _REAL_CHUNK if is_real else _CHUNK
    for number, start in enumerate(range(0, histories, size), first):
        yield number, min(size, histories - start), is_real
