"""The first jump back that a kernel without loops finds: it looks through the program in this order before all else.

The order is that of the message that people search for: straight on first, the jump afterwards, a function when the
call is met again. Source: the message ``back-edge from insn N to M``, which Linux still gives to loaders without
rights.
"""

from __future__ import annotations

from skep.isa import Instruction, Instructions, opcodes
from skep.isa.opcodes import CLASS_MASK, OPERATION_MASK


def first_back_edge(program: Instructions) -> tuple[int, int] | None:
    """The slots of a jump and of its target, which lies on the way to the jump; None where there is none."""
    entered, left = [False] * len(program), [False] * len(program)
    path = [(0, iter(_targets(0, program[0])))]
    entered[0] = True
    while path:
        slot, targets = path[-1]
        target = next(targets, None)
        if target is None:
            left[slot] = True
            path.pop()
        elif not 0 <= target < len(program):
            continue
        elif not entered[target]:
            entered[target] = True
            path.append((target, iter(_targets(target, program[target]))))
        elif not left[target]:
            return slot, target
    return None


def _targets(slot: int, instruction: Instruction) -> tuple[int, ...]:
    kind, operation = instruction.opcode & CLASS_MASK, instruction.opcode & OPERATION_MASK
    if instruction.is_wide:
        callback = instruction.src == opcodes.PSEUDO_FUNC
        return (slot + 2, slot + 1 + instruction.imm) if callback else (slot + 2,)
    if kind not in (opcodes.JMP, opcodes.JMP32):
        return (slot + 1,)
    if operation == opcodes.EXIT:
        return ()
    if operation == opcodes.CALL:
        called = instruction.src == opcodes.CALL_SUBPROGRAM
        return (slot + 1, slot + 1 + instruction.imm) if called else (slot + 1,)
    if operation == opcodes.JA:
        return (slot + 1 + (instruction.imm if kind == opcodes.JMP32 else instruction.offset),)
    return slot + 1, slot + 1 + instruction.offset
