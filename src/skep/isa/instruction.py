"""One 8-byte slot of a BPF program as a value.

A program is a ``tuple[Instruction, ...]`` with one element a slot, so that an index is what jump offsets,
line information and the kernel's log count in. The two 64-bit immediate slots of ``lddw`` are two elements:
the second has opcode 0 and carries the upper half in ``imm``. Source: RFC 9669, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instruction:
    """One slot: ``opcode`` 8 bits, ``dst`` and ``src`` 4 bits, ``offset`` 16 bits signed, ``imm`` 32 bits signed."""

    opcode: int
    dst: int = 0
    src: int = 0
    offset: int = 0
    imm: int = 0

    @property
    def is_wide(self) -> bool:
        """Whether this is the first slot of a 64-bit immediate load (opcode 0x18), which spans two slots."""
        return self.opcode == 0x18


#: A program: one element a slot, a 64-bit immediate being two.
Instructions = tuple[Instruction, ...]


def wide_immediate(low: Instruction, high: Instruction) -> int:
    """The 64-bit immediate of a wide load, unsigned: ``low.imm`` is its lower half, ``high.imm`` its upper."""
    return (low.imm & 0xFFFFFFFF) | (high.imm & 0xFFFFFFFF) << 32
