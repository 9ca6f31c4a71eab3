"""Every row of the instruction table does on the interpreter what the table says it means, stepped and compiled."""

from __future__ import annotations

from itertools import product
from struct import pack, unpack

import pytest

from skep.engines.interpreter import code
from skep.isa import TABLE, Instruction, Row, meaning, opcodes
from tests.engines.interpreter.running import loaded
from tests.strategies import wide_load

EDGES = (0, 1, 2, 7, 31, 32, 33, 63, 64, 0x80, 0x8000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, 1 << 63)
NUMBERS = (*EDGES, (1 << 63) - 1, (1 << 64) - 1, 0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210)
IMMEDIATES = (0, 1, 2, 5, 31, 32, 63, 64, -1, -2, 0x7FFF_FFFF, -0x8000_0000)

LOAD = opcodes.LDX | opcodes.MEM | opcodes.DW
STORE = opcodes.STX | opcodes.MEM | opcodes.DW
EXIT = Instruction(opcodes.JMP | opcodes.EXIT)
MASK = (1 << 64) - 1


def rows(*kinds: type) -> list[pytest.param]:  # type: ignore[valid-type]
    return [pytest.param(row, id=row.name) for row in TABLE if isinstance(row.meaning, kinds)]


@pytest.fixture(params=["stepped", "compiled"])
def hot(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run step by step always, or compile at once."""
    monkeypatch.setattr(code, "HOT", 0 if request.param == "compiled" else 1 << 60)


def operand_of(instruction: Instruction, row: Row, right: int) -> int:
    return right if row.operand == "src" else meaning.immediate_operand(instruction.imm)


def variants(row: Row, dst: int, src: int) -> list[Instruction]:
    """The instruction with each immediate that matters."""
    immediates = IMMEDIATES if row.imm is None else (row.imm,)
    return [Instruction(row.opcode, dst, src if row.src is None else 0, row.offset or 0, imm) for imm in immediates]


@pytest.mark.usefixtures("hot")
@pytest.mark.parametrize("row", rows(meaning.Alu, meaning.Swap))
def test_arithmetic(row: Row) -> None:
    action = row.meaning
    assert isinstance(action, meaning.Alu | meaning.Swap)
    for instruction in variants(row, 3, 4):
        program = (
            Instruction(LOAD, dst=3, src=1),
            Instruction(LOAD, dst=4, src=1, offset=8),
            instruction,
            Instruction(STORE, dst=1, src=3),
            *wide_load(0, 0),
            EXIT,
        )
        with loaded(program) as run:
            for left, right in product(NUMBERS, NUMBERS if row.operand == "src" else (0,)):
                run.memory.write(0, pack("=QQ", left, right))
                run.run()
                if isinstance(action, meaning.Alu):
                    expected = action.compute(left, operand_of(instruction, row, right))
                else:
                    expected = action.compute(left)
                assert unpack("=Q", run.memory.read(0, 8)) == (expected,), (hex(left), hex(right), instruction)


@pytest.mark.usefixtures("hot")
@pytest.mark.parametrize("row", rows(meaning.Branch))
def test_conditions(row: Row) -> None:
    action = row.meaning
    assert isinstance(action, meaning.Branch)
    for instruction in variants(row, 3, 4):
        program = (
            Instruction(LOAD, dst=3, src=1),
            Instruction(LOAD, dst=4, src=1, offset=8),
            *wide_load(0, 1),
            Instruction(instruction.opcode, 3, instruction.src, 2, instruction.imm),
            *wide_load(0, 0),
            EXIT,
        )
        with loaded(program) as run:
            for left, right in product(NUMBERS, NUMBERS if row.operand == "src" else (0,)):
                run.memory.write(0, pack("=QQ", left, right))
                expected = action.taken(left, operand_of(instruction, row, right))
                assert run.run() == expected, (hex(left), hex(right), instruction)


@pytest.mark.usefixtures("hot")
@pytest.mark.parametrize("base", [2, 10], ids=["memory", "frame"])
@pytest.mark.parametrize("row", rows(meaning.Load, meaning.LoadAcquire))
def test_loads(row: Row, base: int) -> None:
    action = row.meaning
    assert isinstance(action, meaning.Load | meaning.LoadAcquire)
    for number in NUMBERS:
        program = (
            Instruction(opcodes.ALU64 | opcodes.MOV | opcodes.X, dst=2, src=1),
            *wide_load(3, number),
            Instruction(STORE, dst=2, src=3, offset=8),
            Instruction(STORE, dst=10, src=3, offset=-16),
            Instruction(row.opcode, dst=0, src=base, offset=8 if base == 2 else -16, imm=row.imm or 0),
            EXIT,
        )
        with loaded(program) as run:
            low = number & ((1 << action.size * 8) - 1)
            expected = action.extend(low) if isinstance(action, meaning.Load) else low
            assert run.run() == expected == run.run()


@pytest.mark.usefixtures("hot")
@pytest.mark.parametrize("base", [1, 10], ids=["memory", "frame"])
@pytest.mark.parametrize("row", rows(meaning.Store, meaning.StoreRelease))
def test_stores(row: Row, base: int) -> None:
    action = row.meaning
    assert isinstance(action, meaning.Store | meaning.StoreRelease)
    before = 0x1122_3344_5566_7788
    for number, instruction in product(NUMBERS if row.operand == "src" else (1 << 63,), variants(row, base, 3)):
        place = 8 if base == 1 else -16
        program = (
            *wide_load(3, before),
            Instruction(STORE, dst=base, src=3, offset=place),
            *wide_load(3, number),
            Instruction(row.opcode, base, instruction.src, place, instruction.imm),
            Instruction(LOAD, dst=0, src=base, offset=place),
            EXIT,
        )
        with loaded(program) as run:
            mask = (1 << action.size * 8) - 1
            stored = operand_of(instruction, row, number) & mask
            assert run.run() == before & ~mask | stored


@pytest.mark.usefixtures("hot")
@pytest.mark.parametrize("row", rows(meaning.Atomic))
def test_atomics(row: Row) -> None:
    action = row.meaning
    assert isinstance(action, meaning.Atomic)
    program = (
        Instruction(opcodes.ALU64 | opcodes.MOV | opcodes.X, dst=6, src=1),
        Instruction(LOAD, dst=3, src=6, offset=8),
        Instruction(LOAD, dst=0, src=6, offset=16),
        Instruction(row.opcode, dst=6, src=3, imm=row.imm or 0),
        Instruction(STORE, dst=6, src=3, offset=8),
        Instruction(STORE, dst=6, src=0, offset=16),
        EXIT,
    )
    mask = (1 << action.size * 8) - 1
    with loaded(program) as run:
        for old, source, r0 in product(EDGES, EDGES, (0, 1, 0x8000_0000, 1 << 32, 1 << 63)):
            run.memory.write(0, pack("=QQQ", old, source, r0))
            run.run()
            after = old & ~mask | action.update(old, source, r0)
            found = old & mask
            expected = (
                after,
                found if action.result == "src" else source,
                found if action.result == "r0" else r0,
            )
            assert unpack("=QQQ", run.memory.read(0, 24)) == expected, (hex(old), hex(source), hex(r0))
