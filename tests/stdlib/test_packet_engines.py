"""Programs that call packet helpers bring out the same on the interpreter, the JIT and the running kernel."""

from __future__ import annotations

import ctypes
import struct

import pytest

from skep.isa.instruction import Instruction
from skep.machine import Machine
from skep.maps import create
from skep.memory import AddressSpace
from skep.memory.cpu import CpuBlock
from skep.objects.kinds import MapType, ProgramType
from skep.objects.spec import FunctionSpec, MapSpec, ProgramSpec
from skep.stdlib import CallSite, implementation, prototypes
from skep.stdlib.redirect import RedirectKind
from tests.programs import kernel_oracle as kernel
from tests.stdlib.packet_calls import Call, Result, Room, code_of, in_kernel

TC = ProgramType.SCHED_CLS
XDP = ProgramType.XDP
IPV4 = (
    bytes.fromhex("0202020202020303030303030800")
    + bytes.fromhex("4500002800000000400600000a0000010a000002")
    + bytes(range(40))
)
CASES = {
    "load": (TC, [Call("skb_load_bytes", (10, Room(), 20))]),
    "load behind the end": (TC, [Call("skb_load_bytes", (70, Room(), 20))]),
    "encapsulate and tag": (
        TC,
        [
            Call("skb_adjust_room", (20, 1, 2)),
            Call("skb_vlan_push", (0x81, 5)),
            Call("skb_vlan_push", (0x81, 6)),
        ],
    ),
    "translate an address": (
        TC,
        [
            Call("skb_store_bytes", (26, bytes([1, 2, 3, 4]), 4, 0)),
            Call("l3_csum_replace", (24, 0x0100000A, 0x04030201, 4)),
            Call("l4_csum_replace", (50, 0x0100000A, 0x04030201, 0x14)),
        ],
    ),
    "difference": (TC, [Call("csum_diff", (b"abcd", 4, b"efghijkl", 8, 77))]),
    "difference from nothing": (TC, [Call("csum_diff", (0, 0, b"efghijkl", 8, 77))]),
    "length": (
        TC,
        [
            Call("skb_change_tail", (200, 0)),
            Call("skb_change_head", (20, 0)),
            Call("skb_pull_data", (100,)),
        ],
    ),
    "hash": (TC, [Call("set_hash", (5,)), Call("get_hash_recalc")]),
    "move a frame": (
        XDP,
        [
            Call("xdp_adjust_head", (-20,)),
            Call("xdp_adjust_tail", (30,)),
            Call("xdp_store_bytes", (0, b"abcdef", 6)),
        ],
    ),
    "redirect a frame": (XDP, [Call("redirect", (3, 0))]),
    "redirect a packet": (TC, [Call("redirect", (3, 1))]),
}


@pytest.mark.skipif(not kernel.available() or kernel.version() != (6, 18), reason="needs bpf(2) of Linux 6.18")
@pytest.mark.parametrize("engine", ["interpreter", "jit"])
@pytest.mark.parametrize(("program", "calls"), CASES.values(), ids=CASES)
def test_a_program_brings_out_what_the_kernel_brings_out(
    program: ProgramType, calls: list[Call], engine: str
) -> None:
    spec = ProgramSpec(
        "calls", "calls", program, tuple(code_of(program, calls)), functions=(FunctionSpec("calls", 0),)
    )
    context = struct.pack("<6I", 0, len(IPV4), 0, 0, 0, 0) if program is XDP else bytes(192)
    with Machine(cpus=1) as machine:
        ran = machine.load(spec, engine=engine, verify=False).run(IPV4, context=context)
    seen = ran.context[:8] if program is XDP else ran.context[48:68]
    assert Result(ran.retval, ran.packet, seen) == in_kernel(program, IPV4, calls)


@pytest.mark.parametrize("kind", [MapType.DEVMAP, MapType.CPUMAP, MapType.XSKMAP, MapType.DEVMAP_HASH])
def test_redirecting_to_a_map_notes_the_entry_or_returns_the_action_of_the_flags(kind: MapType) -> None:
    function = implementation(prototypes.number("redirect_map"), CallSite(program_type=XDP))
    aborted, redirected = 0, 4
    with AddressSpace() as space:
        cpus = CpuBlock(1, space)
        made = create(MapSpec("targets", kind, 4, 4, 4), 1, space)
        made.update(struct.pack("<I", 2), struct.pack("<I", 9), 0)

        def call(key: int, flags: int) -> int:
            return int(ctypes.c_int64(function(cpus.address(0), made.address, key, flags)).value)

        assert call(2, 0) == redirected
        note = cpus[0]
        assert (note.redirect_kind, note.redirect_key, note.redirect_value) == (RedirectKind.MAP_ENTRY, 2, 9)
        assert int(note.redirect_map) == made.address
        assert [call(1, action) for action in range(4)] == [0, 1, 2, 3]
        assert note.redirect_kind == RedirectKind.NONE
        assert call(4, 2) == call(0xFFFFFFFF, 2) == 2
        # The kernel looks at the lower half of the key alone.
        assert call((1 << 32) + 2, 0) == redirected
        assert call(2, 4) == aborted
        broadcast = call(1, 8)
        assert broadcast == (redirected if kind in (MapType.DEVMAP, MapType.DEVMAP_HASH) else aborted)


LOOPBACK = struct.pack("<I", 1)


@pytest.mark.skipif(not kernel.available() or kernel.version() != (6, 18), reason="needs bpf(2) of Linux 6.18")
@pytest.mark.parametrize(("kind", "value"), [(MapType.DEVMAP, LOOPBACK), (MapType.DEVMAP_HASH, LOOPBACK)])
def test_redirecting_to_a_map_returns_what_the_kernel_returns(kind: MapType, value: bytes) -> None:
    function = implementation(prototypes.number("redirect_map"), CallSite(program_type=XDP))
    with AddressSpace() as space, kernel.created_map(kind, 4, 4, 4) as fd:
        cpus = CpuBlock(1, space)
        made = create(MapSpec("targets", kind, 4, 4, 4), 1, space)
        made.update(struct.pack("<I", 2), value, 0)
        assert kernel.update_map(fd, struct.pack("<I", 2), value) == 0
        for key in (0, 2, 3, 4, (1 << 32) + 2):
            for flags in (*range(34), 1 << 31, 1 << 32, 1 << 63):
                code = (
                    Instruction(0x18, 1, 1, 0, fd),
                    Instruction(0),
                    *(Instruction(0x18, 2, 0, 0, key & 0x7FFFFFFF), Instruction(0, 0, 0, 0, key >> 32)),
                    *(Instruction(0x18, 3, 0, 0, _low(flags)), Instruction(0, 0, 0, 0, _low(flags >> 32))),
                    Instruction(0x85, 0, 0, 0, prototypes.number("redirect_map")),
                    Instruction(0x95),
                )
                with kernel.loaded(XDP, code) as program:
                    there = kernel.run_once(program, IPV4).retval
                assert function(cpus.address(0), made.address, key, flags) == there, (key, flags)


def _low(value: int) -> int:
    return int(ctypes.c_int32(value & 0xFFFFFFFF).value)
