"""``--share K/N``: the part of a run's streams that one of several hosts sends."""

import os
import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final, NamedTuple

from swarm.config.parsers import AUTO

_SHARE: Final = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
_SLURM: Final = "SLURM_ARRAY_TASK_ID"
_SLURM_COUNT: Final = "SLURM_ARRAY_TASK_COUNT"
_SLURM_FIRST: Final = "SLURM_ARRAY_TASK_MIN"
_SLURM_STEP: Final = "SLURM_ARRAY_TASK_STEP"
_KUBERNETES: Final = "JOB_COMPLETION_INDEX"
_KUBERNETES_COUNT: Final = "JOB_COMPLETIONS"


class Share(NamedTuple):
    """Share ``number``, counted from 1, of so many ``shares``."""

    number: int
    shares: int

    def __str__(self) -> str:
        return f"{self.number}/{self.shares}"

    def has(self, stream: str) -> bool:
        """Return True if a stream falls into this share; each falls into one, always the same."""
        digest = blake2b(stream.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.shares == self.number - 1


def parse_share(text: str) -> Share:
    """Return the share of ``K/N``, or with ``auto`` that of the array variables."""
    if text.strip().lower() == AUTO:
        return _from_variables(os.environ)
    match = _SHARE.fullmatch(text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"K/N with K from 1 to N, such as 3/8, or {AUTO}")
    return Share(int(match[1]), int(match[2]))


def _from_variables(variables: Mapping[str, str]) -> Share:
    try:
        if _SLURM in variables:
            first, step = (int(variables.get(name, "1")) for name in (_SLURM_FIRST, _SLURM_STEP))
            number = (int(variables[_SLURM]) - first) // step + 1
            found = Share(number, int(variables[_SLURM_COUNT]))
        elif _KUBERNETES in variables:
            found = Share(int(variables[_KUBERNETES]) + 1, int(variables[_KUBERNETES_COUNT]))
        else:
            raise ValueError(
                f"K/N: {AUTO} works in a Slurm array ({_SLURM}) or a Kubernetes Indexed Job "
                f"({_KUBERNETES}), and neither variable is set"
            )
    except KeyError as error:
        hint = ": set it to the Job's completions" if _KUBERNETES_COUNT in str(error) else ""
        raise ValueError(f"K/N: {AUTO} also needs the variable {error.args[0]}{hint}") from None
    if not 1 <= found.number <= found.shares:
        raise ValueError(f"K/N: {AUTO} found {found.number}/{found.shares} in the variables")
    return found
