"""The collector's final answer to a measurement, as handlers get it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Response:
    """The final answer: its HTTP status, and in ``text`` one line of what the collector said.

    A measurement whose own answer never came, and that the collector was then found to hold, has
    the status of that finding. No secret is in ``text``.
    """

    code: int
    text: str = ""

    @property
    def is_success(self) -> bool:
        """Whether the collector took the measurement."""
        return 200 <= self.code < 300
