"""Programs changed at random in an instruction or a few: near what people write, wrong in ways nobody thinks of."""

from __future__ import annotations

import dataclasses
import random

from skep.isa.instruction import Instruction
from skep.isa.opcodes import LDDW
from skep.objects import ProgramSpec

_CALL = 0x85
_MOVE = 0xB7
_REGISTERS = 11


def mutated(spec: ProgramSpec, seed: int) -> ProgramSpec:
    """``spec`` with one to three instructions changed; the same for the same seed."""
    choice = random.Random(seed)
    code = list(spec.instructions)
    for _ in range(choice.choice((1, 1, 1, 2, 3))):
        slot = choice.randrange(len(code))
        if code[slot].opcode == LDDW or (slot and code[slot - 1].opcode == LDDW) or slot in spec.references:
            # What it names is resolved when it is loaded.
            continue
        code[slot] = _changed(choice, code, code[slot])
    return dataclasses.replace(spec, instructions=tuple(code))


def _changed(choice: random.Random, code: list[Instruction], old: Instruction) -> Instruction:
    numbers = (0, 1, -1, 8, old.imm + 1, old.imm - 1, choice.randrange(-20, 20))
    offsets = (0, old.offset + 1, old.offset - 1, old.offset + 8, old.offset - 8)
    match choice.randrange(6):
        case 0:
            return dataclasses.replace(old, dst=choice.randrange(_REGISTERS))
        case 1 if old.opcode != _CALL:
            return dataclasses.replace(old, src=choice.randrange(_REGISTERS))
        case 2 if not (old.opcode == _CALL and old.src):
            return dataclasses.replace(old, imm=choice.choice(numbers))
        case 3 if old.opcode != _CALL:
            return dataclasses.replace(old, offset=choice.choice(offsets))
        case 4:
            other = choice.choice(code)
            return old if other.opcode in (0, LDDW, _CALL) or old.opcode == _CALL else other
        case _:
            return Instruction(_MOVE, choice.randrange(10), 0, 0, choice.randrange(-2, 9))
