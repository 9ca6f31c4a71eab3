"""Calls of the program's own functions: a new frame, which sees the caller's r1 to r5 and its own stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.isa.instruction import Instruction
from skep.verifier.rejection import Rejection
from skep.verifier.states.register import ANY_NUMBER, NOTHING
from skep.verifier.states.state import Frame
from skep.verifier.steps.step import Calling, Step

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer

#: Functions that may call each other at once, the program included.
FRAME_LIMIT = 8


def call_subprogram(instruction: Instruction) -> Step:
    """The step of a call of a function of the program."""
    distance = instruction.imm

    def follow(explorer: Explorer) -> int:
        explorer.jumps += 1
        callee = explorer.structure.by_start[explorer.index + 1 + distance]
        if callee.is_global:
            from skep.verifier.calls.global_functions import call_global

            explorer.sources[0] = 0
            return call_global(explorer, callee)
        if explorer.context.is_named and not callee.unreliable:
            from skep.verifier.calls.global_functions import mark_unreliable

            mark_unreliable(explorer, callee)
        if explorer.observer is not None:
            explorer.observer.called(explorer, callee)
        frame = new_frame(explorer, callee.index, explorer.index)
        frame.registers[1:6] = explorer.registers[1:6]
        frame.sources[1:6] = explorer.sources[1:6]
        explorer.registers[0:6] = (NOTHING,) * 6
        explorer.sources[0:6] = (0,) * 6
        explorer.state.frames.append(frame)
        explorer.enter(explorer.state)
        return callee.start

    return Calling(follow)


def new_frame(explorer: Explorer, subprogram: int, call_site: int) -> Frame:
    """A frame on top of the running one; Rejection if there are too many."""
    depth = len(explorer.state.frames)
    if depth >= FRAME_LIMIT:
        raise Rejection(f"the call stack of {depth + 1} frames is too deep")
    return Frame(depth, subprogram, call_site)


def forget_scratch(explorer: Explorer) -> None:
    """After a call that was not followed: r0 is any number, r1 to r5 hold nothing."""
    explorer.registers[0:6] = (ANY_NUMBER, *(NOTHING,) * 5)
