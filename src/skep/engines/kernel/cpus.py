"""How many CPUs the kernel counts: the size of a per-CPU value follows from it.

Source: Documentation/admin-guide/cputopology.rst (``possible``: CPUs that may ever come online).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from skep.errors import KernelError

_POSSIBLE = Path("/sys/devices/system/cpu/possible")


def count_in_list(text: str) -> int:
    """How many CPUs the largest number of a list such as ``0-3,8`` implies: 9, since numbering starts at 0."""
    return 1 + max(int(part.rpartition("-")[2]) for part in text.strip().split(","))


@cache
def possible_cpus() -> int:
    """The number of CPUs that may ever be online; raises KernelError where the kernel does not say."""
    try:
        return count_in_list(_POSSIBLE.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise KernelError(f"the number of possible CPUs cannot be read from {_POSSIBLE}: {error}") from error
