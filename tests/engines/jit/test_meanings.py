"""Every row of the instruction table does on the JIT what the table says it means.

Translation treats operands according to what it knows of them, so each operation is tried on numbers of 64, 32 and
8 bits, which it can tell apart by the loads they come from, and on constants.
"""

from __future__ import annotations

from itertools import product
from struct import pack, unpack

import pytest

from skep.isa import TABLE, Instruction, Instructions, Row, meaning, opcodes
from tests.engines.jit.compiled import compiled
from tests.strategies import wide_load

NUMBERS = (
    *(0, 1, 2, 7, 31, 32, 33, 63, 64, 0x80, 0xFF, 0x8000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, 1 << 63),
    *((1 << 63) - 1, (1 << 64) - 1, 0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210),
)
IMMEDIATES = (0, 1, 2, 5, 31, 32, 63, 64, 255, -1, -2, 0x7FFF_FFFF, -0x8000_0000)
LOADS = {size: opcodes.LDX | opcodes.MEM | code for size, code in ((8, opcodes.DW), (4, opcodes.W), (1, opcodes.B))}
STORE = opcodes.STX | opcodes.MEM | opcodes.DW
EXIT = Instruction(opcodes.JMP | opcodes.EXIT)


def rows(*kinds: type) -> list[Row]:
    return [row for row in TABLE if isinstance(row.meaning, kinds)]


def immediates(row: Row) -> tuple[int, ...]:
    return IMMEDIATES if row.imm is None else (row.imm,)


def operand_of(instruction: Instruction, row: Row, right: int) -> int:
    return right if row.operand == "src" else meaning.immediate_operand(instruction.imm)


def cut(number: int, size: int) -> int:
    return number & ((1 << 8 * size) - 1)


def cases(row: Row) -> list[tuple[Instruction, int, int]]:
    """Instruction on r3 and r4, and from how many bytes each of the two was loaded."""
    instructions = [
        Instruction(row.opcode, 3, 4 if row.src is None else 0, row.offset or 0, imm) for imm in immediates(row)
    ]
    rights = (8, 4, 1) if row.operand == "src" else (8,)
    return [(one, left, right) for one in instructions for left in (8, 4, 1) for right in rights]


@pytest.mark.parametrize("row", rows(meaning.Alu, meaning.Swap), ids=lambda row: row.name)
def test_arithmetic(row: Row) -> None:
    action = row.meaning
    assert isinstance(action, meaning.Alu | meaning.Swap)
    tried = cases(row)
    programs = [
        (
            Instruction(LOADS[left], dst=3, src=1),
            Instruction(LOADS[right], dst=4, src=1, offset=8),
            instruction,
            Instruction(STORE, dst=1, src=3, offset=16),
            *wide_load(0, 0),
            EXIT,
        )
        for instruction, left, right in tried
    ]
    with compiled(programs) as batch:
        for index, (instruction, left_size, right_size) in enumerate(tried):
            for left, right in product(NUMBERS, NUMBERS if row.operand == "src" else (0,)):
                batch.memory.write(0, pack("=QQ", left, right))
                batch.run(index)
                a, b = cut(left, left_size), cut(right, right_size)
                if isinstance(action, meaning.Alu):
                    expected = action.compute(a, operand_of(instruction, row, b))
                else:
                    expected = action.compute(a)
                assert unpack("=Q", batch.memory.read(16, 8)) == (expected,), (hex(a), hex(b), instruction)


@pytest.mark.parametrize("row", rows(meaning.Alu), ids=lambda row: row.name)
def test_arithmetic_on_constants(row: Row) -> None:
    action = row.meaning
    assert isinstance(action, meaning.Alu)
    pairs = [(NUMBERS[index], NUMBERS[-index]) for index in range(len(NUMBERS))]
    tried = [(one, a, b) for one in {case[0] for case in cases(row)} for a, b in pairs]
    programs = [
        (*wide_load(3, a), *wide_load(4, b), one, Instruction(opcodes.ALU64 | opcodes.MOV | opcodes.X, 0, 3), EXIT)
        for one, a, b in tried
    ]
    with compiled(programs) as batch:
        for index, (instruction, a, b) in enumerate(tried):
            assert batch.run(index) == action.compute(a, operand_of(instruction, row, b)), (
                hex(a),
                hex(b),
                instruction,
            )


@pytest.mark.parametrize("row", rows(meaning.Branch), ids=lambda row: row.name)
def test_conditions(row: Row) -> None:
    action = row.meaning
    assert isinstance(action, meaning.Branch)
    tried = cases(row)
    programs = [
        (
            Instruction(LOADS[left], dst=3, src=1),
            Instruction(LOADS[right], dst=4, src=1, offset=8),
            *wide_load(0, 1),
            Instruction(instruction.opcode, 3, instruction.src, 2, instruction.imm),
            *wide_load(0, 0),
            EXIT,
        )
        for instruction, left, right in tried
    ]
    with compiled(programs) as batch:
        for index, (instruction, left_size, right_size) in enumerate(tried):
            for left, right in product(NUMBERS, NUMBERS if row.operand == "src" else (0,)):
                batch.memory.write(0, pack("=QQ", left, right))
                a, b = cut(left, left_size), cut(right, right_size)
                expected = action.taken(a, operand_of(instruction, row, b))
                assert batch.run(index) == expected, (hex(a), hex(b), instruction)


@pytest.mark.parametrize("base", [2, 10], ids=["memory", "frame"])
def test_loads(base: int) -> None:
    tried = list(product(rows(meaning.Load, meaning.LoadAcquire), NUMBERS))
    programs = [
        (
            Instruction(opcodes.ALU64 | opcodes.MOV | opcodes.X, dst=2, src=1),
            *wide_load(3, number),
            Instruction(STORE, dst=2, src=3, offset=8),
            Instruction(STORE, dst=10, src=3, offset=-16),
            Instruction(row.opcode, dst=0, src=base, offset=8 if base == 2 else -16, imm=row.imm or 0),
            EXIT,
        )
        for row, number in tried
    ]
    with compiled(programs) as batch:
        for index, (row, number) in enumerate(tried):
            action = row.meaning
            assert isinstance(action, meaning.Load | meaning.LoadAcquire)
            low = cut(number, action.size)
            expected = action.extend(low) if isinstance(action, meaning.Load) else low
            assert batch.run(index) == expected, row.name


@pytest.mark.parametrize("base", [1, 10], ids=["memory", "frame"])
def test_stores(base: int) -> None:
    before = 0x1122_3344_5566_7788
    place = 8 if base == 1 else -16
    tried = [
        (row, number, imm)
        for row in rows(meaning.Store, meaning.StoreRelease)
        for number in NUMBERS
        for imm in immediates(row)
    ]
    programs: list[Instructions] = [
        (
            *wide_load(3, before),
            Instruction(STORE, dst=base, src=3, offset=place),
            *wide_load(3, number),
            Instruction(row.opcode, base, 3 if row.src is None else 0, place, imm),
            Instruction(LOADS[8], dst=0, src=base, offset=place),
            EXIT,
        )
        for row, number, imm in tried
    ]
    with compiled(programs) as batch:
        for index, (row, number, imm) in enumerate(tried):
            action = row.meaning
            assert isinstance(action, meaning.Store | meaning.StoreRelease)
            operand = meaning.immediate_operand(imm) if row.operand == "imm" else number
            kept = before & ~((1 << 8 * action.size) - 1)
            assert batch.run(index) == kept | cut(operand, action.size), row.name


@pytest.mark.parametrize("base", [6, 10], ids=["memory", "frame"])
def test_atomics(base: int) -> None:
    place = 0 if base == 6 else -8
    tried = rows(meaning.Atomic)
    programs = [
        (
            Instruction(opcodes.ALU64 | opcodes.MOV | opcodes.X, dst=6, src=1),
            Instruction(LOADS[8], dst=3, src=6),
            Instruction(STORE, dst=base, src=3, offset=place),
            Instruction(LOADS[8], dst=3, src=6, offset=8),
            Instruction(LOADS[8], dst=0, src=6, offset=16),
            Instruction(row.opcode, dst=base, src=3, offset=place, imm=row.imm or 0),
            Instruction(STORE, dst=6, src=3, offset=8),
            Instruction(STORE, dst=6, src=0, offset=16),
            Instruction(LOADS[8], dst=3, src=base, offset=place),
            Instruction(STORE, dst=6, src=3),
            EXIT,
        )
        for row in tried
    ]
    with compiled(programs) as batch:
        for index, row in enumerate(tried):
            action = row.meaning
            assert isinstance(action, meaning.Atomic)
            mask = (1 << action.size * 8) - 1
            for old, source, r0 in product(NUMBERS, NUMBERS, (0, 1, 0x8000_0000, 1 << 32, 1 << 63)):
                batch.memory.write(0, pack("=QQQ", old, source, r0))
                batch.run(index)
                found = old & mask
                expected = (
                    old & ~mask | action.update(old, source, r0),
                    found if action.result == "src" else source,
                    found if action.result == "r0" else r0,
                )
                assert unpack("=QQQ", batch.memory.read(0, 24)) == expected, (row.name, hex(old), hex(source))


def test_jumps_calls_and_wide_loads() -> None:
    programs = [
        "r0 = 1\ngoto +1\nr0 = 2\nexit",
        "r0 = 1\ngotol +1\nr0 = 2\nexit",
        "r0 = 0x123456789abcdef0 ll\nexit",
        "r6 = 3\nr1 = 4\ncall add\nr0 += r6\nexit\nadd:\nr6 = 100\nr0 = r1\nr0 += 1\nexit",
        "r0 = 7\nr1 = addr_space_cast(r0, 0, 1)\nr0 = r1\nexit",
    ]
    with compiled(programs) as batch:
        assert [batch.run(index) for index in range(len(programs))] == [1, 1, 0x1234_5678_9ABC_DEF0, 8, 7]


def test_may_goto_ends_a_loop() -> None:
    with compiled(["r0 = 0\nagain:\nr0 += 1\nmay_goto +1\ngoto again\nexit"]) as batch:
        assert batch.run() == 8 * 1024 * 1024 + 1


def test_a_call_through_a_register_that_holds_a_function() -> None:
    program = (
        Instruction(opcodes.ALU64 | opcodes.MOV, dst=1, imm=5),
        Instruction(opcodes.LD | opcodes.DW, dst=2, src=4, imm=3),
        Instruction(0),
        Instruction(opcodes.JMP | opcodes.CALL | opcodes.X, dst=2),
        EXIT,
        Instruction(opcodes.ALU64 | opcodes.MOV | opcodes.X, dst=0, src=1),
        Instruction(opcodes.ALU64 | opcodes.MUL, dst=0, imm=2),
        EXIT,
    )
    with compiled([program]) as batch:
        assert batch.run() == 10
