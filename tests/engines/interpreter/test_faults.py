"""What a program must not do ends in a fault that says what, where, and how far off it was."""

from __future__ import annotations

import pytest

from skep.engines import Binding
from skep.engines.interpreter import Interpreter, code
from skep.errors import Fault, LoadError, RequestError
from skep.isa import Instruction
from skep.isa.assembler import assemble
from skep.memory import AddressSpace, RegionKind
from skep.objects.kinds import ProgramType
from skep.objects.spec import KsymReference, MapReference, ProgramSpec, SourceLine
from tests.engines.interpreter.running import fault, loaded, result


@pytest.mark.parametrize(
    ("program", "slot", "problem"),
    [
        ("r0 = *(u32 *)(r1 + 64)\nexit", 0, 'reads 4 bytes at {memory+64}, just past the end of memory "memory"'),
        ("r0 = *(u32 *)(r1 + 67)\nexit", 0, 'reads 4 bytes at {memory+67}, 3 bytes past the end of memory "memory"'),
        ("r0 = *(u64 *)(r1 + 60)\nexit", 0, "reads 8 bytes at {memory+60}, at offset 60 of memory"),
        ("r0 = *(u64 *)(r1 - 3)\nexit", 0, "reads 8 bytes at {memory-3}, 3 bytes before memory"),
        ("*(u8 *)(r1 + 64) = 1\nexit", 0, "writes 1 byte at {memory+64}, just past the end"),
        ("r2 = 1\nlock *(u64 *)(r1 + 64) += r2\nexit", 1, "updates 8 bytes at {memory+64}, just past the end"),
        ("r2 = 1\nlock *(u32 *)(r1 + 2) += r2\nexit", 1, "which atomic access needs aligned"),
        ("r1 = 0\nr0 = *(u8 *)(r1 + 8)\nexit", 1, "reads 1 byte at 0x8: the pointer is null"),
        ("r0 = *(u8 *)(r10 + 0)\nexit", 0, "at the end of the stack frame"),
        ("r0 = *(u64 *)(r10 - 520)\nexit", 0, "8 bytes below the stack frame of this function"),
        ("*(u64 *)(r10 - 4) = 1\nexit", 0, "the stack frame of this function"),
        ("r2 = r10\nr2 += 100\nr0 = *(u8 *)(r2 + 0)\nexit", 2, "100 bytes above the stack frame"),
        ("r0 = r5\nexit", 0, "reads r5, which was never written"),
        ("r0 = 1\nr0 += r5\nexit", 1, "reads r5, which was never written"),
        ("r0 = 1\nr0 /= r5\nexit", 1, "reads r5"),
        ("r5 /= r2\nexit", 0, "reads r5"),
        ("w0 = w5\nexit", 0, "reads r5"),
        ("r5 = -r5\nexit", 0, "reads r5"),
        ("r0 = be16 r0\nexit", 0, "reads r0"),
        ("r0 = (s8)r5\nexit", 0, "reads r5"),
        ("if r5 == 1 goto +0\nr0 = 0\nexit", 0, "reads r5"),
        ("if w1 != w5 goto +0\nr0 = 0\nexit", 0, "reads r5"),
        ("if r1 s> r5 goto +0\nr0 = 0\nexit", 0, "reads r5"),
        ("if r1 & r5 goto +0\nr0 = 0\nexit", 0, "reads r5"),
        ("*(u8 *)(r1 + 0) = r5\nexit", 0, "reads r5"),
        ("r0 = *(u8 *)(r5 + 0)\nexit", 0, "reads r5"),
        ("r6 = r1\nr3 = 1\nr4 = 2\nlock *(u64 *)(r5 + 0) += r3\nexit", 3, "reads r5"),
        ("r2 = 0\nr0 = cmpxchg_64(r1 + 0, r0, r2)\nexit", 1, "reads r0"),
        ("exit", 0, "ends with r0, the result, never written"),
        ("r10 = 1\nexit", 0, "writes r10, the frame pointer"),
        ("r10 += 1\nexit", 0, "writes r10, the frame pointer"),
        ("r0 = 1", 1, "control leaves the program, which has slots 0 to 0"),
        ("goto +7\nexit", 8, "control leaves the program"),
        ("goto -3\nexit", -2, "control leaves the program"),
        ("goto +1\nr0 = 1 ll\nexit", 2, "second half of a 64-bit immediate load"),
        ("l:\ngoto l", 0, "has not ended after 1,000 instructions"),
        ("l:\ncall l\nexit", 0, "calls a function with 8 frames in use already"),
        ("r2 = 70000\ncallx r2\nexit", 1, "calls helper 70000, which does not exist"),
        ("call 0\nexit", 0, "calls helper 0, which does not exist"),
        (".slot 0xff\nexit", 0, "no instruction has opcode 0xff"),
        (".slot 0xb7b\nexit", 0, "register"),
    ],
)
@pytest.mark.parametrize("hot", [0, 1 << 60], ids=["compiled", "stepped"])
def test_what_is_wrong_and_where(
    program: str, slot: int, problem: str, hot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "HOT", hot)
    found = fault(program, budget=1000)
    assert found.instruction == slot
    if "{memory" in problem:
        before, _, rest = problem.partition("{memory")
        distance, _, after = rest.partition("}")
        assert found.address is not None
        assert found.region is not None
        assert found.address == found.region.address + int(distance)
        problem = f"{before}{found.address:#x}{after}"
    assert problem in str(found)


def test_registers_are_those_before_the_instruction(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "r0 = 5\nr3 = 7\nl:\nr3 += 1\nr4 = r3\nif r3 < 300 goto l\nr6 = -1\nr0 = *(u8 *)(r6 + 0)\nexit"
    for hot in (0, 10, 1 << 60):
        monkeypatch.setattr(code, "HOT", hot)
        found = fault(program)
        assert found.registers[:2] == (5, found.registers[1])
        assert found.registers[3:9] == (300, 300, None, (1 << 64) - 1, None, None)
        assert found.text == "r0 = *(u8 *)(r6 + 0)"
    assert "r6  = 0xffffffffffffffff" in found.dump()
    assert "r7  = never written" in found.dump()
    assert len(found.dump().splitlines()) == 4


def test_a_fault_names_file_section_and_source_line() -> None:
    instructions = assemble("r2 = 0\nr0 = *(u8 *)(r2 + 0)\nexit").instructions
    lines = {0: SourceLine("count.c", 12, 3, "int a = 0;"), 1: SourceLine("count.c", 13, 3, "return *p;")}
    spec = ProgramSpec("count", "xdp", ProgramType.RAW, instructions, lines=lines, file="count.o")
    with AddressSpace() as space:
        program = Interpreter().load(spec, Binding(space))
        with pytest.raises(Fault) as caught:
            program.run(0, 0, 0)
    expected = (
        "count.o: section xdp, instruction 1, count.c:13: `r0 = *(u8 *)(r2 + 0)`: reads 1 byte at 0x0: the pointer"
    )
    assert str(caught.value).startswith(expected)


def test_calls_clobber_arguments_and_keep_the_rest() -> None:
    program = "r6 = 3\nr1 = 1\nr2 = 2\ncall f\nr0 += r6\nexit\nf:\nr0 = r1\nr0 += r2\nr6 = 100\nexit"
    assert result(program) == 6
    for register in range(1, 6):
        found = fault(f"r6 = r1\ncall f\nr0 += r{register}\nexit\nf:\nr0 = 1\nexit")
        assert f"reads r{register}, which was never written (or not since the last call)" in str(found)
    for register in range(6, 10):
        assert f"reads r{register}" in str(fault(f"r{register} = 1\ncall f\nexit\nf:\nr0 = r{register}\nexit"))
    assert "reads r0" in str(fault("r0 = 1\ncall f\nexit\nf:\nr0 += 1\nexit"))


def test_each_frame_has_a_stack_of_its_own() -> None:
    caller = "*(u64 *)(r10 - 8) = 5\nr1 = r10\nr1 += -8\ncall f\nr0 = *(u64 *)(r10 - 8)\nexit\n"
    assert result(caller + "f:\n*(u64 *)(r10 - 8) = 7\nr0 = 0\nexit") == 5
    assert result(caller + "f:\n*(u64 *)(r1 + 0) = 7\nr0 = 0\nexit") == 7
    # The frame of a function that has returned is nobody's, even for an instruction that reached it before.
    program = """
        r6 = 0
        again:
        call f
        r6 += 1
        if r6 == 1 goto again
        r0 = *(u64 *)(r0 + 0)
        exit
        f:
        *(u64 *)(r10 - 8) = 1
        r1 = r10
        r1 += -8
        r0 = *(u64 *)(r1 + 0)
        r0 = r1
        exit
    """
    found = fault(program)
    assert "in the stack of a function that has returned" in str(found)
    assert found.instruction == 4


def test_memory_that_is_not_the_programs() -> None:
    with AddressSpace() as space:
        kinds = {kind: space.allocate("it", 64, kind, writable=kind is not RegionKind.MEMORY) for kind in RegionKind}
        expected = {
            RegionKind.MAP: "maps are reached through helpers only",
            RegionKind.CPU: "it belongs to the machine",
            RegionKind.STACK: "in the stack of another run",
            RegionKind.MEMORY: "which is read-only",
            RegionKind.CONTEXT: "at offset 0 of context",
        }
        spec = ProgramSpec("p", "", ProgramType.RAW, assemble("*(u8 *)(r1 + 0) = 0\nr0 = 0\nexit").instructions)
        program = Interpreter().load(spec, Binding(space))
        for kind, text in expected.items():
            with pytest.raises(Fault, match=text):
                program.run(kinds[kind].address, 64, 0)
        assert program.run(kinds[RegionKind.MAP_VALUE].address, 64, 0) == 0


def test_elements_of_a_region_do_not_reach_into_each_other() -> None:
    with AddressSpace() as space:
        values = space.allocate("counts", 64, RegionKind.MAP_VALUE, stride=16, element_size=12)
        spec = ProgramSpec("p", "", ProgramType.RAW, assemble("r1 += r2\nr0 = *(u32 *)(r1 + 0)\nexit").instructions)
        program = Interpreter().load(spec, Binding(space))
        for element in range(4):
            for offset in (0, 4, 8, 1, 7):
                assert program.run(values.address, element * 16 + offset, 0) == 0
            with pytest.raises(Fault, match=f"offset 9 of element {element}"):
                program.run(values.address, element * 16 + 9, 0)


def test_budget_counts_every_instruction_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "r0 = 0\nl:\nr0 += 1\nif r0 < 100 goto l\nexit"
    needed = 2 + 2 * 100
    for hot in (0, 5, 1 << 60):
        monkeypatch.setattr(code, "HOT", hot)
        assert result(program, budget=needed) == 100
        assert f"has not ended after {needed - 1} instructions" in str(fault(program, budget=needed - 1))


def test_may_goto_has_its_turns_per_call() -> None:
    loop = "l:\nr0 += 1\nmay_goto +1\ngoto l\n"
    with loaded(f"r0 = 0\n{loop}exit", turns=25) as run:
        assert run.run() == 26
        assert run.run() == 26
    with loaded(f"call f\nr6 = r0\ncall f\nr0 += r6\nexit\nf:\nr0 = 0\n{loop}exit", turns=25) as run:
        assert run.run() == 52


def test_what_is_never_reached_may_be_anything() -> None:
    assert result("r0 = 1\nexit\n.slot 0xff\nr10 = 4") == 1


def test_names_must_be_bound() -> None:
    wide = assemble("r1 = 0 ll\nr0 = 0\nexit").instructions
    with AddressSpace() as space:
        spec = ProgramSpec("p", "xdp", ProgramType.RAW, wide, references={0: MapReference("counts")}, file="p.o")
        with pytest.raises(
            LoadError, match=r"p\.o: section xdp, instruction 0: the program refers to the map 'counts'"
        ):
            Interpreter().load(spec, Binding(space))
        strong = ProgramSpec("p", "", ProgramType.RAW, wide, references={0: KsymReference("jiffies")})
        with pytest.raises(LoadError, match="kernel variable 'jiffies'"):
            Interpreter().load(strong, Binding(space))
        weak = ProgramSpec("p", "", ProgramType.RAW, wide, references={0: KsymReference("jiffies", weak=True)})
        assert Interpreter().load(weak, Binding(space)).run(0, 0, 0) == 0
        with pytest.raises(LoadError, match="no instructions"):
            Interpreter().load(ProgramSpec("p", "", ProgramType.RAW, ()), Binding(space))
    numbered = (Instruction(0x18, dst=1, src=1, imm=5), Instruction(0), *wide[2:])
    assert "names no map of this program" in str(fault(numbered))


def test_a_closed_program_does_not_run() -> None:
    with loaded("r0 = 0\nexit") as run:
        run.program.close()
        run.program.close()
        with pytest.raises(RequestError, match="is closed"):
            run.run()
    with pytest.raises(RequestError, match="budget of 0"):
        Interpreter(budget=0)


def test_stacks_are_kept_given_back_and_cleared() -> None:
    with loaded("r0 = *(u64 *)(r10 - 8)\n*(u64 *)(r10 - 8) = 9\nexit") as run:
        assert [run.run(), run.run()] == [0, 0]
        space = run.program.code.binding.space
        assert sum(region.kind is RegionKind.STACK for region in space.regions) == 1
        first, second = run.start(), run.start()
        assert sum(region.kind is RegionKind.STACK for region in space.regions) == 2
        first.close()
        second.close()
        run.program.close()
        assert not [region for region in space.regions if region.kind is RegionKind.STACK]
