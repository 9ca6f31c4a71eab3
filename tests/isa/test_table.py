"""The table itself: complete, without overlap, and found again from any instruction of a row."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from skep.isa import BY_NAME, TABLE, Instruction, Row, opcodes, problem, registers_read, registers_written, row_of
from skep.isa.templates import grammar

from .strategies import instances, slots


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(TABLE)


@given(st.sampled_from(TABLE).flatmap(lambda row: st.tuples(st.just(row), instances(row))))
def test_an_instruction_of_a_row_is_found_in_it(pair: tuple[Row, tuple[Instruction, ...]]) -> None:
    row, (first, *rest) = pair
    assert row_of(first) is row
    assert problem(first, rest[0] if rest else None) is None


@given(slots)
def test_a_slot_without_a_row_always_has_a_problem(slot: Instruction) -> None:
    if row_of(slot) is None:
        assert problem(slot) is not None
        assert registers_read(slot) == registers_written(slot) == ()


def test_every_opcode_of_linux_is_there() -> None:
    # Arithmetic and comparisons by class; 0x8d is callx, which only LLVM and user-space runtimes have.
    alu = {c | op | s for c in (4, 7) for op in range(0, 0xD0, 0x10) for s in (0, 8)} - {0x8C, 0x8F}
    swaps = {0xD4, 0xDC, 0xD7}
    compare = {
        c | op | s for c in (5, 6) for op in (*range(0x10, 0x80, 0x10), 0xA0, 0xB0, 0xC0, 0xD0) for s in (0, 8)
    }
    control = {0x05, 0x06, 0x85, 0x8D, 0x95, 0xE5}
    memory = {k | size | 0x60 for k in (1, 2, 3) for size in (0, 8, 0x10, 0x18)} | {0x81, 0x89, 0x91}
    atomics = {0xC3, 0xCB, 0xD3, 0xDB}
    packet = {0x20, 0x28, 0x30, 0x40, 0x48, 0x50}
    assert {row.opcode for row in TABLE} == alu | swaps | compare | control | memory | atomics | packet | {0x18}


def test_every_wide_load_and_every_atomic_is_there() -> None:
    assert sorted(row.src or 0 for row in TABLE if row.opcode == opcodes.LDDW) == list(range(7))
    arithmetic = [code | fetch for code in (0, 0x40, 0x50, 0xA0) for fetch in (0, 1)]
    for size, expected in (
        (opcodes.DW, [*arithmetic, 0xE1, 0xF1, 0x100, 0x110]),
        (opcodes.W, [*arithmetic, 0xE1, 0xF1, 0x100, 0x110]),
        (opcodes.H, [0x100, 0x110]),
        (opcodes.B, [0x100, 0x110]),
    ):
        found = [row.imm or 0 for row in TABLE if row.opcode == opcodes.STX | opcodes.ATOMIC | size]
        assert sorted(found) == sorted(expected)


def test_no_text_means_two_instructions() -> None:
    # The grammar of both dialects keeps every shape of each, with the same row.
    both = grammar().shapes
    for dialect in ("kernel", "mnemonic"):
        for shape, match in grammar(dialect).shapes.items():
            assert both[shape].row is match.row


def test_registers_read_and_written() -> None:
    cases = {
        "add64_reg": ((1, 2), (1,)),
        "mov64_reg": ((2,), (1,)),
        "mov64_imm": ((), (1,)),
        "stx_u64": ((1, 2), ()),
        "ldx_u64": ((2,), (1,)),
        "atomic64_fetch_add": ((1, 2), (2,)),
        "atomic64_cmpxchg": ((1, 2, 0), (0,)),
        "exit": ((0,), ()),
        "ldind_u32": ((6, 2), (0, 1, 2, 3, 4, 5)),
        "call_helper": ((1, 2, 3, 4, 5), (0, 1, 2, 3, 4, 5)),
    }
    for name, (read, written) in cases.items():
        row = BY_NAME[name]
        slot = Instruction(
            row.opcode,
            dst=1 if row.dst is None else row.dst,
            src=2 if row.src is None else row.src,
            offset=row.offset or 0,
            imm=row.imm or 0,
        )
        assert (registers_read(slot), registers_written(slot)) == (read, written), name
