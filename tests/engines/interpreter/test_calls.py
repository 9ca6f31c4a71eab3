"""Helpers, callbacks, tail calls and packet loads, with stand-ins for native helpers where only the calling
matters."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest

from skep.engines import Binding
from skep.engines.interpreter import InterpretedProgram, Interpreter, code
from skep.engines.interpreter.native import NativeHelper
from skep.errors import Fault, UnsupportedError
from skep.isa import Instructions
from skep.isa.assembler import assemble
from skep.maps import Map
from skep.memory import AddressSpace, Region, RegionKind
from skep.objects.kinds import MapType, ProgramType
from skep.objects.spec import FunctionReference, FunctionSpec, KfuncReference, MapReference, MapSpec, ProgramSpec
from skep.stdlib.prototype import HelperPrototype
from tests.engines.interpreter.running import fault, loaded, result

CPU = 0x1000


@dataclass
class FakeMap:
    """As much of a map as the interpreter looks at."""

    spec: MapSpec
    address: int
    values_address: int | None
    contents: dict[bytes, bytes] = field(default_factory=dict)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.contents.items())


class World:
    """An address space with a map, memory, and stand-ins for native helpers that note how they are called."""

    def __init__(self, space: AddressSpace) -> None:
        self.space = space
        self.memory = space.allocate("memory", 64)
        self.values = space.allocate("counts", 64, RegionKind.MAP_VALUE)
        descriptor = space.allocate("counts", 64, RegionKind.MAP)
        self.counts = FakeMap(MapSpec("counts", MapType.ARRAY, 4, 16, 4), descriptor.address, self.values.address)
        self.tails: dict[int, InterpretedProgram] = {}
        self.calls: list[tuple[str, list[int]]] = []

    def binding(self) -> Binding:
        counts = cast(Map, self.counts)
        return Binding(self.space, ProgramType.RAW, {"counts": counts}, {"counts": self.tails})

    def load(self, text: str, **references: str) -> InterpretedProgram:
        assembly = assemble(text)
        slots = {name: slot for slot, symbol in assembly.symbols.items() for name in [symbol.name]}
        spec = ProgramSpec(
            "test",
            "",
            ProgramType.RAW,
            assembly.instructions,
            references={slots[name]: MapReference(name) for name in slots if name == "counts"},
        )
        return Interpreter(budget=10_000).load(spec, self.binding())

    def run(self, text: str, r2: int = 64, cpu: int = CPU) -> int:
        program = self.load(text)
        try:
            return program.run(self.memory.address, r2, cpu)
        finally:
            program.close()

    def fault(self, text: str) -> str:
        with pytest.raises(Fault) as caught:
            self.run(text)
        return str(caught.value)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with AddressSpace() as space:
        made = World(space)

        def stand_in(helper: HelperPrototype, program_type: ProgramType, map: Map | None) -> NativeHelper:
            if helper.name == "get_current_task":
                raise UnsupportedError("bpf_get_current_task has no implementation")

            def call(*arguments: int) -> int | None:
                made.calls.append((helper.name, list(arguments)))
                if helper.name == "map_lookup_elem":
                    key = int.from_bytes(Region("key", arguments[1], 4).read(), "little")
                    return made.values.address + 16 * key if key < 4 else 0
                return None if helper.name == "spin_lock" else -1

            return NativeHelper(helper, call, helper.name == "get_prandom_u32", None, len(helper.arguments))

        monkeypatch.setattr(code, "native_helper", stand_in)
        yield made


def test_a_helper_gets_its_arguments_and_its_result_is_extended(world: World) -> None:
    text = "*(u32 *)(r10 - 4) = 2\nr1 = map[counts] ll\nr2 = r10\nr2 += -4\nr3 = r10\nr3 += -32\nr4 = 1\ncall 2\nexit"
    assert world.run(text) == (1 << 64) - 1
    name, arguments = world.calls[0]
    assert (name, arguments[0], arguments[1] - arguments[2], arguments[3]) == (
        "map_update_elem",
        world.counts.address,
        28,
        1,
    )


def test_a_value_that_was_looked_up_is_memory_of_its_size(world: World) -> None:
    lookup = "*(u32 *)(r10 - 4) = {key}\nr1 = map[counts] ll\nr2 = r10\nr2 += -4\ncall 1\n"
    world.values.write(32, (77).to_bytes(8, "little"))
    assert world.run(lookup.format(key=2) + "r0 = *(u64 *)(r0 + 0)\nexit") == 77
    assert "the pointer is null" in world.fault(lookup.format(key=9) + "r0 = *(u64 *)(r0 + 0)\nexit")


def test_arguments_are_unreadable_after_a_call_and_a_void_result_too(world: World) -> None:
    assert "reads r1" in world.fault("call 7\nr0 = r1\nexit")
    assert "reads r0" in world.fault("r1 += 0\ncall 93\nr0 += 1\nexit")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("r1 = 5\nr2 = 0\ncall 1", "bpf_map_lookup_elem: r1 (map) is 0x5, which is no map"),
        ("r1 = map[counts] ll\nr2 = 0\ncall 1", "bpf_map_lookup_elem: r2 (key): it reads 4 bytes at 0x0"),
        ("r2 = r1\nr2 += 62\nr1 = map[counts] ll\ncall 1", "r2 (key): it reads 4 bytes at"),
        (
            "r1 = map[counts] ll\nr2 = r10\nr2 += -4\nr3 = r10\nr3 += -12\nr4 = 0\ncall 2",
            "r3 (value): it reads 16 bytes",
        ),
        ("call f\nr0 = 0\nexit\nf:\nr1 = map[counts] ll\ncall 3\nexit", "r2 (key): it reads 4 bytes at 0x40"),
        ("r1 += 61\ncall 93", "bpf_spin_lock: r1 (lock): it writes 4 bytes at"),
        ("r2 = 0\ncall 6", "bpf_trace_printk: r2 (fmt_size) is 0"),
        ("r2 = 65\ncall 6", "bpf_trace_printk: r1 (fmt): it reads 65 bytes"),
        ("r2 = -1\ncall 6", "bpf_trace_printk: r1 (fmt): it reads 18446744073709551615 bytes"),
        ("r1 = 4\nr2 = 5\nr3 = 0\nr4 = 0\ncall 181", "bpf_loop: r2 (callback_fn) is 0x5, which is no function"),
        ("r1 += 4\nr2 = map[counts] ll\nr3 = 0\ncall 12", "bpf_tail_call: r1 (ctx) is"),
        ("r1 = map[counts] ll\nr2 = r3\ncall 3", "reads r3, which was never written"),
        (
            "r1 = map[counts] ll\nr2 = r10\nr2 += -4\nr3 = r2\ncall 2",
            "bpf_map_update_elem: r4 (flags) was never written",
        ),
        ("call 9999", "calls helper 9999, which does not exist"),
    ],
)
def test_bad_arguments_never_reach_native_code(world: World, text: str, problem: str) -> None:
    found = world.fault(f"{text}\nr0 = 0\nexit")
    assert problem in found
    assert not world.calls


def test_a_string_must_end_inside_its_memory(world: World) -> None:
    text = "r3 = r1\nr2 = 4\ncall 182\nexit"
    world.memory.write(0, b"a" * 64)
    assert "a string without an end" in world.fault(text)
    world.memory.write(63, b"\0")
    world.run(text)


def test_a_helper_without_implementation_is_named_with_its_place(world: World) -> None:
    with pytest.raises(UnsupportedError, match=r"instruction 1: bpf_get_current_task has no implementation"):
        world.run("r0 = 0\ncall 35\nexit")


def test_a_helper_that_needs_a_cpu(world: World) -> None:
    world.run("call 7\nexit")
    assert world.calls == [("get_prandom_u32", [CPU])]
    with pytest.raises(Fault, match="bpf_get_prandom_u32 needs a CPU"):
        world.run("call 7\nexit", cpu=0)


def test_kfuncs_are_named() -> None:
    instructions = assemble("r0 = 0\n.slot 0x2085\nexit").instructions
    references = {1: KfuncReference("bpf_rcu_read_lock")}
    with AddressSpace() as space:
        spec = ProgramSpec("p", "", ProgramType.RAW, instructions, references=references)
        with pytest.raises(UnsupportedError, match="bpf_rcu_read_lock"):
            Interpreter().load(spec, Binding(space)).run(0, 0, 0)
    assert "by number" in str(fault(instructions))


# Callbacks.

LOOP = (
    "r6 = 0\n*(u64 *)(r10 - 8) = 0\nr1 = {rounds}\nr2 = {function} ll\nr3 = r10\nr3 += -8\nr4 = {flags}\ncall 181\n"
)
ADD = "f:\nr3 = *(u64 *)(r2 + 0)\nr3 += r1\n*(u64 *)(r2 + 0) = r3\n"


def looping(text: str, callback: str) -> Instructions:
    """A program whose wide load takes the address of the function behind its exit."""
    head = assemble(text.replace("{function} ll", "0 ll")).instructions
    body = assemble(callback).instructions
    slot = next(slot for slot, one in enumerate(head) if one.is_wide)
    spec = list(head + body)
    spec[slot] = type(head[0])(0x18, dst=2, src=4, imm=len(head) - slot - 1)
    return tuple(spec)


@pytest.mark.parametrize(
    ("rounds", "flags", "last", "returned", "total"),
    [
        (5, 0, "r0 = 0\nexit", 5, 10),
        (0, 0, "r0 = 0\nexit", 0, 0),
        (9, 0, "r0 = 1\nexit", 1, 0),
        (9, 0, "r0 = 0\nif r1 < 3 goto +1\nr0 = 1\nexit", 4, 6),
        (5, 1, "r0 = 0\nexit", -errno.EINVAL, 0),
        (8 * 1024 * 1024 + 1, 0, "r0 = 0\nexit", -errno.E2BIG, 0),
    ],
)
def test_loop(rounds: int, flags: int, last: str, returned: int, total: int) -> None:
    text = LOOP.format(rounds=rounds, flags=flags, function="{function}")
    ends = {"r0": returned & (1 << 64) - 1, "*(u64 *)(r10 - 8)": total}
    for source, expected in ends.items():
        program = looping(f"{text}r0 = {source}\nexit", ADD + last)
        assert result(program) == expected
        with loaded(program) as run, run.start() as execution:
            while execution.pc is not None:
                execution.step()
            assert execution.result == expected


def test_loops_nest_and_callbacks_count_as_frames() -> None:
    recursive = "f:\nr1 = 1\nr2 = 0 ll\nr3 = 0\nr4 = 0\ncall 181\nr0 = 0\nexit"
    head = looping(LOOP.format(rounds=1, flags=0, function="{function}") + "exit", recursive)
    slots = list(head)
    inner = [slot for slot, one in enumerate(slots) if one.is_wide][1]
    slots[inner] = type(head[0])(0x18, dst=2, src=4, imm=-3)
    slots[inner] = type(head[0])(0x18, dst=2, src=4, imm=(inner - 1) - inner - 1)
    assert "8 frames in use already" in str(fault(tuple(slots)))


def test_a_fault_in_a_callback_is_where_it_is() -> None:
    program = looping(LOOP.format(rounds=3, flags=0, function="{function}") + "exit", "f:\nr0 = r7\nexit")
    found = fault(program)
    assert found.text == "r0 = r7"
    assert "reads r7" in str(found)
    silent = looping(LOOP.format(rounds=3, flags=0, function="{function}") + "exit", "f:\nexit")
    assert "a callback returns with r0" in str(fault(silent))


def test_functions_by_name_and_in_registers() -> None:
    instructions = assemble("r6 = 0 ll\ncallx r6\nexit\nf:\nr0 = 42\nexit").instructions
    with AddressSpace() as space:
        spec = ProgramSpec(
            "p",
            "",
            ProgramType.RAW,
            instructions,
            functions=(FunctionSpec("p", 0), FunctionSpec("f", 4)),
            references={0: FunctionReference("f")},
        )
        assert Interpreter().load(spec, Binding(space)).run(0, 0, 0) == 42


def test_for_each_visits_every_element(world: World) -> None:
    for key in range(4):
        world.values.write(16 * key, (10 + key).to_bytes(8, "little"))
        world.counts.contents[key.to_bytes(4, "little")] = b""
    call = "r1 = map[counts] ll\nr2 = 0 ll\nr3 = r10\nr3 += -8\nr4 = 0\ncall 164\n"
    head = assemble("*(u64 *)(r10 - 8) = 0\n" + call + "r6 = r0\nr6 <<= 32\nr0 = *(u64 *)(r10 - 8)\nr0 += r6\nexit")
    body = "f:\nr5 = *(u32 *)(r2 + 0)\nr3 = *(u64 *)(r3 + 0)\nr3 *= r5\nr5 = *(u64 *)(r4 + 0)\nr5 += r3\n"
    body += "*(u64 *)(r4 + 0) = r5\nr0 = 0\nexit"
    slots = list(head.instructions + assemble(body).instructions)
    wide = [slot for slot, one in enumerate(slots) if one.is_wide]
    slots[wide[1]] = type(slots[0])(0x18, dst=2, src=4, imm=len(head.instructions) - wide[1] - 1)
    spec = ProgramSpec("p", "", ProgramType.RAW, tuple(slots), references={wide[0]: MapReference("counts")})
    before = len(world.space.regions)
    program = Interpreter().load(spec, world.binding())
    assert program.run(world.memory.address, 64, CPU) == (4 << 32) + 11 + 2 * 12 + 3 * 13
    program.close()
    assert len(world.space.regions) == before


# Tail calls.

TAIL = "r6 = r1\nr2 = map[counts] ll\nr3 = {index}\ncall 12\nr0 = {miss}\nexit"


def test_tail_calls(world: World) -> None:
    world.tails[1] = world.load("r0 = *(u32 *)(r1 + 0)\nr0 += r2\nexit")
    world.memory.write(0, (5).to_bytes(4, "little"))
    assert world.run(TAIL.format(index=1, miss=99)) == 5 + 64
    assert world.run(TAIL.format(index=2, miss=99)) == 99
    # The index is 32 bits.
    assert world.run(TAIL.format(index=0, miss=98).replace("r3 = 0", "r3 = 0x700000001 ll")) == 69
    world.tails[3] = world.load("r0 = r6\nexit")
    assert "reads r6" in world.fault(TAIL.format(index=3, miss=0))


def test_a_tail_call_in_a_function_returns_to_its_caller(world: World) -> None:
    world.tails[1] = world.load("r0 = 7\nexit")
    text = "r6 = 30\ncall f\nr0 += r6\nexit\nf:\n" + TAIL.format(index=1, miss=1)
    assert world.run(text) == 37


def test_33_tail_calls_and_no_more(world: World) -> None:
    again = "r4 = *(u64 *)(r1 + 0)\nr4 += 1\n*(u64 *)(r1 + 0) = r4\n" + TAIL.format(index=0, miss=3)
    world.tails[0] = world.load(again)
    assert world.run(again) == 3
    assert int.from_bytes(world.memory.read(0, 8), "little") == 34


# Legacy packet loads.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("r0 = *(u16 *)skb[12]", 0x0C0D),
        ("r0 = *(u32 *)skb[0]", 0x00010203),
        ("r0 = *(u8 *)skb[63]", 63),
        ("r0 = *(u8 *)skb[64]", 0),
        ("r0 = *(u16 *)skb[63]", 0),
        ("r7 = 4\nr0 = *(u32 *)skb[r7 + 4]", 0x08090A0B),
        ("r7 = -4\nr0 = *(u8 *)skb[r7 + 8]", 4),
        ("r7 = -9\nr0 = *(u8 *)skb[r7 + 8]", 0),
    ],
)
def test_packet_loads(text: str, expected: int) -> None:
    packet = bytes(range(64))
    assert result(f"r6 = r1\n{text}\nr0 += 0\nexit", packet) == expected
    assert result(f"r6 = r1\n{text}\nr0 += 100\nexit", packet) == (expected + 100 if expected else 0)


def test_packet_loads_need_the_context_and_clobber_arguments() -> None:
    assert "r6 does not hold the context" in str(fault("r6 = 1\nr0 = *(u8 *)skb[0]\nexit"))
    assert "r6 does not hold the context" in str(fault("r0 = *(u8 *)skb[0]\nexit"))
    assert "reads r1" in str(fault("r6 = r1\nr0 = *(u8 *)skb[0]\nr0 = r1\nexit"))


# Spin locks.

UNLOCK = "r1 = r6\ncall 94\n"


def test_one_lock_at_a_time_and_none_at_the_end(world: World) -> None:
    lock = "r6 = r1\ncall 93\n"
    assert world.run(lock + UNLOCK + "r0 = 4\nexit") == 4
    assert "may hold one at a time" in world.fault(lock + "r1 = r6\nr1 += 4\ncall 93\nexit")
    assert "may hold one at a time" in world.fault(lock + "r1 = r6\ncall 93\nexit")
    assert "does not hold the lock" in world.fault("call 94\nexit")
    assert "does not hold the lock" in world.fault(lock + "r1 = r6\nr1 += 4\ncall 94\nexit")
    assert "ends the program while it holds the lock" in world.fault(lock + "r0 = 0\nexit")


def test_a_fault_gives_the_lock_back(world: World) -> None:
    world.fault("r6 = r1\ncall 93\nr0 = *(u64 *)(r9 + 0)\nexit")
    assert [name for name, _ in world.calls] == ["spin_lock", "spin_unlock"]
    assert world.calls[0][1] == world.calls[1][1] == [world.memory.address]
