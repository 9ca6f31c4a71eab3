"""Where objects lie on the stack, and what it does to them to be overwritten.

A plain store over an iterator or saved interrupt flags makes bytes of them: what they held can no longer be given
back. A dynptr is void as a whole, with its slices, and one that has to be given back may not be overwritten at all.
Rules and messages were observed on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.verifier.numbers.scalar import signed64
from skep.verifier.paths.stack_liveness import bit
from skep.verifier.rejection import Rejection
from skep.verifier.states.register import ANY_NUMBER, Kind, Register
from skep.verifier.states.slots import SLOT_SIZE, UNUSED, part, slot
from skep.verifier.states.stack_objects import Dynptr, StackObject, parts

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.states.state import Frame, State


_MEMORY: Final = Kind.MEMORY


def first_slot(pointer: Register, count: int) -> int | None:
    """The slot that an object of ``count`` slots starts in, if a pointer to the stack can be the address of one.

    The start is the lowest address, so that the other slots have lower numbers.
    """
    if not pointer.scalar.is_constant:
        return None
    offset = pointer.offset + signed64(pointer.scalar.value)
    if offset % SLOT_SIZE or offset > -count * SLOT_SIZE:
        return None
    return -offset // SLOT_SIZE - 1


def misplaced(pointer: Register, count: int, name: str) -> tuple[str, ...]:
    """What the log says before an object is refused because of where it lies; nothing where that is not why."""
    if first_slot(pointer, count) is not None:
        return ()
    if not pointer.scalar.is_constant:
        return (f"{name} has to be at a constant offset",)
    return (f"cannot pass in {name} at an offset={pointer.offset + signed64(pointer.scalar.value)}",)


def bits(frame: Frame, first: int, count: int) -> int:
    """The slots of an object, one bit each."""
    return sum(bit(frame.index, first - position) for position in range(count))


def put(frame: Frame, first: int, whole: StackObject, count: int) -> None:
    """Put an object into its slots."""
    for position, one in enumerate(parts(whole, count)):
        frame.slots[first - position] = part(one)


def destroy(explorer: Explorer, frame: Frame, number: int) -> int:
    """A slot is about to be overwritten: void the dynptr that it is a part of. Gives the slots that were written."""
    found = frame.slots[number].object
    if not isinstance(found, Dynptr):
        return 0
    if found.reference:
        raise Rejection("cannot overwrite referenced dynptr", object=found)
    _forget_slices(explorer.state, found.id)
    return void(frame, number + found.position)


def void(frame: Frame, first: int) -> int:
    """Leave nothing of a dynptr. Gives the slots that were written."""
    frame.slots[first] = frame.slots[first - 1] = UNUSED
    return bits(frame, first, 2)


def _forget_slices(state: State, id: int) -> None:
    def is_slice(one: Register) -> bool:
        return one.kind is _MEMORY and one.subject == id

    for frame in state.frames:
        for index, one in enumerate(frame.registers):
            if is_slice(one):
                frame.registers[index] = ANY_NUMBER
        for index, spilled in enumerate(frame.slots):
            if spilled.is_spill and is_slice(spilled.register):
                frame.slots[index] = slot(spilled.bytes, ANY_NUMBER)
