"""Hypothesis strategies for instructions, shared by the tests of this package."""

from __future__ import annotations

from hypothesis import strategies as st

from skep.isa import TABLE, Instruction, Row

registers = st.integers(0, 10)
offsets = st.integers(-0x8000, 0x7FFF)
immediates = st.integers(-0x8000_0000, 0x7FFF_FFFF)

#: Any 8 bytes.
slots = st.builds(
    Instruction,
    opcode=st.integers(0, 0xFF),
    dst=st.integers(0, 15),
    src=st.integers(0, 15),
    offset=offsets,
    imm=immediates,
)


@st.composite
def instances(draw: st.DrawFn, row: Row) -> tuple[Instruction, ...]:
    """An instruction of a row with its free fields at random; two slots where it is wide."""

    def field(fixed: int | None, free: st.SearchStrategy[int]) -> int:
        return draw(free) if fixed is None else fixed

    first = Instruction(
        row.opcode,
        dst=field(row.dst, registers),
        src=field(row.src, registers),
        offset=field(row.offset, offsets),
        imm=field(row.imm, immediates),
    )
    if not row.is_wide:
        return (first,)
    return first, Instruction(0, imm=field(row.high, immediates))


#: A valid instruction of any row.
valid = st.sampled_from(TABLE).flatmap(instances)

#: A program of valid instructions whose jumps may lead anywhere.
programs = st.lists(valid, max_size=12).map(lambda parts: tuple(slot for part in parts for slot in part))
