"""What surrounds a program on the JIT: contexts, maps, helpers, callbacks, tail calls, packet loads.

Each program runs on the JIT and on the interpreter, on machines of their own, and leaves the same behind.
"""

from __future__ import annotations

import pytest

from skep.engines import Binding
from skep.engines.jit import Jit
from skep.errors import LoadError
from skep.isa.assembler import assemble
from skep.machine import Machine
from skep.memory import AddressSpace
from skep.objects import FunctionSpec, MapReference, MapSpec, MapType, ProgramSpec, ProgramType, Reference

PACKET = bytes(range(64))

COUNTS = MapSpec("counts", MapType.ARRAY, 4, 16, 8)
FLOWS = MapSpec("flows", MapType.HASH, 8, 16, 16)
PER_CPU = MapSpec("each", MapType.PERCPU_ARRAY, 4, 8, 2)
GLOBALS = MapSpec(".bss", MapType.ARRAY, 4, 32, 1, contents=bytes(range(32)))
CONSTANTS = MapSpec(".rodata", MapType.ARRAY, 4, 8, 1, contents=bytes(range(100, 108)), frozen=True)
STAGES = MapSpec("stages", MapType.PROG_ARRAY, 4, 4, 4)
MAPS = {one.name: one for one in (COUNTS, FLOWS, PER_CPU, GLOBALS, CONSTANTS, STAGES)}


def program(text: str, type: ProgramType = ProgramType.XDP, **slots: ProgramSpec) -> ProgramSpec:
    """A program from assembly; ``slots`` are what its program array holds, by ``s0`` and so on."""
    assembly = assemble(text, helpers=None)
    references: dict[int, Reference] = {
        slot: MapReference(symbol.name, symbol.offset if symbol.kind == "map value" else None)
        for slot, symbol in assembly.symbols.items()
    }
    maps = {
        name: MAPS[name] for name in sorted({one.map for one in references.values() if isinstance(one, MapReference)})
    }
    siblings = {one.name: one for one in slots.values()}
    if "stages" in maps:
        members = {int(place[1:]): one.name for place, one in slots.items()}
        maps["stages"] = MapSpec("stages", MapType.PROG_ARRAY, 4, 4, 4, slots=members)
    functions = (FunctionSpec("main", 0),)
    return ProgramSpec(
        f"p{abs(hash(text)) % 10**8}",
        type.label,
        type,
        assembly.instructions,
        functions=functions,
        references=references,
        maps=maps,
        license="GPL",
        siblings=siblings,
    )


def outcome(engine: str, spec: ProgramSpec, packet: bytes = PACKET, runs: int = 1) -> tuple[object, ...]:
    """Everything that runs leave behind: results, packet, context, maps."""
    with Machine(cpus=1, engine=engine, seed=7) as machine:
        machine.cpus.set_time(1_000_000, step=10)
        loaded = machine.load(spec, verify=False)
        results = [loaded.run(packet) for _ in range(runs)]
        contents = {
            name: sorted(one.items()) for name, one in machine.maps.items() if one.spec.type is not MapType.PROG_ARRAY
        }
        return [one.retval for one in results], results[-1].packet, results[-1].context, contents


def both(spec: ProgramSpec, packet: bytes = PACKET, runs: int = 1) -> tuple[object, ...]:
    expected = outcome("interpreter", spec, packet, runs)
    assert outcome("jit", spec, packet, runs) == expected
    return expected


def retval(spec: ProgramSpec, packet: bytes = PACKET) -> object:
    results = both(spec, packet)[0]
    assert isinstance(results, list)
    return results[0]


PARSE = """
r2 = *(u32 *)(r1 + 0)
r3 = *(u32 *)(r1 + 4)
r0 = 0
r4 = r2
r4 += 14
if r4 > r3 goto out
r0 = *(u16 *)(r2 + 12)
r0 = be16 r0
r5 = *(u32 *)(r1 + 12)
r0 += r5
*(u8 *)(r2 + 3) = 0xaa
r3 -= r2
r0 <<= 16
r0 += r3
out:
exit
"""


def test_packet_bounds_and_fields() -> None:
    assert retval(program(PARSE)) == (0x0C0D + 1) << 16 | 64
    assert retval(program(PARSE), bytes(14)) == 1 << 16 | 14


def test_a_context_at_an_offset_and_through_the_stack() -> None:
    text = """
    r6 = r1
    *(u64 *)(r10 - 8) = r1
    r6 += 12
    r0 = *(u32 *)(r6 + 0)
    r1 = *(u64 *)(r10 - 8)
    r2 = *(u32 *)(r1 + 4)
    r1 = *(u32 *)(r1 + 0)
    r2 -= r1
    r0 += r2
    exit
    """
    assert retval(program(text)) == 65


def test_socket_buffer_fields_are_read_and_written() -> None:
    text = """
    r6 = r1
    *(u32 *)(r6 + 8) = 0x11223344
    r0 = *(u32 *)(r6 + 8)
    r2 = *(u8 *)(r6 + 9)
    r0 += r2
    r2 = *(u16 *)(r6 + 10)
    r0 ^= r2
    r3 = *(u32 *)(r6 + 0)
    r0 += r3
    *(u32 *)(r6 + 48) = r0
    r4 = *(u32 *)(r6 + 48)
    r0 += r4
    r5 = 70000
    *(u32 *)(r6 + 12) = r5
    r5 = *(u32 *)(r6 + 12)
    r0 += r5
    exit
    """
    both(program(text, ProgramType.SCHED_CLS))


LOOKUP = """
*(u32 *)(r10 - 4) = {key}
*(u64 *)(r10 - 16) = r1
r2 = r10
r2 += -4
r1 = map[{map}] ll
call 1
if r0 == 0 goto missing
r1 = *(u64 *)(r0 + 0)
r1 += 5
*(u64 *)(r0 + 0) = r1
r0 = r1
r1 = *(u64 *)(r10 - 16)
r2 = *(u32 *)(r1 + 12)
r0 += r2
exit
missing:
r0 = 77
exit
"""


@pytest.mark.parametrize("name", ["counts", "each"])
@pytest.mark.parametrize("key", [0, 1, 7, 8])
def test_elements_of_arrays(name: str, key: int) -> None:
    both(program(LOOKUP.format(map=name, key=key)), runs=3)


def test_a_hash_map_is_filled_and_emptied() -> None:
    text = """
    r6 = r1
    *(u64 *)(r10 - 8) = 0x1234
    *(u64 *)(r10 - 24) = 5
    *(u64 *)(r10 - 16) = 6
    r7 = 3
    again:
    r1 = *(u64 *)(r10 - 8)
    r1 += 1
    *(u64 *)(r10 - 8) = r1
    r1 = map[flows] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -24
    r4 = 0
    call 2
    r7 += -1
    if r7 != 0 goto again
    r1 = map[flows] ll
    r2 = r10
    r2 += -8
    call 3
    r8 = r0
    r1 = map[flows] ll
    r2 = r10
    r2 += -8
    call 1
    r8 <<= 1
    if r0 != 0 goto out
    r8 += 1
    out:
    r0 = r8
    exit
    """
    assert retval(program(text)) == 1


def test_one_call_for_two_maps() -> None:
    text = """
    *(u32 *)(r10 - 4) = 1
    r1 = *(u32 *)(r1 + 12)
    if r1 == 1 goto first
    r1 = map[counts] ll
    goto look
    first:
    r1 = map[each] ll
    look:
    r2 = r10
    r2 += -4
    call 1
    if r0 == 0 goto out
    *(u64 *)(r0 + 0) = 9
    r0 = 1
    out:
    exit
    """
    assert retval(program(text)) == 1


def test_globals_and_constants() -> None:
    text = """
    r1 = map[.bss][0]+8 ll
    r0 = *(u8 *)(r1 + 0)
    r2 = map[.rodata][0]+1 ll
    r3 = *(u8 *)(r2 + 1)
    r0 += r3
    *(u32 *)(r1 + 4) = r0
    exit
    """
    assert retval(program(text)) == 8 + 102


def test_a_loop_helper_calls_back() -> None:
    text = """
    *(u64 *)(r10 - 8) = 0
    *(u64 *)(r10 - 16) = 40
    r1 = 10
    r2 = subprog[body] ll
    r3 = r10
    r3 += -16
    r4 = 0
    call 181
    r1 = *(u64 *)(r10 - 8)
    r0 <<= 16
    r0 += r1
    exit
    body:
    r3 = *(u64 *)(r2 + 8)
    r3 += r1
    *(u64 *)(r2 + 8) = r3
    r0 = 0
    if r3 < 20 goto +1
    r0 = 1
    exit
    """
    # 0 + 1 + ... + 6 is the first sum from 20 on.
    assert retval(program(text)) == 7 << 16 | 21


@pytest.mark.parametrize(("rounds", "flags"), [(0, 0), (1 << 23, 0), ((1 << 23) + 1, 0), (5, 1)])
def test_the_limits_of_the_loop_helper(rounds: int, flags: int) -> None:
    text = f"""
    r1 = {rounds}
    r2 = subprog[body] ll
    r3 = 0
    r4 = {flags}
    call 181
    exit
    body:
    r0 = 1
    exit
    """
    both(program(text))


TAIL = "r6 = r1\nr2 = map[stages] ll\nr3 = {index}\ncall 12\nr0 = {value}\nexit"


def test_tail_calls_go_and_do_not_come_back() -> None:
    last = program("r0 = 5\nexit")
    assert retval(program(TAIL.format(index=1, value=3), s1=last)) == 5
    assert retval(program(TAIL.format(index=0, value=3), s1=last)) == 3
    assert retval(program(TAIL.format(index=9, value=4), s1=last)) == 4


def test_a_tail_call_in_a_function_returns_to_its_caller() -> None:
    last = program("r0 = 5\nexit")
    text = "call inner\nr0 += 100\nexit\ninner:\nr2 = map[stages] ll\nr3 = 0\ncall 12\nr0 = 7\nexit"
    assert retval(program(text, s0=last)) == 105


def test_tail_calls_end_after_33() -> None:
    with Machine(cpus=1, engine="jit") as machine:
        spec = program(
            "r6 = r1\nr7 = map[.bss][0] ll\nr1 = *(u32 *)(r7 + 8)\nr1 += 1\n*(u32 *)(r7 + 8) = r1\n"
            "r1 = r6\nr2 = map[stages] ll\nr3 = 0\ncall 12\nr7 = map[.bss][0] ll\nr0 = *(u32 *)(r7 + 8)\nexit"
        )
        loaded = machine.load(spec, verify=False)
        machine.maps[".bss"].update(bytes(4), bytes(32))
        machine.set_program("stages", 0, loaded)
        assert loaded.run(PACKET).retval == 34


@pytest.mark.parametrize(
    "text", ["r0 = *(u8 *)skb[23]", "r0 = *(u16 *)skb[12]", "r0 = *(u32 *)skb[60]", "r0 = *(u32 *)skb[61]"]
)
def test_classic_packet_loads(text: str) -> None:
    both(program(f"r6 = r1\nr0 = 9\n{text}\nr0 += 1\nexit", ProgramType.SOCKET_FILTER))


@pytest.mark.parametrize("at", [0, 7, 60, 64, -1, -0x100000])
def test_classic_packet_loads_at_a_computed_place(at: int) -> None:
    both(program(f"r6 = r1\nr7 = {at}\nr0 = *(u16 *)skb[r7 + 0]\nr0 += 1\nexit", ProgramType.SOCKET_FILTER))


def test_numbers_and_clocks_are_those_of_the_machine() -> None:
    text = "call 7\nr6 = r0\ncall 5\nr6 ^= r0\ncall 8\nr0 += r6\nexit"
    both(program(text), runs=4)


def test_spilled_registers_survive_helpers_that_get_their_neighbours() -> None:
    text = """
    *(u64 *)(r10 - 8) = r1
    *(u64 *)(r10 - 16) = r10
    *(u64 *)(r10 - 24) = 42
    *(u32 *)(r10 - 28) = 0
    r2 = r10
    r2 += -28
    r1 = map[counts] ll
    call 1
    r2 = *(u64 *)(r10 - 16)
    r0 = *(u64 *)(r2 - 24)
    r1 = *(u64 *)(r10 - 8)
    r1 = *(u32 *)(r1 + 12)
    r0 += r1
    exit
    """
    assert retval(program(text)) == 43


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("r0 = *(u32 *)(r1 + 100)\nexit", "offset 100"),
        ("r0 = *(u64 *)(r1 + 0)\nexit", "8 bytes"),
        ("r2 = *(u64 *)(r10 - 520)\nr0 = 0\nexit", "stack frame"),
        ("r0 = 0\ngoto +5", "leaves the program"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(text: str, said: str) -> None:
    with Machine(cpus=1, engine="jit") as machine, pytest.raises(LoadError, match=said) as caught:
        machine.load(program(text), verify=False)
    assert caught.value.instruction is not None
    assert caught.value.section == "xdp"


def test_a_closed_program_does_not_run() -> None:
    with Machine(cpus=1, engine="jit") as machine:
        loaded = machine.load(program("r0 = 1\nexit"), verify=False)
        assert loaded.run(PACKET).retval == 1
        loaded.loaded.close()
        loaded.loaded.close()
        with pytest.raises(LoadError, match="closed"):
            loaded.run(PACKET)


def test_code_can_be_looked_at() -> None:
    engine = Jit(cache=None)
    with AddressSpace() as space:
        spec, binding = program("r0 = *(u32 *)(r1 + 12)\nr0 += 2\nexit"), Binding(space, ProgramType.XDP)
        assert "define i64 @program(ptr noundef %r1, i64 noundef %r2, ptr noundef %cpu)" in engine.ir(spec, binding)
        assert "ret i64" in engine.ir(spec, binding, optimised=True)
        assert "program:" in engine.assembly(spec, binding)


def test_a_helper_is_called_by_the_number_in_a_register() -> None:
    assert retval(program("r1 = -1\nr2 = 8\ncallx r2\nr0 += 2\nexit")) == 2
