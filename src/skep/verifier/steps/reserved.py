"""Fields that an instruction does not use must be zero; which message says so when one is not.

Linux looks at them when a path gets to the instruction, so that what is never reached may hold anything.
"""

from __future__ import annotations

from skep.isa.instruction import Instruction
from skep.isa.opcodes import REGISTERS
from skep.isa.row import Row

_ATOMIC_MODE = 0xC0
_MAY_GOTO = 0xE5
#: Sizes of one and two bytes, in which atomic read-modify-writes are not.
_SMALL = frozenset({0x08, 0x10})
_ATOMIC_OPERATIONS = frozenset({0x00, 0x01, 0x40, 0x41, 0x50, 0x51, 0xA0, 0xA1, 0xE1, 0xF1})
#: Of an exit Linux does not look at the offset.
_FREE_OFFSET = frozenset({0x95})


def violation(instruction: Instruction, row: Row | None) -> str | None:
    """The message for the first reserved field of an instruction that is set, or None."""
    if instruction.opcode == _MAY_GOTO and (row is None or instruction.imm or instruction.dst):
        return f"invalid may_goto imm {instruction.imm}"
    if row is None:
        if instruction.opcode & 0x07 == 0x03 and instruction.opcode & 0xE0 == _ATOMIC_MODE:
            if instruction.opcode & 0x18 in _SMALL and instruction.imm & 0xFFFFFFFF in _ATOMIC_OPERATIONS:
                return "invalid atomic operand size"
            return f"BPF_ATOMIC uses invalid atomic opcode {instruction.imm & 0xFFFFFFFF:02x}"
        return f"{_family(instruction)} uses reserved fields"
    if (
        (row.dst is not None and instruction.dst != row.dst)
        or (row.src is not None and instruction.src != row.src)
        or (row.offset is not None and instruction.offset != row.offset and instruction.opcode not in _FREE_OFFSET)
        or (row.imm is not None and instruction.imm != row.imm)
    ):
        return f"{_family(instruction)} uses reserved fields"
    return None


def bad_register(instruction: Instruction, row: Row) -> int | None:
    """The register number of an instruction that no register has, the source first."""
    if row.src is None and instruction.src >= REGISTERS:
        return instruction.src
    if row.dst is None and instruction.dst >= REGISTERS:
        return instruction.dst
    return None


def _family(instruction: Instruction) -> str:
    opcode = instruction.opcode
    group, operation = opcode & 0x07, opcode & 0xF0
    if group in (0x04, 0x07):
        return {0xD0: "BPF_END", 0x80: "BPF_NEG", 0xB0: "BPF_MOV"}.get(operation, "BPF_ALU")
    if group in (0x05, 0x06):
        return {0x00: "BPF_JA", 0x80: "BPF_CALL", 0x90: "BPF_EXIT"}.get(operation, "BPF_JMP/JMP32")
    if group == 0x00:
        return "BPF_LD_IMM64" if opcode == 0x18 else "BPF_LD_[ABS|IND]"
    return {0x01: "BPF_LDX", 0x02: "BPF_ST", 0x03: "BPF_STX"}[group]
