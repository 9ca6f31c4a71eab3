"""Random programs do on the JIT what the instruction table says, and what the interpreter does with pointers."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skep.engines import Binding
from skep.engines.interpreter import Interpreter
from skep.engines.jit import Jit
from skep.errors import SkepError
from skep.isa import Instructions
from skep.memory import AddressSpace
from skep.objects import ProgramType
from tests.engines.evaluator import evaluate
from tests.engines.jit.compiled import compiled, raw
from tests.engines.jit.pointer_programs import MEMORY_SIZE, pointer_programs
from tests.engines.jit.sensible_soup import sensible_soups
from tests.strategies import RandomProgram, programs, soups

relaxed = settings(deadline=None, suppress_health_check=list(HealthCheck))


@settings(relaxed, max_examples=40)
@given(many=st.lists(programs(), min_size=1, max_size=8))
def test_random_programs_do_what_the_table_says(many: list[RandomProgram]) -> None:
    with compiled([one.instructions for one in many], bytes(64), level=2) as batch:
        for index, program in enumerate(many):
            batch.memory.write(0, program.memory)
            assert (batch.run(index), batch.memory.read()) == evaluate(program)


@settings(relaxed, max_examples=60)
@given(many=st.lists(pointer_programs(), min_size=1, max_size=6))
def test_pointers_go_where_they_go_on_the_interpreter(many: list[RandomProgram]) -> None:
    with compiled([one.instructions for one in many], bytes(MEMORY_SIZE), level=2) as batch, AddressSpace() as space:
        region = space.allocate("memory", MEMORY_SIZE)
        for index, program in enumerate(many):
            region.write(0, program.memory)
            reference = Interpreter().load(raw(program.instructions), Binding(space))
            expected = reference.run(region.address, MEMORY_SIZE, 0), region.read()
            reference.close()
            batch.memory.write(0, program.memory)
            assert (batch.run(index), batch.memory.read()) == expected


_CONSTANTS = st.one_of(st.integers(-4, 40), st.sampled_from((127, 128, 255, 256, 0x7FFF_FFFF, -0x8000_0000, -1)))
_COMPARISONS = st.sampled_from(("==", "!=", "<", "<=", ">", ">=", "s<", "s<=", "s>", "s>="))
_SOURCES = ("r2 = *(u64 *)(r1 + 0)", "r2 = *(u8 *)(r1 + 0)", "w2 = *(u32 *)(r1 + 0)", "r2 &= 15", "r2 += -3")


@st.composite
def trees(draw: st.DrawFn) -> str:
    """A tree of comparisons of r2 with constants, with moves between them and leaves that meet again."""
    narrow = draw(st.booleans())
    lines = ["r0 = 7", "r3 = 9", "r2 = *(u64 *)(r1 + 0)"]
    lines += draw(st.lists(st.sampled_from(_SOURCES), max_size=2))
    count = 0

    def node(depth: int) -> None:
        nonlocal count
        count += 1
        number = count
        if depth == 0 or draw(st.integers(0, 5)) == 0:
            lines.append(draw(st.sampled_from((f"r0 = {number}\ngoto end", f"r3 += {number}\ngoto end", "goto end"))))
            return
        lines.extend(draw(st.lists(st.sampled_from((f"r0 = {number}", f"r3 ^= {number}", "r0 += r3")), max_size=2)))
        register = "w2" if narrow else "r2"
        lines.append(f"if {register} {draw(_COMPARISONS)} {draw(_CONSTANTS)} goto node{number}")
        node(depth - 1)
        lines.append(f"node{number}:")
        node(depth - 1)

    node(draw(st.integers(2, 5)))
    return "\n".join([*lines, "end:", "r0 <<= 8", "r0 += r3", "exit"])


@settings(relaxed, max_examples=25)
@given(many=st.lists(trees(), min_size=1, max_size=8))
def test_trees_of_comparisons_choose_as_they_did(many: list[str]) -> None:
    values = [*range(-6, 42), *(base + near for base in (127, 255, 1 << 31, 1 << 32, 1 << 63) for near in (-1, 0, 1))]
    with compiled(many, bytes(64), level=1) as batch:
        for index, text in enumerate(many):
            instructions = batch.programs[index].spec.instructions
            for value in values:
                memory = (value % (1 << 64)).to_bytes(8, "little") + bytes(56)
                batch.memory.write(0, memory)
                assert (batch.run(index), memory) == evaluate(RandomProgram(instructions, memory)), (text, value)


@settings(relaxed, max_examples=300)
@given(slots=st.one_of(soups, sensible_soups()), type=st.sampled_from((ProgramType.RAW, ProgramType.XDP)))
def test_soup_is_compiled_or_refused_in_a_sentence(slots: Instructions, type: ProgramType) -> None:
    # It is not run: the JIT trusts what it is given. But nothing may stop LLVM, which would end the process.
    said = ""
    with AddressSpace() as space:
        try:
            Jit(cache=None, level=0).load(replace(raw(slots), type=type), Binding(space, type)).close()
        except SkepError as error:
            said = str(error)
    assert "defect" not in said
