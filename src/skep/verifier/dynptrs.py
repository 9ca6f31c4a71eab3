"""Dynptrs: sixteen bytes of stack that stand for memory whose size or place is only known when the program runs.

They are made by helpers and kernel functions, read and written through others, and cut into slices, which are plain
memory of known size. Overwriting one, even in part, voids it and its slices; one over a ring buffer's record has to
be given back and cannot be overwritten. Programs may also be given the address of a dynptr of the kernel's own
(``Kind.DYNPTR``), as callbacks and global functions are.

Rules and messages were observed on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.verifier import references, stack_access
from skep.verifier.register import ANY_NUMBER, PACKET_SLICE, Kind, Register, register
from skep.verifier.rejection import Rejection
from skep.verifier.scalar import signed64
from skep.verifier.slots import DATA, SLOT_SIZE, STACK_SIZE, UNUSED, part, slot
from skep.verifier.stack_liveness import bit
from skep.verifier.stack_objects import DYNPTR_SLOTS, Dynptr, DynptrType, parts

if TYPE_CHECKING:
    from skep.verifier.exploration import Explorer
    from skep.verifier.state import Frame, State


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
        raise Rejection(f"Expected an initialized dynptr as arg #{index - 1}", register=index)
    number = first_slot(pointer, DYNPTR_SLOTS)
    assert number is not None
    mask = bit(pointer.frame, number) | bit(pointer.frame, number - 1)
    explorer.liveness.read(explorer.state, explorer.index, mask)
    return found


def expect_released(explorer: Explorer, index: int) -> None:
    """Refuse to give back what register ``index`` is the address of unless it is a dynptr with a reference."""
    pointer = explorer.registers[index]
    if pointer.kind is Kind.DYNPTR:
        raise Rejection("cannot release unowned const bpf_dynptr", register=index)
    number = first_slot(pointer, DYNPTR_SLOTS)
    slots = explorer.state.frames[pointer.frame].slots
    found = slots[number].object if number is not None and number < len(slots) else None
    if not isinstance(found, Dynptr) or not found.reference:
        raise Rejection(f"arg {index} is an unacquired reference", register=index)


def make(explorer: Explorer, index: int, type: DynptrType, reference: int = 0) -> int:
    """Make a dynptr where register ``index`` points to; give the slots that were written, one bit each.

    ``reference`` is what it shares with another; without one, a dynptr over a ring buffer acquires its own.
    """
    pointer = explorer.registers[index]
    number = first_slot(pointer, DYNPTR_SLOTS) if pointer.kind is Kind.STACK else None
    if number is None:
        raise Rejection("Dynptr has to be an uninitialized dynptr", register=index)
    frame = explorer.state.frames[pointer.frame]
    written = 0
    for offset in (0, SLOT_SIZE):
        stack_access.bounds(explorer, index, pointer, pointer.offset + offset, SLOT_SIZE, " write to")
    for one in (number, number - 1):
        written |= destroy(explorer, frame, one) | bit(frame.index, one)
        frame.slots[one] = DATA
    if type is DynptrType.RINGBUF and not reference:
        reference = references.acquire(explorer)
    whole = Dynptr(type, explorer.new_id(), reference)
    first, second = parts(whole, DYNPTR_SLOTS)
    frame.slots[number], frame.slots[number - 1] = part(first), part(second)
    return written


def destroy(explorer: Explorer, frame: Frame, number: int) -> int:
    """A slot is about to be overwritten: void the dynptr that it is a part of. Gives the slots that were written."""
    found = frame.slots[number].object
    if not isinstance(found, Dynptr):
        return 0
    if found.reference:
        raise Rejection("cannot overwrite referenced dynptr", object=found)
    return _void(explorer.state, frame, number + found.position, found.id)


def _void(state: State, frame: Frame, first: int, id: int) -> int:
    frame.slots[first] = frame.slots[first - 1] = UNUSED
    _forget_slices(state, id)
    return bit(frame.index, first) | bit(frame.index, first - 1)


def _forget_slices(state: State, id: int) -> None:
    def is_slice(one: Register) -> bool:
        return one.kind is Kind.MEMORY and one.subject == id

    for frame in state.frames:
        for index, one in enumerate(frame.registers):
            if is_slice(one):
                frame.registers[index] = ANY_NUMBER
        for index, spilled in enumerate(frame.slots):
            if spilled.is_spill and is_slice(spilled.register):
                frame.slots[index] = slot(spilled.bytes, ANY_NUMBER)


def release(explorer: Explorer, index: int) -> int:
    """Give back the dynptr that register ``index`` is the address of, with all that share its reference.

    Gives the slots that were written.
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
                written |= _void(state, frame, number, held.id)
    return written


def slice_of(dynptr: Dynptr, size: int, flags: int) -> Register:
    """What a pointer to a slice of ``size`` bytes is: void with its dynptr, or once the packet may have moved."""
    if dynptr.type.is_packet:
        flags |= PACKET_SLICE
    return register(Kind.MEMORY, reference=dynptr.reference, extent=size, flags=flags, subject=dynptr.id)


def overlap(frame: Frame, start: int, end: int) -> int | None:
    """The first offset from ``start`` to ``end`` at which there is a dynptr."""
    for offset in range(max(start, -STACK_SIZE), end):
        number, _ = stack_access.place(offset)
        if number < len(frame.slots) and isinstance(frame.slots[number].object, Dynptr):
            return offset
    return None
