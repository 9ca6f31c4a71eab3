"""Calls that cannot be made: a program runs until it gets to one, and is told there as the interpreter tells it."""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType

import pytest

from skep.engines import Binding
from skep.engines.interpreter import Interpreter
from skep.engines.jit import Jit
from skep.errors import Fault, SkepError, UnsupportedError
from skep.machine import Machine
from skep.machine.capture import Packet
from skep.machine.runs import run_packets
from skep.memory import AddressSpace, CpuBlock
from skep.objects import KfuncReference, KsymReference, ProgramSpec, ProgramType
from tests.engines.jit.test_world import program

ENGINES = ("interpreter", "jit")
#: A packet starts with 1 where the program is to get to the call.
THERE, ELSEWHERE = b"\x01" + bytes(63), bytes(64)

LOOKUP = "r2 = 0\nr3 = 0\nr4 = 0\nr5 = 0\ncall 84\n"
GUARDED = f"""
r6 = *(u32 *)(r1 + 0)
r7 = *(u8 *)(r6 + 0)
r0 = 5
if r7 != 1 goto out
{LOOKUP}
r0 = 6
out:
exit
"""
IN_A_FUNCTION = f"""
r6 = *(u32 *)(r1 + 0)
r7 = *(u8 *)(r6 + 0)
r2 = r7
call inner
r0 += 4
exit
inner:
r0 = 1
if r2 != 1 goto out
call innermost
out:
exit
innermost:
{LOOKUP}
exit
"""
IN_A_CALLBACK = """
r6 = *(u32 *)(r1 + 0)
r7 = *(u8 *)(r6 + 0)
*(u64 *)(r10 - 8) = r7
r1 = 3
r2 = subprog[each] ll
r3 = r10
r3 += -8
r4 = 0
call 181
r0 += 2
exit
each:
r7 = *(u64 *)(r2 + 0)
r0 = 0
if r7 != 1 goto out
call 35
out:
exit
"""


def outcome(engine: str, spec: ProgramSpec, packet: bytes) -> int | SkepError:
    with Machine(engine=engine) as machine:
        loaded = machine.load(spec, verify=False)
        try:
            return loaded.run(packet).retval
        except SkepError as error:
            # The machine is as good as before.
            assert loaded.run(ELSEWHERE).retval == 5
            return error


def both(spec: ProgramSpec) -> SkepError:
    assert [outcome(engine, spec, ELSEWHERE) for engine in ENGINES] == [5, 5]
    first, second = (outcome(engine, spec, THERE) for engine in ENGINES)
    assert isinstance(first, SkepError)
    assert (type(second), str(second)) == (type(first), str(first))
    return first


@pytest.mark.parametrize("text", [GUARDED, IN_A_FUNCTION, IN_A_CALLBACK], ids=["guarded", "function", "callback"])
def test_a_helper_without_implementation_is_told_when_it_is_called(text: str) -> None:
    error = both(program(text))
    assert isinstance(error, UnsupportedError)
    assert re.search(r"the helper bpf_(sk_lookup_tcp|get_current_task) \(\d+\) has no implementation", str(error))
    assert error.instruction is not None


def test_a_helper_that_does_not_exist_is_a_fault() -> None:
    error = both(program(GUARDED.replace("call 84", "call 9999")))
    assert isinstance(error, Fault)
    assert "calls helper 9999" in str(error)


def with_kfunc(weak: bool) -> ProgramSpec:
    spec = program(GUARDED.replace("call 84", "call 83"))
    slot = next(slot for slot, one in enumerate(spec.instructions) if one.imm == 83)
    code = list(spec.instructions)
    code[slot] = replace(code[slot], src=2, imm=-1)
    return replace(
        spec,
        instructions=tuple(code),
        references=MappingProxyType({slot: KfuncReference("bpf_made_up", weak=weak)}),
    )


@pytest.mark.parametrize("weak", [False, True])
def test_a_kernel_function_is_told_when_it_is_called(weak: bool) -> None:
    assert "bpf_made_up has no implementation" in str(both(with_kfunc(weak)))


@pytest.mark.parametrize("reference", [KfuncReference("made_up", weak=True), KsymReference("made_up", weak=True)])
def test_the_address_of_what_is_weak_and_missing_is_0(reference: KfuncReference | KsymReference) -> None:
    spec = program("r1 = 7 ll\nr0 = 5\nif r1 == 0 goto out\nr0 = 6\nout:\nexit")
    code = list(spec.instructions)
    code[0], code[1] = replace(code[0], src=3, imm=0), replace(code[1], imm=0)
    spec = replace(spec, instructions=tuple(code), references=MappingProxyType({0: reference}))
    assert [outcome(engine, spec, ELSEWHERE) for engine in ENGINES] == [5, 5]


def test_a_poisoned_relocation_says_what_the_kernel_lacks() -> None:
    texts = []
    with AddressSpace() as space:
        cpu = CpuBlock(1, space).address(0)
        for engine in (Interpreter(), Jit(cache=None)):
            region = space.allocate("memory", 64)
            start = "r7 = *(u8 *)(r1 + 0)\n" + GUARDED.split("\n", 3)[3].replace("call 84", "call 195896080")
            one = program(start, ProgramType.RAW)
            where = next(slot for slot, each in enumerate(one.instructions) if each.imm == 195896080)
            loaded = engine.load(one, Binding(space, unresolved={where: "no struct task here"}))
            assert loaded.run(region.address, 64, cpu) == 5
            region.write(0, b"\x01")
            with pytest.raises(Fault, match="no struct task here; guard it by") as caught:
                loaded.run(region.address, 64, cpu)
            texts.append(str(caught.value))
    assert texts[0] == texts[1]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cpus", [1, 2])
def test_a_capture_stops_at_the_packet_that_gets_there(engine: str, cpus: int) -> None:
    packets = [Packet(THERE if number == 700 else ELSEWHERE) for number in range(2_000)]
    with Machine(cpus, engine=engine) as machine:
        loaded = machine.load(program(GUARDED), verify=False)
        with pytest.raises(UnsupportedError, match=r"packet 701: the helper bpf_sk_lookup_tcp"):
            run_packets(loaded, packets, cpus=cpus)
        assert run_packets(loaded, packets[:700], cpus=cpus).counts == {5: 700}


def test_a_repeated_run_stops() -> None:
    with Machine(engine="jit") as machine:
        loaded = machine.load(program(GUARDED), verify=False)
        with pytest.raises(UnsupportedError, match="sk_lookup_tcp"):
            loaded.run(THERE, repeat=10)
        assert loaded.run(ELSEWHERE, repeat=10).retval == 5


def test_the_program_that_a_tail_call_leads_to_is_named() -> None:
    there = replace(program(GUARDED), name="there")
    first = program("r6 = r1\nr1 = r6\nr2 = map[stages] ll\nr3 = 0\ncall 12\nr0 = 0\nexit", s0=there)
    first = replace(first, siblings=MappingProxyType({"there": there}))
    error = both(first)
    assert error.instruction == next(slot for slot, one in enumerate(there.instructions) if one.imm == 84)
