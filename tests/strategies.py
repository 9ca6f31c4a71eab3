"""Hypothesis strategies that engines share: random programs that are valid by construction, and soup that is not.

A :class:`RandomProgram` has type ``raw``: r1 is the address of ``memory``, r2 its length. It always ends, never
touches what is not its own, reads nothing that it did not write, and its result and memory depend on nothing but
its input: no address ever reaches a number. r9 keeps the memory's address in every function, r10 - 512 to r10 - 441
the counters of loops; all else is data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from skep.isa import BY_NAME, TABLE, Instruction, Instructions, Row, opcodes
from skep.isa.meaning import Alu, Atomic, Branch, Load, LoadAcquire, MayGoto, Store, StoreRelease, Swap

#: Bytes of memory that a random program gets.
MEMORY_SIZE = 64
#: Bytes at the top of each stack frame that it loads from and stores to.
STACK_SIZE = 64
#: Registers that hold numbers, in the program and in its subprograms.
DATA = (0, 1, 2, 3, 4, 5, 6, 7, 8)

_MEMORY, _FRAME, _COUNTER = 9, 10, 7

#: Numbers at which arithmetic of some width turns.
_EDGES = (0, 1, 2, 7, 8, 31, 32, 33, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF)
#: The same, as immediates: 32 bits signed.
immediates = st.one_of(
    st.sampled_from((*_EDGES, -1, -2, -0x80, -0x8000, 0x7FFF_FFFF, -0x8000_0000)),
    st.integers(-0x8000_0000, 0x7FFF_FFFF),
)
#: The same, as 64-bit numbers.
numbers = st.one_of(
    st.sampled_from((*_EDGES, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)),
    st.integers(0, (1 << 64) - 1),
)

data_registers = st.sampled_from(DATA)


@dataclass(frozen=True, slots=True)
class RandomProgram:
    """A program with its input."""

    instructions: Instructions
    memory: bytes


# The parts of a program, as a tree: loops take the place of their counter from their depth.


@dataclass(frozen=True, slots=True)
class Straight:
    """Instructions without jumps."""

    instructions: Instructions


@dataclass(frozen=True, slots=True)
class Skip:
    """A conditional (or, for ``may_goto``, hardly ever taken) jump over ``body``."""

    jump: Instruction
    body: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """``body`` so many times, counted on the stack."""

    times: int
    body: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class CallFunction:
    """A call of subprogram ``number`` (modulo how many there are) with the memory and four numbers as arguments."""

    number: int


Part = Straight | Skip | Loop | CallFunction


def _rows(*kinds: type) -> st.SearchStrategy[Row]:
    return st.sampled_from([row for row in TABLE if isinstance(row.meaning, kinds)])


@st.composite
def _arithmetic(draw: st.DrawFn) -> Straight:
    row = draw(_rows(Alu, Swap))
    instruction = Instruction(
        row.opcode,
        dst=draw(data_registers),
        src=draw(data_registers) if row.src is None else row.src,
        offset=row.offset or 0,
        imm=draw(immediates) if row.imm is None else row.imm,
    )
    return Straight((instruction,))


@st.composite
def _access(draw: st.DrawFn) -> Straight:
    row = draw(_rows(Load, Store, LoadAcquire, StoreRelease, Atomic))
    meaning = row.meaning
    assert isinstance(meaning, Load | Store | LoadAcquire | StoreRelease | Atomic)
    size = meaning.size
    step = 1 if isinstance(meaning, Load | Store) else size
    base = draw(st.sampled_from((_MEMORY, _FRAME)))
    place = draw(st.integers(0, (MEMORY_SIZE - size) // step)) * step
    is_load = isinstance(meaning, Load | LoadAcquire)
    instruction = Instruction(
        row.opcode,
        dst=draw(data_registers) if is_load else base,
        src=base if is_load else draw(data_registers) if row.src is None else row.src,
        offset=place if base == _MEMORY else place - STACK_SIZE,
        imm=draw(immediates) if row.imm is None else row.imm,
    )
    return Straight((instruction,))


@st.composite
def _wide(draw: st.DrawFn) -> Straight:
    return Straight(wide_load(draw(data_registers), draw(numbers)))


@st.composite
def _jump(draw: st.DrawFn) -> Instruction:
    row = draw(_rows(Branch, MayGoto))
    return Instruction(
        row.opcode,
        dst=draw(data_registers) if row.dst is None else row.dst,
        src=draw(data_registers) if row.src is None else row.src,
        imm=draw(immediates) if row.imm is None else row.imm,
    )


_simple: st.SearchStrategy[Part] = st.one_of(_arithmetic(), _access(), _arithmetic(), _wide())


def _nested(inner: st.SearchStrategy[Part]) -> st.SearchStrategy[Part]:
    bodies = st.lists(inner, min_size=1, max_size=5).map(tuple)
    return st.one_of(st.builds(Skip, _jump(), bodies), st.builds(Loop, st.integers(1, 4), bodies))


_blocks = st.one_of(_simple, _simple, _nested(_simple), _nested(st.one_of(_simple, _nested(_simple))))
_parts = st.one_of(_blocks, _blocks, st.builds(CallFunction, st.integers(0, 2)))


@st.composite
def programs(draw: st.DrawFn) -> RandomProgram:
    """A program of arithmetic, memory accesses, jumps, loops and calls, with up to three subprograms."""
    body = draw(st.lists(_parts, min_size=1, max_size=14))
    functions = draw(st.lists(st.lists(_blocks, min_size=1, max_size=6), max_size=3))
    seeds = draw(st.lists(numbers, min_size=len(DATA), max_size=len(DATA)))
    memory = draw(st.binary(min_size=MEMORY_SIZE, max_size=MEMORY_SIZE))
    return RandomProgram(link(body, functions, seeds), memory)


def link(body: Sequence[Part], functions: Sequence[Sequence[Part]], seeds: Sequence[int]) -> Instructions:
    """One program of a body and subprograms, with every register and the stack that it uses written first."""
    code = [_move(_MEMORY, 1)]
    for register, seed in zip(DATA, seeds, strict=True):
        code += wide_load(register, seed)
    code += _fill_stack()
    code += _render(body, 0, len(functions))
    code.append(_EXIT)
    starts = []
    for function in functions:
        starts.append(len(code))
        code += [_move(_MEMORY, 1), _move(1, 2), _move(0, 3), _move(6, 4), _move(7, 5), _move(8, 2)]
        code += _fill_stack()
        code += _render(function, 0, 0)
        code.append(_EXIT)
    for slot, instruction in enumerate(code):
        if instruction.opcode == _CALL and instruction.src == opcodes.CALL_SUBPROGRAM:
            code[slot] = Instruction(_CALL, src=instruction.src, imm=starts[instruction.imm] - slot - 1)
    return tuple(code)


def wide_load(register: int, number: int) -> Instructions:
    """The two slots of a 64-bit immediate load."""
    low, high = number & 0xFFFF_FFFF, number >> 32
    return (
        Instruction(opcodes.LDDW, dst=register, imm=low - (low >> 31 << 32)),
        Instruction(0, imm=high - (high >> 31 << 32)),
    )


def _move(dst: int, src: int) -> Instruction:
    return Instruction(BY_NAME["mov64_reg"].opcode, dst=dst, src=src)


_CALL = opcodes.JMP | opcodes.CALL
_EXIT = Instruction(opcodes.JMP | opcodes.EXIT)


def _fill_stack() -> list[Instruction]:
    store = BY_NAME["stx_u64"].opcode
    return [
        Instruction(store, dst=_FRAME, src=DATA[at // 8], offset=at - STACK_SIZE) for at in range(0, STACK_SIZE, 8)
    ]


def _render(parts: Sequence[Part], depth: int, functions: int) -> list[Instruction]:
    code: list[Instruction] = []
    for part in parts:
        match part:
            case Straight(instructions):
                code += instructions
            case Skip(jump, body):
                inner = _render(body, depth, functions)
                code.append(Instruction(jump.opcode, jump.dst, jump.src, len(inner), jump.imm))
                code += inner
            case Loop(times, body):
                code += _loop(times, _render(body, depth + 1, functions), depth)
            case CallFunction(number) if functions:
                code.append(_move(1, _MEMORY))
                code.append(Instruction(_CALL, src=opcodes.CALL_SUBPROGRAM, imm=number % functions))
                code += [_move(register, 6 + register % 3) for register in range(1, 6)]
            case CallFunction():
                pass
    return code


def _loop(times: int, body: list[Instruction], depth: int) -> list[Instruction]:
    place = -512 + 8 * depth
    turn = [
        *body,
        Instruction(BY_NAME["ldx_u64"].opcode, dst=_COUNTER, src=_FRAME, offset=place),
        Instruction(BY_NAME["sub64_imm"].opcode, dst=_COUNTER, imm=1),
        Instruction(BY_NAME["stx_u64"].opcode, dst=_FRAME, src=_COUNTER, offset=place),
    ]
    return [
        Instruction(BY_NAME["st_u64"].opcode, dst=_FRAME, offset=place, imm=times),
        *turn,
        Instruction(BY_NAME["jne64_imm"].opcode, dst=_COUNTER, offset=-len(turn) - 1),
    ]


# Soup: whatever eight bytes mean, in any order.

_opcodes = st.one_of(st.sampled_from([row.opcode for row in TABLE]), st.integers(0, 0xFF))

#: An instruction that is likely to be one, but for what it does.
soup_slots = st.builds(
    Instruction,
    opcode=_opcodes,
    dst=st.integers(0, 11),
    src=st.integers(0, 11),
    offset=st.one_of(st.just(0), st.integers(-8, 8), st.integers(-0x8000, 0x7FFF)),
    imm=st.one_of(st.just(0), st.integers(-8, 8), immediates),
)

#: Numbers or the memory's address in every register, so that the soup behind does not end at once.
_SPOON = tuple(
    _move(register, 1) if register in (6, 9) else Instruction(BY_NAME["mov64_imm"].opcode, dst=register, imm=register)
    for register in (0, 3, 4, 5, 6, 7, 8, 9)
)

#: Anything at all, between a beginning that writes every register and an exit.
soups = st.lists(soup_slots, min_size=1, max_size=24).map(lambda slots: (*_SPOON, *slots, _EXIT))
