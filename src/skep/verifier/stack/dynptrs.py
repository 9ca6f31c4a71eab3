"""Dynptrs: sixteen bytes of stack that stand for memory whose size or place is only known when the program runs.

They are made by helpers and kernel functions, read and written through others, and cut into slices, which are plain
memory of known size. Overwriting one, even in part, voids it and its slices; one over a ring buffer's record has to
be given back and cannot be overwritten. Programs may also be given the address of a dynptr of the kernel's own
(``Kind.DYNPTR``), as callbacks and global functions are.

Rules and messages were observed on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.verifier.holding import references
from skep.verifier.rejection import Rejection
from skep.verifier.stack import stack_access
from skep.verifier.stack.object_slots import bits, first_slot, misplaced, put, void
from skep.verifier.states.register import PACKET_SLICE, Kind, Register, register
from skep.verifier.states.slots import Slot
from skep.verifier.states.stack_objects import DYNPTR_SLOTS, Dynptr, DynptrType, Iterator

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer


def at(explorer: Explorer, pointer: Register) -> Dynptr | None:
    """The dynptr whose address a pointer to the stack is."""
    number = first_slot(pointer, DYNPTR_SLOTS)
    slots = explorer.state.frames[pointer.frame].slots
    if number is None or number >= len(slots):
        return None
    found, rest = slots[number].object, slots[number - 1].object
    if not isinstance(found, Dynptr) or found.position:
        return None
    return found if isinstance(rest, Dynptr) and rest.position == 1 else None


def expect(explorer: Explorer, index: int) -> Dynptr:
    """The dynptr that register ``index`` is the address of. Raises Rejection if it is not of one."""
    pointer = explorer.registers[index]
    if pointer.kind is Kind.DYNPTR:
        assert isinstance(pointer.subject, DynptrType)
        return Dynptr(pointer.subject, pointer.id)
    found = at(explorer, pointer)
    if found is None:
        problem = misplaced(pointer, DYNPTR_SLOTS, "dynptr")
        raise Rejection(f"Expected an initialized dynptr as arg #{index - 1}", *problem, register=index)
    number = first_slot(pointer, DYNPTR_SLOTS)
    assert number is not None
    frame = explorer.state.frames[pointer.frame]
    explorer.liveness.read(explorer.state, explorer.index, bits(frame, number, DYNPTR_SLOTS))
    return found


def expect_released(explorer: Explorer, index: int) -> None:
    """Refuse to give back what register ``index`` is the address of unless it is a dynptr with a reference."""
    pointer = explorer.registers[index]
    if pointer.kind is Kind.DYNPTR:
        raise Rejection("cannot release unowned const bpf_dynptr", register=index)
    number = first_slot(pointer, DYNPTR_SLOTS)
    slots = explorer.state.frames[pointer.frame].slots
    there = slots[number] if number is not None and number < len(slots) else None
    # Whatever has to be given back will do here; whether it is a dynptr is asked next.
    if there is None or not _reference_in(there):
        problem = misplaced(pointer, DYNPTR_SLOTS, "dynptr")
        raise Rejection(f"arg {index} is an unacquired reference", *problem, register=index)


def _reference_in(slot: Slot) -> int:
    held = slot.object
    if held is None:
        return slot.register.reference
    return 0 if isinstance(held, Iterator) and held.position else held.reference


def make(explorer: Explorer, index: int, type: DynptrType, reference: int = 0) -> int:
    """Make a dynptr where register ``index`` points to; give the slots that were written, one bit each.

    ``reference`` is what it shares with another; without one, a dynptr over a ring buffer acquires its own.
    """
    pointer = explorer.registers[index]
    number = first_slot(pointer, DYNPTR_SLOTS) if pointer.kind is Kind.STACK else None
    if number is None:
        problem = misplaced(pointer, DYNPTR_SLOTS, "dynptr") if pointer.kind is Kind.STACK else ()
        raise Rejection("Dynptr has to be an uninitialized dynptr", *problem, register=index)
    written = stack_access.claim(explorer, index, pointer, DYNPTR_SLOTS)
    id = explorer.new_id()
    if type is DynptrType.RINGBUF and not reference:
        reference = references.acquire(explorer)
    put(explorer.state.frames[pointer.frame], number, Dynptr(type, id, reference), DYNPTR_SLOTS)
    return written


def release(explorer: Explorer, index: int) -> int:
    """Give back the dynptr that register ``index`` is the address of, with all that share its reference.

    Slices are void by their reference, too: one that lost it stays what it is. Gives the slots that were written.
    """
    found = at(explorer, explorer.registers[index])
    assert found is not None
    state = explorer.state
    written = 0
    references.release(state, found.reference)
    for frame in state.frames:
        for number, one in enumerate(frame.slots):
            held = one.object
            if isinstance(held, Dynptr) and held.reference == found.reference and not held.position:
                written |= void(frame, number)
    return written


def slice_of_helper(dynptr: Dynptr, size: int, flags: int) -> Register:
    """What a pointer to a slice of ``size`` bytes is that a helper cut: void with its dynptr."""
    return register(Kind.MEMORY, reference=dynptr.reference, extent=size, flags=flags, subject=dynptr.id)


def slice_of_kfunc(dynptr: Dynptr, size: int, flags: int, id: int) -> Register:
    """What a pointer to a slice of ``size`` bytes is that a kernel function cut: void once the packet may have moved.

    Linux lets it outlive its dynptr.
    """
    if dynptr.type.is_packet:
        flags |= PACKET_SLICE
    return register(Kind.MEMORY, id=id, extent=size, flags=flags, subject=(dynptr.type, dynptr.id))
