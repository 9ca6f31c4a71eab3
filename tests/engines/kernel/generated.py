"""Random programs that a kernel accepts, made fast: every kind of arithmetic, jump and memory access, no loops.

They are of type ``raw``: r1 is the address of `MEMORY_SIZE` bytes, whose first words become the starting values of
registers r0 to r8 and which take their final values. Jumps go forward only. Stack and memory are written before they
are read; shifts and divisions by a constant stay within what a kernel's verifier takes.
"""

from __future__ import annotations

from random import Random

from skep.isa import TABLE, Instruction, Instructions, Row
from skep.isa.meaning import Alu, Atomic, Branch, Load, LoadAcquire, Store, StoreRelease, Swap

#: Registers that hold numbers; r9 keeps the address of the memory.
DATA = range(9)
_BASE, _FRAME = 9, 10

#: The words for the registers, and room to load from and store to.
_PLAYGROUND = 8 * len(DATA)
_ROOM = 64
MEMORY_SIZE = _PLAYGROUND + _ROOM

_EDGES = (0, 1, 2, 7, 8, 31, 32, 33, 63, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, -1, -2, -0x80000000)

#: How long a jump is at most, in instructions.
_JUMP = 6

_ARITHMETIC = [row for row in TABLE if isinstance(row.meaning, Alu | Swap)]
_ACCESSES = [row for row in TABLE if isinstance(row.meaning, Load | Store | LoadAcquire | StoreRelease | Atomic)]
_BRANCHES = [row for row in TABLE if isinstance(row.meaning, Branch)]


def memory(random: Random) -> bytes:
    """Starting values, often at the edges of their widths."""
    words = [
        random.choice(_EDGES) & 0xFFFFFFFFFFFFFFFF if random.random() < 0.5 else random.getrandbits(64)
        for _ in range(MEMORY_SIZE // 8)
    ]
    return b"".join(word.to_bytes(8, "little") for word in words)


def program(random: Random, length: int) -> Instructions:
    """A program with ``length`` random instructions between the loading and the storing of registers."""
    code = [Instruction(0xBF, _BASE, 1)]
    code += [Instruction(0x7A, _FRAME, offset=-_ROOM + at, imm=_immediate(random)) for at in range(0, _ROOM, 8)]
    code += [Instruction(0x79, register, _BASE, 8 * register) for register in DATA]
    left = length
    while left > 0:
        kind = random.random()
        if kind < 0.6:
            code.append(_arithmetic(random))
        elif kind < 0.85:
            code.append(_access(random))
        elif kind < 0.97 and left > _JUMP + 2:
            body = [
                _arithmetic(random) if random.random() < 0.7 else _access(random)
                for _ in range(random.randint(1, _JUMP))
            ]
            code += [_branch(random, len(body)), *body]
            left -= len(body)
        else:
            code += [
                Instruction(0x18, random.choice(DATA), imm=_immediate(random)),
                Instruction(0, imm=_immediate(random)),
            ]
        left -= 1
    code += [Instruction(0x7B, _BASE, register, 8 * register) for register in DATA]
    return (*code, Instruction(0x95))


def _immediate(random: Random) -> int:
    return random.choice(_EDGES) if random.random() < 0.5 else random.getrandbits(32) - (1 << 31)


def _filled(row: Row, dst: int, src: int, offset: int, imm: int) -> Instruction:
    """An instruction of a row: what the row leaves open from the arguments."""
    return Instruction(
        row.opcode,
        dst if row.dst is None else row.dst,
        src if row.src is None else row.src,
        offset if row.offset is None else row.offset,
        imm if row.imm is None else row.imm,
    )


def _arithmetic(random: Random) -> Instruction:
    row = random.choice(_ARITHMETIC)
    imm = _immediate(random)
    if row.imm is None and isinstance(row.meaning, Alu):
        if row.opcode & 0xF0 in (0x60, 0x70, 0xC0):
            imm = random.randrange(32 if row.opcode & 7 == 4 else 64)
        elif row.opcode & 0xF0 in (0x30, 0x90):
            imm = imm or 1
    return _filled(row, random.choice(DATA), random.choice(DATA), 0, imm)


def _branch(random: Random, distance: int) -> Instruction:
    return _filled(random.choice(_BRANCHES), random.choice(DATA), random.choice(DATA), distance, _immediate(random))


def _access(random: Random) -> Instruction:
    row = random.choice(_ACCESSES)
    meaning = row.meaning
    assert isinstance(meaning, Load | Store | LoadAcquire | StoreRelease | Atomic)
    on_stack = random.random() < 0.5
    step = meaning.size if on_stack or not isinstance(meaning, Load | Store) else 1
    place = random.randrange(0, _ROOM - meaning.size + 1, step)
    base, offset = (_FRAME, place - _ROOM) if on_stack else (_BASE, place + _PLAYGROUND)
    number = random.choice(DATA)
    is_load = isinstance(meaning, Load | LoadAcquire)
    return _filled(row, number if is_load else base, base if is_load else number, offset, _immediate(random))
