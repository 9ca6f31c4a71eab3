"""Things that a program acquires and has to give back: taking one, and what giving it up makes void."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.verifier.states.held import Reference
from skep.verifier.states.register import ANY_NUMBER
from skep.verifier.states.slots import slot
from skep.verifier.states.state import State

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer


def acquire(explorer: Explorer) -> int:
    """Take a reference at the running instruction; gives its id."""
    id = explorer.new_id()
    state = explorer.state
    state.references = (*state.references, Reference(id, explorer.index))
    return id


def release(state: State, id: int) -> bool:
    """Give up a reference, so that every copy of the pointer is void. Whether it was held."""
    left = tuple(one for one in state.references if one.id != id)
    if len(left) == len(state.references):
        return False
    state.references = left
    for frame in state.frames:
        for index, one in enumerate(frame.registers):
            if one.reference == id:
                frame.registers[index] = ANY_NUMBER
        for index, spilled in enumerate(frame.slots):
            if spilled.is_spill and spilled.register.reference == id:
                frame.slots[index] = slot(spilled.bytes, ANY_NUMBER)
    return True
