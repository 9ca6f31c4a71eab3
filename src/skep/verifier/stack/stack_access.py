"""Loads from and stores to the stack: registers that are spilled and filled, plain bytes, offsets that vary.

A number or pointer stored whole at an aligned place is remembered as the register it was; everything else is bytes.
What no one wrote may be read by privileged programs, as Linux allows them since 6.3. Rules observed on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.verifier.answers.text import tnum_text
from skep.verifier.numbers.scalar import signed64
from skep.verifier.paths.stack_liveness import bit
from skep.verifier.rejection import Rejection
from skep.verifier.stack import object_slots
from skep.verifier.states import slots
from skep.verifier.states.register import ANY_NUMBER, NULL, Kind, Register, with_id
from skep.verifier.states.slots import DATA, INVALID, MISC, SLOT_SIZE, SPILL, STACK_SIZE, UNUSED, ZERO, Slot
from skep.verifier.states.stack_objects import Dynptr
from skep.verifier.states.state import Frame
from skep.verifier.steps.arithmetic_steps import shared
from skep.verifier.structure import OFFSET_LIMIT

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer


_SCALAR: Final = Kind.SCALAR
_STACK: Final = Kind.STACK


def bounds(explorer: Explorer, index: int, pointer: Register, offset: int, size: int, how: str) -> tuple[int, int]:
    """The least and greatest offset from the frame pointer at which an access of ``size`` bytes may start.

    ``how`` is " read from", " write to" or " indirect access to", for messages. The stack is grown to hold them.
    """
    scalar = pointer.scalar
    if scalar.is_constant:
        least = greatest = signed64(scalar.value) + offset
    else:
        if scalar.smax >= OFFSET_LIMIT or scalar.smin <= -OFFSET_LIMIT:
            raise Rejection(f"invalid unbounded variable-offset{how} stack R{index}", register=index)
        least, greatest = scalar.smin + offset, scalar.smax + offset
    if not -STACK_SIZE <= least <= -1 or greatest + size > 0 or size < 0:
        if scalar.is_constant:
            raise Rejection(
                f"invalid{how} stack R{index} off={least} size={size}", register=index, offset=least, size=size
            )
        raise Rejection(
            f"invalid variable-offset{how} stack R{index} var_off={tnum_text(scalar.bits)} off={offset} size={size}",
            register=index,
            offset=offset,
            size=size,
        )
    grow(explorer, explorer.state.frames[pointer.frame], -least)
    return least, greatest


class Place:
    """A place on the stack: ``size`` bytes from byte ``start`` of slot ``number`` on, of frame ``frame``."""

    __slots__ = ("bit", "frame", "number", "size", "start")

    def __init__(self, frame: int, number: int, start: int, size: int) -> None:
        self.frame: Final = frame
        self.number: Final = number
        self.start: Final = start
        self.size: Final = size
        #: The slot, as a set of one.
        self.bit: Final = bit(frame, number)


def place_of(pointer: Register, offset: int, size: int) -> Place | None:
    """Where an access through a pointer to the stack, that was found in order, always is; None if that varies."""
    if not pointer.scalar.is_constant:
        return None
    number, start = place(signed64(pointer.scalar.value) + pointer.offset + offset)
    return Place(pointer.frame, number, start, size)


def _reached(explorer: Explorer, place: Place) -> Frame:
    """The frame of a place, with the slot known."""
    frame = explorer.state.frames[place.frame]
    if place.number >= len(frame.slots):
        grow(explorer, frame, (place.number + 1) * SLOT_SIZE)
    return frame


def grow(explorer: Explorer, frame: Frame, size: int) -> None:
    """Make the known part of a frame's stack at least ``size`` bytes."""
    needed = (size + SLOT_SIZE - 1) // SLOT_SIZE
    missing = needed - len(frame.slots)
    if missing > 0:
        frame.slots += [UNUSED] * missing
        explorer.use_stack(frame, needed * SLOT_SIZE)


def load(explorer: Explorer, index: int, pointer: Register, offset: int, size: int) -> Register:
    """What a register holds after a load of ``size`` bytes at ``pointer`` + ``offset`` (both parts of it)."""
    least, greatest = bounds(explorer, index, pointer, offset, size, " read from")
    frame = explorer.state.frames[pointer.frame]
    if not pointer.scalar.is_constant:
        note_read(explorer, frame, least, greatest + size)
        check_readable(explorer, index, pointer, frame, least, greatest, size)
        return _bytes_read(frame, least, greatest + size)
    number, start = place(least)
    return load_from(explorer, index, Place(pointer.frame, number, start, size))


def load_from(explorer: Explorer, index: int, place: Place) -> Register:
    """What a register holds after a load from a place that is in bounds; register ``index`` points there."""
    frame = _reached(explorer, place)
    spilled = frame.slots[place.number]
    explorer.liveness.read(explorer.state, explorer.index, place.bit)
    if spilled.is_spill:
        return _fill(explorer, frame, place, spilled)
    start, size = place.start, place.size
    if spilled.bytes[start] not in _PLAIN:
        least = start - (place.number + 1) * SLOT_SIZE
        raise Rejection(f"invalid read from stack off {least}+0 size {size}", register=index, object=spilled.object)
    if not explorer.rules.reads_unwritten:
        _check_written(spilled, place)
    return NULL if spilled.bytes[start : start + size] == ZERO * size else ANY_NUMBER


def _check_written(read: Slot, place: Place) -> None:
    """Refuse to read what nothing wrote, as before 6.3."""
    for byte in range(place.size):
        if read.bytes[place.start + byte] == INVALID:
            least = place.start - (place.number + 1) * SLOT_SIZE
            raise Rejection(f"invalid read from stack off {least}+{byte} size {place.size}")


def place(offset: int) -> tuple[int, int]:
    """The slot at an offset from the frame pointer, and the byte within it."""
    number = (-offset - 1) // SLOT_SIZE
    return number, offset + (number + 1) * SLOT_SIZE


def note_read(explorer: Explorer, frame: Frame, start: int, end: int) -> None:
    """The bytes from ``start`` to ``end`` (offsets from the frame pointer) may be read."""
    mask = 0
    for number in range(place(end - 1)[0], place(start)[0] + 1):
        mask |= bit(frame.index, number)
    explorer.liveness.read(explorer.state, explorer.index, mask)


#: Bytes that may be read: all but those of objects.
_PLAIN: Final = frozenset((INVALID, MISC, ZERO, SPILL))
#: Those that something wrote.
_WRITTEN: Final = frozenset((MISC, ZERO, SPILL))


def check_readable(
    explorer: Explorer, index: int, pointer: Register, frame: Frame, least: int, greatest: int, size: int
) -> None:
    """Refuse to read bytes of objects that lie on the stack, and before 6.3 what nothing wrote."""
    plain = _PLAIN if explorer.rules.reads_unwritten else _WRITTEN
    for offset in range(least, greatest + size):
        number, byte = place(offset)
        if frame.slots[number].bytes[byte] in plain:
            continue
        bits = pointer.scalar.bits
        how = "" if explorer.rules.reads_unwritten else " indirect"
        start = f"off {least}" if pointer.scalar.is_constant else f"var_off {tnum_text(bits)}"
        raise Rejection(
            f"invalid{how} read from stack R{index} {start}+{offset - least} size {size}",
            register=index,
            object=frame.slots[number].object,
        )


def claim(explorer: Explorer, index: int, pointer: Register, count: int) -> int:
    """Overwrite ``count`` whole slots, as stores would, so that an object can lie there.

    Gives the slots that were written, one bit each.
    """
    frame = explorer.state.frames[pointer.frame]
    written = 0
    for position in range(count):
        least, _ = bounds(explorer, index, pointer, pointer.offset + position * SLOT_SIZE, SLOT_SIZE, " write to")
        number, _ = place(least)
        written |= object_slots.destroy(explorer, frame, number) | bit(frame.index, number)
        frame.slots[number] = DATA
    return written


def first_dynptr(frame: Frame, start: int, end: int) -> int | None:
    """The first offset from ``start`` to ``end`` at which there is a dynptr."""
    for offset in range(start, end):
        number, _ = place(offset)
        if isinstance(frame.slots[number].object, Dynptr):
            return offset
    return None


def _bytes_read(frame: Frame, start: int, end: int) -> Register:
    for offset in range(start, end):
        number, byte = place(offset)
        if frame.slots[number].bytes[byte] != ZERO:
            return ANY_NUMBER
    return NULL


def _fill(explorer: Explorer, frame: Frame, place: Place, spilled: Slot) -> Register:
    register = spilled.register
    width = spilled.spilled_bytes
    start, size = place.start, place.size
    if size == SLOT_SIZE and width == SLOT_SIZE:
        explorer.remember(stack=(frame.index, place.number))
        return register
    if register.kind is not _SCALAR:
        raise Rejection("invalid size of register fill", size=size)
    if size <= width and start == 0:
        bits = register.scalar.umax.bit_length()
        explorer.remember(stack=(frame.index, place.number))
        return with_id(register, 0) if bits > 8 * size else register
    wanted = spilled.bytes[start : start + size]
    if wanted == SPILL * size and register.is_zero:
        explorer.remember(stack=(frame.index, place.number))
        return NULL
    return NULL if wanted == ZERO * size else ANY_NUMBER


#: Pointers that are no more than bytes once they were stored.
_NOT_SPILLED: Final = frozenset({Kind.DYNPTR, Kind.TRACEPOINT_BUFFER})


def store(
    explorer: Explorer, index: int, pointer: Register, offset: int, size: int, value: Register, source: int
) -> None:
    """Store ``size`` bytes of ``value``, which is in register ``source`` or (if that is negative) an immediate."""
    least, greatest = bounds(explorer, index, pointer, offset, size, " write to")
    frame = explorer.state.frames[pointer.frame]
    if not pointer.scalar.is_constant:
        written = 0
        for offset in range(least, greatest + size):
            number, _ = place(offset)
            if frame.slots[number].object is not None:
                written |= object_slots.destroy(explorer, frame, number)
        explorer.liveness.wrote(explorer.state, explorer.index, written)
        _store_anywhere(explorer, frame, least, greatest + size, value, source)
        return
    number, start = place(least)
    store_at(explorer, Place(pointer.frame, number, start, size), value, source)


def store_at(explorer: Explorer, place: Place, value: Register, source: int) -> None:
    """Store ``value``, which is in register ``source`` if that is not negative, at a place that is in bounds."""
    frame = _reached(explorer, place)
    number, start, size = place.number, place.start, place.size
    written = place.bit if size == SLOT_SIZE else 0
    before = frame.slots[number]
    if before.object is not None:
        written |= object_slots.destroy(explorer, frame, number)
        before = frame.slots[number]
    explorer.liveness.wrote(explorer.state, explorer.index, written)
    if start == 0 and value.kind is _SCALAR:
        if source >= 0:
            if value.scalar.umax.bit_length() <= 8 * size and explorer.rules.links_copies:
                value = shared(explorer, value)
                explorer.registers[source] = value
            else:
                value = with_id(value, 0)
        frame.slots[number] = slots.spilled(value, size, before)
        explorer.remember(stack=(frame.index, number))
        return
    if value.is_pointer and value.kind not in _NOT_SPILLED:
        if size != SLOT_SIZE:
            raise Rejection("invalid size of register spill", size=size)
        if frame is not explorer.frame and value.kind is _STACK:
            raise Rejection("cannot spill pointers to stack into stack frame of the caller")
        frame.slots[number] = slots.spilled(value, size, before)
        explorer.remember(stack=(frame.index, number))
        return
    byte = MISC
    if value.is_zero:
        byte = ZERO
        if source >= 0:
            explorer.mark_precise(source)
    frame.slots[number] = slots.written(before, start, size, byte)


def store_bytes(explorer: Explorer, frame: Frame, start: int, end: int) -> None:
    """Bytes from ``start`` to ``end`` were overwritten with anything."""
    filled = 0
    for offset in range(start, end):
        number, byte = place(offset)
        frame.slots[number] = slots.written(frame.slots[number], byte, 1, MISC)
        filled |= 1 << number
    if explorer.observer is not None:
        explorer.observer.filled(explorer, filled)


def _store_anywhere(explorer: Explorer, frame: Frame, start: int, end: int, value: Register, source: int) -> None:
    """A store somewhere between ``start`` and ``end``: each byte may be written or may keep what it was."""
    zero = value.is_zero
    used = False
    for offset in range(start, end):
        number, byte = place(offset)
        old = frame.slots[number]
        if zero and old.bytes[byte] == SPILL and old.register.is_zero:
            used = True
            continue
        keeps_zero = zero and old.bytes[byte] == ZERO
        used = used or keeps_zero
        frame.slots[number] = slots.written(old, byte, 1, ZERO if keeps_zero else MISC)
    if used and source >= 0:
        explorer.mark_precise(source)
