"""Which registers surely hold the address of the context or of the stack, found without following values.

A register holds it if it does on every way there. What is kept in memory meanwhile is not seen, so that an access may
be missed but none is made up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from skep.isa import Instruction, Instructions, opcodes, registers_written
from skep.isa.opcodes import CLASS_MASK, MODE_MASK, OPERATION_MASK, SIZE_MASK

_SIZES = {opcodes.W: 4, opcodes.H: 2, opcodes.B: 1, opcodes.DW: 8}
_ARGUMENTS = 0b111110
#: r0 to r5, whose values a call takes.
_LOST = 0b111111
_FRAME = 1 << opcodes.FRAME_POINTER
_MOVE = opcodes.ALU64 | opcodes.MOV | opcodes.X
_ADD_NUMBER = opcodes.ALU64 | opcodes.ADD | opcodes.K
_ADDED = (opcodes.ALU64 | opcodes.ADD | opcodes.X, opcodes.ALU64 | opcodes.SUB | opcodes.X)


@dataclass(frozen=True, slots=True)
class ContextAccess:
    """``size`` bytes at ``offset`` of the context are read or written by the instruction at ``slot``."""

    slot: int
    offset: int
    size: int


def context_accesses(program: Instructions) -> list[ContextAccess]:
    """The accesses that are sure, by slot; r1 holds the context at slot 0."""
    held = _held(program, 0b10)
    found = []
    for slot, instruction in enumerate(program):
        mask = held[slot]
        kind = instruction.opcode & CLASS_MASK
        if mask is None or instruction.opcode & MODE_MASK != opcodes.MEM:
            continue
        if kind == opcodes.LDX:
            base = instruction.src
        elif kind in (opcodes.ST, opcodes.STX):
            base = instruction.dst
        else:
            continue
        if mask >> base & 1:
            found.append(ContextAccess(slot, instruction.offset, _SIZES[instruction.opcode & SIZE_MASK]))
    return found


def varies_stack_pointers(program: Instructions) -> bool:
    """Whether a number in a register is surely added to the address of something on the stack."""
    held = _held(program, _FRAME, moved=True)
    return any(
        mask is not None and one.opcode in _ADDED and mask >> one.dst & 1 and not mask >> one.src & 1
        for mask, one in zip(held, program, strict=True)
    )


def _held(program: Instructions, first: int, *, moved: bool = False) -> list[int | None]:
    """For each slot a mask of the registers that hold the address before it; None where nothing leads.

    ``first`` is the mask at slot 0; ``moved`` says whether an address with a number added counts as well.
    """
    held: list[int | None] = [None] * len(program)
    held[0] = first
    waiting = [0]
    while waiting:
        slot = waiting.pop()
        mask = held[slot]
        assert mask is not None
        for target, after in _onwards(slot, program[slot], mask, moved):
            if not 0 <= target < len(program):
                continue
            known = held[target]
            merged = after if known is None else known & after
            if merged != known:
                held[target] = merged
                waiting.append(target)
    return held


def _onwards(slot: int, instruction: Instruction, mask: int, moved: bool) -> Iterator[tuple[int, int]]:
    """Where it goes on, and what is held there."""
    kind, operation = instruction.opcode & CLASS_MASK, instruction.opcode & OPERATION_MASK
    if kind in (opcodes.JMP, opcodes.JMP32):
        if operation == opcodes.EXIT:
            return
        if operation == opcodes.CALL:
            if instruction.src == opcodes.CALL_SUBPROGRAM:
                yield slot + 1 + instruction.imm, mask & (_ARGUMENTS | _FRAME)
            yield slot + 1, mask & ~_LOST
            return
        if operation == opcodes.JA:
            yield slot + 1 + (instruction.imm if kind == opcodes.JMP32 else instruction.offset), mask
            return
        yield slot + 1, mask
        yield slot + 1 + instruction.offset, mask
        return
    if instruction.is_wide:
        if instruction.src == opcodes.PSEUDO_FUNC:
            yield slot + 1 + instruction.imm, mask & _FRAME
        yield slot + 2, mask & ~(1 << instruction.dst)
        return
    if instruction.opcode == _MOVE and not instruction.offset:
        copied = mask >> instruction.src & 1
        yield slot + 1, mask & ~(1 << instruction.dst) | copied << instruction.dst
        return
    written = 0
    if not (moved and instruction.opcode in (*_ADDED, _ADD_NUMBER)):
        for register in registers_written(instruction):
            written |= 1 << register
    yield slot + 1, mask & ~written
