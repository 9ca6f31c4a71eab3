"""Contexts as programs see them, packets as large as they are at the moment, real maps and real helpers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from skep import maps, objects, programs
from skep.engines import Binding
from skep.engines.interpreter import Interpreter
from skep.errors import Fault, RequestError
from skep.isa.assembler import assemble
from skep.memory import AddressSpace, RegionKind
from skep.memory.cpu import CpuBlock
from skep.objects.kinds import ProgramType
from skep.objects.spec import ProgramSpec

EXAMPLES = Path(__file__).parents[3] / "examples"
PACKET = bytes(range(60))


class World:
    """One program type's context and packet buffer."""

    def __init__(self, space: AddressSpace, kind: ProgramType) -> None:
        self.space = space
        self.kind = programs.of(kind)
        self.context = space.allocate("context", self.kind.native_size, RegionKind.CONTEXT)
        self.buffer = space.allocate("packet", self.kind.buffer_size(2000), RegionKind.PACKET)
        self.cpus = CpuBlock(1, space)

    def run(self, text: str, packet: bytes = PACKET) -> int:
        spec = ProgramSpec("test", "", self.kind.type, assemble(text).instructions)
        return self.run_spec(spec, packet)

    def run_spec(self, spec: ProgramSpec, packet: bytes = PACKET) -> int:
        made = {name: maps.create(definition, 1, self.space) for name, definition in spec.maps.items()}
        program = Interpreter().load(spec, Binding(self.space, self.kind.type, made))
        self.kind.enter(self.context.address, self.buffer.address, packet)
        try:
            return program.run(self.context.address, 0, self.cpus.address(0))
        finally:
            program.close()
            for one in made.values():
                one.close()

    def fault(self, text: str) -> Fault:
        with pytest.raises(Fault) as caught:
            self.run(text)
        return caught.value


@pytest.fixture
def xdp() -> Iterator[World]:
    with AddressSpace() as space:
        yield World(space, ProgramType.XDP)


@pytest.fixture
def tc() -> Iterator[World]:
    with AddressSpace() as space:
        yield World(space, ProgramType.SCHED_CLS)


DATA = "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\n"


def test_narrow_fields_yield_whole_pointers(xdp: World) -> None:
    assert xdp.run(DATA + "r0 = r3\nr0 -= r2\nexit") == 60
    assert xdp.run(DATA + "r0 = *(u16 *)(r2 + 12)\nexit") == int.from_bytes(PACKET[12:14], "little")
    assert xdp.run(DATA + "*(u8 *)(r2 + 59) = 77\nr0 = *(u8 *)(r3 - 1)\nexit") == 77


def test_the_packet_ends_where_it_ends(xdp: World) -> None:
    assert 'just past the end of packet "packet" (60 bytes' in str(xdp.fault(DATA + "r0 = *(u8 *)(r2 + 60)\nexit"))
    assert "1 byte before packet" in str(xdp.fault(DATA + "r0 = *(u8 *)(r2 - 1)\nexit"))
    # What a helper moved is seen at once, by the same instruction too.
    shrink = "r6 = r1\nr2 = -20\ncall 65\nr1 = r6\n"
    assert xdp.run(shrink + DATA + "r0 = r3\nr0 -= r2\nexit") == 40
    again = "r7 = 0\nagain:\n" + DATA + "r0 = *(u8 *)(r2 + 59)\nr7 += 1\n" + shrink + "if r7 < 2 goto again\nexit"
    found = xdp.fault(again)
    assert found.text == "r0 = *(u8 *)(r2 + 59)"
    assert "19 bytes past the end of packet" in str(found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("r0 = *(u64 *)(r1 + 0)", "the field data takes aligned accesses of 4 bytes"),
        ("r0 = *(u8 *)(r1 + 2)", "the field data takes aligned accesses of 4 bytes"),
        ("*(u32 *)(r1 + 0) = 1", "(struct xdp_md): the field data cannot be written"),
        ("r0 = *(u32 *)(r1 + 24)", "reads 4 bytes at"),
        ("r2 = 1\nlock *(u32 *)(r1 + 4) += r2", "in the context, which is not plain memory"),
        ("r0 = *(u8 *)skb[0]", "r6 does not hold the context"),
        ("r6 = r1\nr0 = *(u8 *)skb[0]", "programs of type xdp cannot do"),
    ],
)
def test_fields_are_used_as_the_kernel_allows(xdp: World, text: str, problem: str) -> None:
    assert problem in str(xdp.fault(text + "\nr0 = 0\nexit"))


def test_socket_buffers(tc: World) -> None:
    assert tc.run("r0 = *(u32 *)(r1 + 0)\nexit") == 60
    assert tc.run("*(u32 *)(r1 + 8) = 5\nr0 = *(u32 *)(r1 + 8)\nexit") == 5
    # cb holds bytes at any aligned place, mark is one number.
    assert tc.run("*(u16 *)(r1 + 50) = 0x1234\nr0 = *(u32 *)(r1 + 48)\nexit") == 0x12340000
    assert "the field mark" in str(tc.fault("*(u16 *)(r1 + 8) = 5\nr0 = 0\nexit"))
    assert tc.run("r6 = r1\nr0 = *(u16 *)skb[4]\nexit") == 0x0405
    assert tc.run("r6 = r1\nr0 = *(u8 *)skb[60]\nr0 = 9\nexit") == 0
    link = -0x200000
    assert tc.run(f"r6 = r1\nr0 = *(u8 *)skb[{link + 3}]\nexit") == 3
    network = -0x100000
    assert tc.run(f"r6 = r1\nr0 = *(u8 *)skb[{network + 1}]\nexit") == 15


def test_structures_behind_the_context_need_their_pointer_read_first() -> None:
    with AddressSpace() as space:
        world = World(space, ProgramType.FLOW_DISSECTOR)
        keys = "r2 = *(u64 *)(r1 + 144)\n"
        assert world.run(keys + "*(u16 *)(r2 + 0) = 14\nr0 = *(u16 *)(r2 + 0)\nexit") == 14
        world.fault(keys + "r0 = *(u64 *)(r2 + 56)\nexit")
        beyond = "r2 = r1\nr2 += {place}\nr0 = *(u8 *)(r2 + 0)\nexit"
        world.fault(beyond.format(place=world.kind.native_size - 1))


def test_a_program_with_a_context_is_given_one(xdp: World) -> None:
    spec = ProgramSpec("test", "", ProgramType.XDP, assemble("r0 = 0\nexit").instructions)
    program = Interpreter().load(spec, Binding(xdp.space, ProgramType.XDP))
    for address in (0, xdp.buffer.address, xdp.context.address + 8):
        with pytest.raises(RequestError, match="type xdp needs a context, and there is none at"):
            program.run(address, 0, 0)
    # The stack of a run that could not begin is not lost.
    assert sum(region.kind is RegionKind.STACK for region in xdp.space.regions) <= 1
    program.close()


def test_an_object_built_by_clang(xdp: World) -> None:
    spec = objects.open(str(EXAMPLES / "xdp_counter.bpf.o"))["xdp_count"]
    ethernet = bytes(12) + b"\x08\x00"
    ipv4 = bytes([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2])
    assert xdp.run_spec(spec, ethernet + ipv4 + bytes(40)) in (1, 2)
