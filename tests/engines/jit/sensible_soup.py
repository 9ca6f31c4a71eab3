"""Programs of instructions that exist, with operands and jumps that stay inside, and otherwise without sense.

Random bytes mostly fail at the first field. These get through to the analysis and the translation, which have to
refuse what they cannot do in a sentence, and must never hand LLVM what would end the process.
"""

from __future__ import annotations

from hypothesis import strategies as st

from skep.isa import BY_NAME, TABLE, Instruction, Instructions, Row, meaning

_EXIT = Instruction(BY_NAME["exit"].opcode)
_IMMEDIATES = st.one_of(st.integers(-5, 70), st.integers(-(2**31), 2**31 - 1))


def _distance(draw: st.DrawFn, at: int, length: int) -> int:
    """A jump from slot ``at`` to some slot, mostly a later one."""
    target = draw(st.one_of(st.integers(at + 1, length), st.integers(0, length)))
    return target - at - 1


def _instruction(draw: st.DrawFn, row: Row, at: int, length: int) -> Instruction:
    # The frame's register is what most questions are about.
    register = st.one_of(st.integers(0, 10), st.just(10))
    offset, imm = draw(st.integers(-64, 64)), draw(_IMMEDIATES)
    match row.meaning:
        case meaning.Branch() | meaning.MayGoto():
            offset = _distance(draw, at, length)
        case meaning.Goto(is_far):
            offset = imm = _distance(draw, at, length)
            if not is_far:
                imm = 0
        case meaning.Call("subprogram") | meaning.WideLoad("function"):
            imm = _distance(draw, at, length)
        case meaning.Call():
            imm = draw(st.integers(1, 12))
        case _:
            pass
    return Instruction(
        row.opcode,
        draw(register) if row.dst is None else row.dst,
        draw(register) if row.src is None else row.src,
        offset if row.offset is None else row.offset,
        imm if row.imm is None else row.imm,
    )


@st.composite
def sensible_soups(draw: st.DrawFn) -> Instructions:
    """Up to thirty slots and an exit."""
    length = draw(st.integers(3, 30))
    slots: list[Instruction] = []
    while len(slots) < length:
        row = draw(st.sampled_from(TABLE))
        slots.append(_instruction(draw, row, len(slots), length))
        if row.is_wide:
            slots.append(Instruction(0, imm=draw(st.integers(-5, 5)) if row.high is None else row.high))
    return (*slots, _EXIT)
