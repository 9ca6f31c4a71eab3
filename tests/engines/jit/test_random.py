"""Random programs do on the JIT what the instruction table says, and what the interpreter does with pointers."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skep.engines import Binding
from skep.engines.interpreter import Interpreter
from skep.memory import AddressSpace
from tests.engines.evaluator import evaluate
from tests.engines.jit.compiled import compiled, raw
from tests.engines.jit.pointer_programs import MEMORY_SIZE, pointer_programs
from tests.strategies import RandomProgram, programs

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
