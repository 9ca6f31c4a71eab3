"""The packets that a generated program is run on, from its seed alone."""

from __future__ import annotations

from random import Random

from skep.diff.inputs import packet

#: Packets for each program.
INPUTS = 3


def inputs_of(seed: int) -> tuple[bytes, ...]:
    """The packets of the program of that number."""
    random = Random(f"inputs of {seed}")
    return tuple(packet(random) for _ in range(INPUTS))
