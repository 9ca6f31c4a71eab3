"""What is known of eight bytes of the stack: byte by byte, and of the register that was spilled there, if one was, or
of the object (``stack_objects``) of which they are a part.

A slot is immutable and interned like registers are. Byte 0 of ``bytes`` is the one at the lowest address.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from skep.verifier.states.register import ANY_NUMBER, NOTHING, Kind, Register
from skep.verifier.states.stack_objects import Dynptr, IrqFlag, Iterator, StackObject

#: What one byte of the stack may be; the letters are those of the kernel's log.
INVALID: Final = "?"
SPILL: Final = "r"
MISC: Final = "m"
ZERO: Final = "0"
DYNPTR: Final = "d"
ITERATOR: Final = "i"
IRQ_FLAG: Final = "f"

SLOT_SIZE: Final = 8
STACK_SIZE: Final = 512

_POOL_SIZE: Final = 1 << 15


class Slot:
    """Eight bytes: ``bytes`` a letter for each, lowest address first; ``register`` what is spilled in those at ``r``.

    A register is always spilled at the lowest address of a slot: one of fewer than eight bytes is a number.
    ``object`` is the object that the slot is a part of, if it is.
    """

    __slots__ = ("bytes", "is_anything", "is_spill", "object", "register", "spilled_bytes", "whole_number")

    def __init__(self, bytes: str, register: Register, object: StackObject | None = None) -> None:
        self.bytes = bytes
        self.register = register
        self.object = object
        self.is_spill = bytes[0] == SPILL
        #: How many bytes of a register lie here.
        self.spilled_bytes = bytes.count(SPILL)
        #: Whether every byte may be anything.
        self.is_anything = not bytes.strip(MISC + INVALID)
        #: The slot read as one 64-bit number, if that is what a load of it gives.
        self.whole_number: Register | None = None
        if bytes == SPILL * 8:
            if register.kind is Kind.SCALAR:
                self.whole_number = register
        elif self.is_anything:
            self.whole_number = ANY_NUMBER

    def __repr__(self) -> str:
        if self.object is not None:
            return f"<{self.bytes} {self.object!r}>"
        return f"<{self.bytes} {self.register!r}>" if self.is_spill else f"<{self.bytes}>"


_pool: Final[dict[tuple[str, Register], Slot]] = {}


def slot(bytes: str, register: Register = NOTHING) -> Slot:
    """The interned slot with these facts; a register counts only where the slot starts with a spilled byte."""
    key = (bytes, register if bytes[0] == SPILL else NOTHING)
    found = _pool.get(key)
    if found is None:
        if len(_pool) >= _POOL_SIZE:
            _pool.clear()
        found = _pool[key] = Slot(*key)
    return found


_letters: Final[dict[type[StackObject], str]] = {Dynptr: DYNPTR, Iterator: ITERATOR, IrqFlag: IRQ_FLAG}
_objects: Final[dict[StackObject, Slot]] = {}


def part(of: StackObject) -> Slot:
    """The interned slot that is a part of an object."""
    found = _objects.get(of)
    if found is None:
        if len(_objects) >= _POOL_SIZE:
            _objects.clear()
        found = _objects[of] = Slot(_letters[type(of)] * SLOT_SIZE, NOTHING, of)
    return found


UNUSED: Final = slot(INVALID * 8)
DATA: Final = slot(MISC * 8)


def spilled(register: Register, size: int, before: Slot) -> Slot:
    """The slot after ``size`` bytes of a register were written to its start.

    Bytes above keep what they were if that was nothing or zeros, and are plain data otherwise.
    """
    if size == SLOT_SIZE:
        return slot(SPILL * 8, register)
    return slot(_with_spill(before.bytes, size), register)


@lru_cache(maxsize=1 << 12)
def _with_spill(before: str, size: int) -> str:
    rest = "".join([byte if byte in (ZERO, INVALID) else MISC for byte in before[size:]])
    return SPILL * size + rest


def scrubbed(before: Slot) -> Slot:
    """The slot once what was spilled there no longer counts as a register, or as an object.

    Linux forgets the zeros beside it too.
    """
    if before.object is not None:
        return DATA
    if SPILL not in before.bytes:
        return before
    return slot(before.bytes.replace(SPILL, MISC).replace(ZERO, MISC))


def written(before: Slot, start: int, size: int, byte: str) -> Slot:
    """The slot after plain bytes (``byte`` each) were written at ``start`` within it."""
    rest = scrubbed(before).bytes if before.is_spill or before.object is not None else before.bytes
    return slot(rest[:start] + byte * size + rest[start + size :])
