"""The native loop: packets are laid out byte for byte as program types do it in Python; every value is counted."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep import programs
from skep.isa.assembler import assemble
from skep.lang import Ptr, cast, size_of, u8, view
from skep.machine import Machine, packet_loop
from skep.machine.capture import Packet
from skep.machine.native_runs import LOOPS
from skep.machine.packet_loop import Argument, Batch, Record
from skep.machine.runs import run_packets
from skep.memory.region import allocate_zeroed
from skep.objects import ProgramSpec, ProgramType

KINDS = sorted(LOOPS)

ethernet = st.builds(
    lambda destination, kind, payload: destination + bytes(6) + kind + payload,
    st.sampled_from([bytes(6), b"\xff" * 6, b"\x01\x00\x5e\x00\x00\x01", b"\x02\x00\x00\x00\x00\x01"]),
    st.sampled_from([b"\x08\x00", b"\x86\xdd", b"\x08\x06", b"\x00\x2e", b"\x81\x00"]),
    st.one_of(st.binary(max_size=90), st.binary(min_size=4000, max_size=4001), st.just(b"\xff\xff" + bytes(30))),
)


def pointer(address: int) -> Any:
    return cast(Ptr[u8], address)


@pytest.mark.parametrize("type", KINDS, ids=lambda kind: str(kind.label))
@settings(max_examples=60, deadline=None)
@given(packet=ethernet)
def test_native_and_python_layouts_are_equal(type: ProgramType, packet: bytes) -> None:
    kind = programs.of(type)
    size = max(kind.native_size, 8)
    context, keep_context = allocate_zeroed(size)
    length = kind.buffer_size(max(len(packet), len(packet_loop.TEMPLATE_FRAME)))
    buffer, keep_buffer = allocate_zeroed(length, 4096)
    kind.enter(context, buffer, packet_loop.TEMPLATE_FRAME)
    template = ctypes.create_string_buffer(ctypes.string_at(context, kind.native_size), kind.native_size + 1)

    kind.enter(context, buffer, packet)
    wanted = ctypes.string_at(context, kind.native_size), ctypes.string_at(buffer, length)
    r1, r2 = kind.arguments(context, buffer, len(packet))

    ctypes.memset(context, 0xAA, kind.native_size)
    data = ctypes.create_string_buffer(packet, len(packet))
    batch_memory, keep_batch = allocate_zeroed(size_of(Batch), 128)
    batch = view(Batch, batch_memory)
    batch.context, batch.buffer = pointer(context), pointer(buffer)
    batch.template = pointer(ctypes.addressof(template))
    record = Record()
    record.data, record.length = pointer(ctypes.addressof(data)), len(packet)
    argument = Argument()
    lay_out, left = LOOPS[type]
    lay_out(batch_memory, record, argument)

    assert (ctypes.string_at(context, kind.native_size), ctypes.string_at(buffer, length)) == wanted
    assert (int(argument.r1), argument.r2) == (r1, r2)
    start = left(batch_memory, record)
    whole = ctypes.string_at(start, record.left_length)
    assert whole == packet
    del keep_context, keep_buffer, keep_batch


def test_return_values_that_share_a_slot_are_counted_apart() -> None:
    memory, keep = allocate_zeroed(size_of(Batch), 128)
    batch = view(Batch, memory)
    for retval in (1, 1 + packet_loop.COUNTED, 1, 0xFFFFFFFF):
        packet_loop.count_new(pointer(memory), retval)
    found = {batch.counts[index].retval: batch.counts[index].times for index in (1, 2, packet_loop.COUNTED - 1)}
    assert found == {1: 2, 1 + packet_loop.COUNTED: 1, 0xFFFFFFFF: 1}
    del keep


@pytest.mark.parametrize("cpus", [1, 2])
@pytest.mark.parametrize("write", [False, True], ids=["counted", "written"])
def test_more_return_values_than_slots_are_all_counted(cpus: int, write: bool) -> None:
    packets = [Packet((number % 9_000 * 7_919).to_bytes(4, sys.byteorder) + bytes(60)) for number in range(20_000)]
    returned = ProgramSpec("returned", "", ProgramType.RAW, assemble("r0 = *(u32 *)(r1 + 0)\nexit").instructions)
    with Machine(cpus) as machine:
        program = machine.load(returned, verify=False)
        runs = run_packets(program, packets, cpus=cpus, repeat=3, keep=write)
    assert runs.counts == {number * 7_919: 9 if number < 2_000 else 6 for number in range(9_000)}
    assert len(runs.survivors) == (len(packets) if write else 0)


@pytest.mark.parametrize("count", [1, packet_loop.BLOCK + 1, 3 * packet_loop.BLOCK + 48])
def test_every_cpu_runs_every_packet_as_often_as_the_others(count: int) -> None:
    which = ProgramSpec("which", "", ProgramType.RAW, assemble("call 8\nexit").instructions)
    packets = [Packet(number.to_bytes(4, sys.byteorder)) for number in range(count)]
    with Machine(3) as machine:
        program = machine.load(which, verify=False)
        for keep in (False, True):
            runs = run_packets(program, packets, cpus=3, repeat=6, keep=keep)
            assert runs.counts == {0: 2 * count, 1: 2 * count, 2: 2 * count}
    assert [survivor.data for survivor in runs.survivors] == [packet.data for packet in packets]


def test_a_single_round_deals_blocks_out_in_turn() -> None:
    which = ProgramSpec("which", "", ProgramType.RAW, assemble("call 8\nexit").instructions)
    packets = [Packet(bytes(4))] * (3 * packet_loop.BLOCK)
    with Machine(2) as machine:
        runs = run_packets(machine.load(which, verify=False), packets, cpus=2)
    assert runs.counts == {0: 2 * packet_loop.BLOCK, 1: packet_loop.BLOCK}
