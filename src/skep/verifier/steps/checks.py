"""Whether an instruction may read or write a register at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.verifier.rejection import Rejection
from skep.verifier.states.register import NOTHING
from skep.verifier.states.state import R10

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer


def readable(explorer: Explorer, index: int) -> None:
    """Refuse to read a register that nothing was written to."""
    if explorer.registers[index] is NOTHING:
        raise Rejection(f"R{index} !read_ok", register=index)


def writable(explorer: Explorer, index: int) -> None:
    """Refuse to write the frame pointer."""
    if index == R10:
        raise Rejection("frame pointer is read only")
