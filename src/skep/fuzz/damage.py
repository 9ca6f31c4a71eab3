"""Generated programs with something wrong in them: most that a verifier has to say is about such programs.

A program that is accepted by construction tells little of a verifier. So one or two instructions are dropped, changed
or exchanged; what comes of that is mostly refused, for many reasons, and is never run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from skep.diff.reduce import without
from skep.fuzz.generate import program
from skep.isa import Instruction, row_of
from skep.objects import ProgramSpec

#: Immediates and offsets that lie at the edges of what is allowed.
_NUMBERS = (0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 255, 256, 4095, 65535, -1, -8, -512, 1 << 30, -(1 << 31))
_OFFSETS = (0, 1, 2, 4, 7, 8, 15, 16, -1, -4, -8, -16, -24, -504, -512, -520, 64)
#: Bits of an opcode that change the operation, the width, or the source, and leave the class.
_OPCODE_BITS = (0x08, 0x10, 0x20, 0x40, 0x80)

_Change = Callable[[Instruction, Random], Instruction]


def _register(one: Instruction, random: Random) -> Instruction:
    return replace(one, dst=random.randrange(11)) if random.random() < 0.5 else replace(one, src=random.randrange(11))


def _immediate(one: Instruction, random: Random) -> Instruction:
    return replace(one, imm=random.choice(_NUMBERS))


def _offset(one: Instruction, random: Random) -> Instruction:
    return replace(one, offset=random.choice(_OFFSETS))


def _opcode(one: Instruction, random: Random) -> Instruction:
    return replace(one, opcode=one.opcode ^ random.choice(_OPCODE_BITS))


_CHANGES: tuple[_Change, ...] = (_register, _register, _immediate, _offset, _opcode)


def damaged(seed: int) -> ProgramSpec:
    """The program of that number, damaged; the same number gives the same damage."""
    spec = program(seed)
    random = Random(f"damage of {seed}")
    for _ in range(random.choice((1, 1, 2))):
        spec = _damaged(spec, random)
    return spec


def _damaged(spec: ProgramSpec, random: Random) -> ProgramSpec:
    for _ in range(20):
        slot = random.randrange(len(spec.instructions))
        one = spec.instructions[slot]
        # The second half of a wide load goes with the first, and references belong to both.
        if one.is_wide or (slot and spec.instructions[slot - 1].is_wide):
            continue
        if random.random() < 0.3:
            shorter = without(spec, {slot})
            if shorter is not None:
                return shorter
            continue
        changed = random.choice(_CHANGES)(one, random)
        if changed == one or row_of(changed) is None or changed.is_wide:
            continue
        code = (*spec.instructions[:slot], changed, *spec.instructions[slot + 1 :])
        if slot not in spec.references:
            return replace(spec, instructions=code)
    return spec
