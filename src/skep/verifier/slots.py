"""What is known of eight bytes of the stack: byte by byte, and of the register that was spilled there, if one was.

A slot is immutable and interned like registers are. Byte 0 of ``bytes`` is the one at the lowest address.
"""

from __future__ import annotations

from typing import Final

from skep.verifier.register import ANY_NUMBER, NOTHING, Kind, Register

#: What one byte of the stack may be; the letters are those of the kernel's log.
INVALID: Final = "?"
SPILL: Final = "r"
MISC: Final = "m"
ZERO: Final = "0"

SLOT_SIZE: Final = 8
STACK_SIZE: Final = 512

_POOL_SIZE = 1 << 15


class Slot:
    """Eight bytes: ``bytes`` a letter for each, lowest address first; ``register`` what is spilled in those at ``r``.

    A register is always spilled at the lowest address of a slot: one of fewer than eight bytes is a number.
    """

    __slots__ = ("bytes", "is_spill", "register", "whole_number")

    def __init__(self, bytes: str, register: Register) -> None:
        self.bytes = bytes
        self.register = register
        self.is_spill = bytes[0] == SPILL
        #: The slot read as one 64-bit number, if that is what a load of it gives.
        self.whole_number: Register | None = None
        if bytes == SPILL * 8:
            if register.kind is Kind.SCALAR:
                self.whole_number = register
        elif not bytes.strip(MISC + INVALID):
            self.whole_number = ANY_NUMBER

    @property
    def spilled_bytes(self) -> int:
        """How many bytes of a register lie here."""
        return self.bytes.count(SPILL)

    def __repr__(self) -> str:
        return f"<{self.bytes} {self.register!r}>" if self.is_spill else f"<{self.bytes}>"


_pool: dict[tuple[str, Register], Slot] = {}


def slot(bytes: str, register: Register = NOTHING) -> Slot:
    """The interned slot with these facts; a register counts only where the slot starts with a spilled byte."""
    key = (bytes, register if bytes[0] == SPILL else NOTHING)
    found = _pool.get(key)
    if found is None:
        if len(_pool) >= _POOL_SIZE:
            _pool.clear()
        found = _pool[key] = Slot(*key)
    return found


UNUSED = slot(INVALID * 8)
DATA = slot(MISC * 8)


def spilled(register: Register, size: int, before: Slot) -> Slot:
    """The slot after ``size`` bytes of a register were written to its start.

    Bytes above keep what they were if that was nothing or zeros, and are plain data otherwise.
    """
    if size == SLOT_SIZE:
        return slot(SPILL * 8, register)
    rest = "".join(byte if byte in (ZERO, INVALID) else MISC for byte in before.bytes[size:])
    return slot(SPILL * size + rest, register)


def scrubbed(before: Slot) -> Slot:
    """The slot once what was spilled there no longer counts as a register."""
    if SPILL not in before.bytes:
        return before
    return slot(before.bytes.replace(SPILL, MISC))


def written(before: Slot, start: int, size: int, byte: str) -> Slot:
    """The slot after plain bytes (``byte`` each) were written at ``start`` within it."""
    rest = scrubbed(before).bytes if before.is_spill else before.bytes
    return slot(rest[:start] + byte * size + rest[start + size :])
