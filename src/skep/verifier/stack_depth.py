"""How much stack a chain of calls takes together: at most 512 bytes, in at most eight functions."""

from __future__ import annotations

from typing import Final

from skep.verifier.rejection import Rejection
from skep.verifier.structure import Structure, Subprogram

LIMIT: Final = 512
#: A tail call keeps the callers' frames, so those before it may not be large.
_TAIL_CALL_LIMIT: Final = 256
_FRAME_LIMIT: Final = 8
#: The JIT of x86-64 rounds each frame up to this.
_ROUNDING: Final = 16


def check_stack_depth(structure: Structure, used: list[int]) -> None:
    """Refuse chains of calls that take too much; ``used`` is by function, in bytes."""
    reached: dict[int, tuple[int, int]] = {}

    def rounded(function: Subprogram) -> int:
        return -(-used[function.index] // _ROUNDING) * _ROUNDING

    def follow(function: Subprogram, before: int, frames: int, tail_call_below: bool) -> None:
        if tail_call_below and before >= _TAIL_CALL_LIMIT:
            raise Rejection(
                f"tail_calls are not allowed when call stack of previous frames is {before} bytes. Too large"
            )
        total = before + rounded(function)
        if total > LIMIT:
            raise Rejection(
                f"combined stack size of {frames} calls is {total}. Too large", function=function.name, total=total
            )
        known = reached.get(function.index)
        if known is not None and known[0] >= total and known[1] >= frames:
            return
        reached[function.index] = (total, frames)
        for _, index in sorted(function.callees.items()):
            if frames >= _FRAME_LIMIT:
                raise Rejection(f"the call stack of {frames + 1} frames is too deep !")
            callee = structure.subprograms[index]
            follow(callee, total, frames + 1, callee.has_tail_call)

    follow(structure.subprograms[0], 0, 1, False)
