"""Compiled stretches of a program leave nothing behind: registers, budget and what was learnt of memory."""

from __future__ import annotations

import pytest

from skep.engines import Binding
from skep.engines.interpreter import Interpreter, code
from skep.engines.interpreter.fusion import LONGEST_TRACE
from skep.errors import Fault
from skep.isa.assembler import assemble
from skep.memory import AddressSpace
from skep.objects.kinds import ProgramType
from skep.objects.spec import ProgramSpec
from tests.engines.interpreter.running import fault, loaded, result

#: A loop that is left at its top, so that what its rest wrote in the turn before must have been kept.
LEFT_AT_THE_TOP = "r0 = 0\nr3 = 0\nl:\nif r3 > 5 goto out\nr3 += 1\nr0 += r3\ngoto l\nout:\nexit"


@pytest.fixture(autouse=True, params=[0, 3, 1 << 60], ids=["compiled", "soon", "stepped"])
def hot(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "HOT", request.param)


def test_a_loop_that_is_left_in_the_middle_keeps_what_it_wrote() -> None:
    assert result(LEFT_AT_THE_TOP) == 21


def test_the_budget_is_exact_where_a_turn_is_not_finished() -> None:
    needed = 2 + 6 * 4 + 2
    assert result(LEFT_AT_THE_TOP, budget=needed) == 21
    for budget in range(1, needed):
        found = fault(LEFT_AT_THE_TOP, budget=budget)
        assert f"has not ended after {budget} instructions" in str(found)


def test_loops_inside_loops() -> None:
    program = "r0 = 0\nr3 = 0\no:\nr4 = 0\ni:\nr0 += 1\nr4 += 1\nif r4 < 7 goto i\nr3 += 1\nif r3 != 9 goto o\nexit"
    assert result(program) == 63


def test_a_register_that_only_some_turns_write_stays_unwritten() -> None:
    program = (
        "r0 = 0\nr3 = 0\nl:\nr3 += 1\nif r3 < 9 goto next\nr5 = r3\nnext:\nif r3 < {turns} goto l\nr0 = r5\nexit"
    )
    assert result(program.format(turns=9)) == 9
    assert "reads r5" in str(fault(program.format(turns=8)))


def test_a_program_longer_than_any_trace() -> None:
    length = 3 * LONGEST_TRACE + 5
    body = "\n".join(["r0 += 1"] * length)
    assert result(f"r0 = 0\nr3 = 0\nl:\n{body}\nr3 += 1\nif r3 < 4 goto l\nexit") == 4 * length


def test_jumps_that_are_always_taken_are_followed_in_any_order() -> None:
    assert result("r0 = 1\ngoto a\nb:\nr0 += 2\ngoto c\na:\nr0 += 4\ngoto b\nc:\nr0 += 8\nexit") == 15


def test_a_loop_of_nothing_but_a_jump_ends_with_the_budget() -> None:
    assert "has not ended after 50 instructions" in str(fault("r0 = 0\nl:\ngoto l", budget=50))


def test_read_only_memory_that_was_read_before_still_cannot_be_written() -> None:
    text = "r0 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\n*(u32 *)(r1 + 8) = 1\nexit"
    with AddressSpace() as space:
        constants = space.allocate(".rodata", 64, writable=False)
        spec = ProgramSpec("p", "", ProgramType.RAW, assemble(text).instructions)
        program = Interpreter().load(spec, Binding(space))
        for _ in range(5):
            with pytest.raises(Fault, match="which is read-only") as caught:
                program.run(constants.address, 64, 0)
            assert caught.value.instruction == 2


def test_an_instruction_does_not_remember_a_frame_that_is_gone() -> None:
    program = """
        call f
        r1 = r0
        call g
        exit
        f:
        call h
        exit
        h:
        *(u64 *)(r10 - 8) = 6
        r6 = r10
        r6 += -8
        r1 = r6
        call g
        r0 = r6
        exit
        g:
        r0 = *(u64 *)(r1 + 0)
        exit
    """
    found = fault(program)
    assert "in the stack of a function that has returned" in str(found)
    assert found.text == "r0 = *(u64 *)(r1 + 0)"


def test_a_call_does_not_use_up_the_callers_turns() -> None:
    program = "r6 = 0\nl:\nr6 += 1\ncall f\nmay_goto +1\ngoto l\nr0 = r6\nexit\nf:\nr0 = 0\nmay_goto +0\nexit"
    with loaded(program, turns=20, budget=5000) as run:
        assert run.run() == 21


def test_an_atomic_stays_aligned_where_its_memory_is_known() -> None:
    text = "r3 = 0\nr4 = 1\nl:\n"
    text += "lock *(u32 *)(r1 + 0) += r4\nr3 += 1\nif r3 < 9 goto l\nr1 += 2\nif r3 < 12 goto l\nr0 = 0\nexit"
    found = fault(text)
    assert "which atomic access needs aligned" in str(found)
