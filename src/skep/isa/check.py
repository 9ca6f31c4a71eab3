"""Which slots are instructions: known opcodes, reserved fields clear, registers that exist, wide loads whole.

Source: RFC 9669, section 3 (unused fields shall be cleared to zero) and the field uses of its sections 4 and 5.
The verifier gives the kernel's own messages; this is for tools that read or write bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from skep.errors import EncodingError
from skep.isa import opcodes
from skep.isa.instruction import Instruction, Instructions
from skep.isa.row import Row
from skep.isa.table import row_of, rows_of_opcode

_FIELD_NAMES: Final = {
    "dst": "destination register",
    "src": "source register",
    "offset": "offset",
    "imm": "immediate",
}


def problem(instruction: Instruction, following: Instruction | None = None) -> str | None:
    """What is wrong with one slot, as a clause, or None. ``following`` is the next slot, needed by wide loads."""
    row = row_of(instruction)
    if row is None:
        return _unknown(instruction)
    for field in ("dst", "src", "offset", "imm"):
        value: int = getattr(instruction, field)
        fixed: int | None = getattr(row, field)
        if fixed is not None and value != fixed:
            return f"{row.name} reserves its {_FIELD_NAMES[field]}, which is {value}; it must be {fixed}"
        if fixed is None and field in ("dst", "src") and value >= opcodes.REGISTERS:
            return f"there is no register r{value}; the last is r10"
    return _second_slot_problem(row, following) if row.is_wide else None


def _unknown(instruction: Instruction) -> str:
    entry = rows_of_opcode(instruction.opcode)
    if entry is None:
        if instruction.opcode == 0:
            return "opcode 0x00 is only the second half of a 64-bit immediate load, and none comes before it"
        return f"no instruction has opcode {instruction.opcode:#04x}"
    selector, rows = entry
    value: int = getattr(instruction, selector)
    known = ", ".join(f"{number:#x}" if selector == "imm" else str(number) for number in sorted(rows))
    shown = f"{value:#x}" if selector == "imm" else str(value)
    return f"opcode {instruction.opcode:#04x} has no form with {_FIELD_NAMES[selector]} {shown}; there are {known}"


def _second_slot_problem(row: Row, high: Instruction | None) -> str | None:
    if high is None:
        return f"{row.name} takes two slots, but the program ends after the first"
    if high.opcode or high.dst or high.src or high.offset:
        return f"the second slot of {row.name} must be zero but for its immediate"
    if row.high is not None and high.imm != row.high:
        return f"{row.name} reserves the immediate of its second slot, which is {high.imm}; it must be {row.high}"
    return None


def problems(instructions: Instructions) -> Iterator[EncodingError]:
    """Everything that :func:`check` would refuse, in order; each error carries the index of its slot."""
    slot = 0
    while slot < len(instructions):
        instruction = instructions[slot]
        following = instructions[slot + 1] if slot + 1 < len(instructions) else None
        if (clause := problem(instruction, following)) is not None:
            yield EncodingError(clause, instruction=slot)
        slot += 2 if instruction.is_wide and following is not None and following.opcode == 0 else 1


def check(instructions: Instructions) -> None:
    """Raise :class:`EncodingError` for the first slot that is no instruction or sets a reserved field."""
    for error in problems(instructions):
        raise error
