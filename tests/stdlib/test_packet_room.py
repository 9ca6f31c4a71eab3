"""Helpers that make packets longer and shorter, and VLAN tags: packets and results are the running kernel's.

Where a helper makes the kernel take a larger buffer, the kernel loses count of a transport header that was never set,
and later helpers then take a wrong offset for the shortest packet. So changes that follow each other stay within the
64 bytes of headroom that the kernel starts with; large ones are compared one at a time.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.objects.kinds import ProgramType
from tests.programs import kernel_oracle as kernel
from tests.stdlib.packet_calls import Call, here, in_kernel
from tests.stdlib.packets import EDGES, PACKETS, TAGGED_PACKETS

pytestmark = pytest.mark.skipif(
    not kernel.available() or kernel.version() != (6, 18), reason="needs bpf(2) of Linux 6.18"
)
TC = ProgramType.SCHED_CLS
LENGTHS = st.one_of(
    st.integers(0, 200), st.integers(3500, 4200), st.integers(15900, 16100), st.sampled_from([600, 2000, 9000]), EDGES
)
FEW_FLAGS = st.sampled_from([0, 0, 0, 0, 0, 1, 1 << 40])
PROTOCOLS = st.sampled_from([0x0008, 0xDD86, 0x0081, 0xA888, 0, 0x10008])

HEAD = st.builds(lambda size, flags: Call("skb_change_head", (size, flags)), LENGTHS, FEW_FLAGS)
TAIL = st.builds(lambda size, flags: Call("skb_change_tail", (size, flags)), LENGTHS, FEW_FLAGS)
PROTO = st.builds(lambda proto, flags: Call("skb_change_proto", (proto, flags)), PROTOCOLS, FEW_FLAGS)
PUSH = st.builds(
    lambda proto, tci: Call("skb_vlan_push", (proto, tci)), PROTOCOLS, st.one_of(st.integers(0, 0xFFFF), EDGES)
)
POP = st.just(Call("skb_vlan_pop"))
#: The flags of adjust_room by bit, with lengths of an inner link-layer header on top.
ROOM_FLAGS = st.builds(
    lambda bits, inner: sum({1 << bit for bit in bits}) | inner << 56,
    st.lists(st.integers(0, 9), max_size=3),
    st.sampled_from([0, 0, 0, 13, 14, 18, 255]),
)
ROOM = st.builds(
    lambda size, mode, flags: Call("skb_adjust_room", (size & 0xFFFFFFFF, mode, flags)),
    st.one_of(st.integers(-80, 80), st.sampled_from([4095, 4096, -4095, -4096, -(1 << 31), (1 << 31) - 1])),
    st.sampled_from([0, 0, 1, 1, 2, 1 << 32]),
    st.one_of(ROOM_FLAGS, st.sampled_from([2, 4, 6, 2 | 8, 4 | 16, 2 | 24, 128, 256, 384]), EDGES),
)
#: Changes of which six fit into the headroom that the kernel starts with.
SMALL_HEAD = st.builds(lambda size, flags: Call("skb_change_head", (size, flags)), st.integers(0, 8), FEW_FLAGS)
SMALL_ROOM = st.builds(
    lambda size, mode, flags: Call("skb_adjust_room", (size & 0xFFFFFFFF, mode, flags)),
    st.integers(-60, 10),
    st.integers(0, 2),
    st.one_of(ROOM_FLAGS, st.sampled_from([0, 2, 4, 2 | 8, 4 | 16, 128, 256])),
)
SMALL_TAIL = st.builds(lambda size: Call("skb_change_tail", (size, 0)), st.integers(0, 200))
CHANGES = st.one_of(SMALL_HEAD, SMALL_TAIL, PUSH, POP, SMALL_ROOM)
PROTO_CHANGES = st.one_of(SMALL_TAIL, PUSH, POP, PROTO)


def _same(data: bytes, calls: list[Call], program: ProgramType = TC, given: bytes = b"") -> None:
    assert here(program, data, calls, given) == in_kernel(program, data, calls, given)


@pytest.mark.parametrize(
    "change", [HEAD, TAIL, PROTO, PUSH, POP, ROOM], ids=["head", "tail", "proto", "push", "pop", "room"]
)
def test_one_change_is_the_kernels(change: st.SearchStrategy[Call]) -> None:
    @settings(max_examples=62, deadline=None)
    @given(data=PACKETS, call=change)
    def compare(data: bytes, call: Call) -> None:
        _same(data, [call])

    compare()


@settings(max_examples=125, deadline=None)
@given(data=PACKETS, calls=st.lists(CHANGES, min_size=2, max_size=6))
def test_changes_after_changes_are_the_kernels(data: bytes, calls: list[Call]) -> None:
    _same(data, calls)


@settings(max_examples=37, deadline=None)
@given(data=PACKETS, calls=st.lists(PROTO_CHANGES, min_size=2, max_size=3))
def test_changes_of_protocol_among_others_are_the_kernels(data: bytes, calls: list[Call]) -> None:
    _same(data, calls)


@settings(max_examples=30, deadline=None)
@given(data=PACKETS, calls=st.lists(HEAD, min_size=2, max_size=5))
def test_a_packet_grows_at_its_head_as_far_as_in_the_kernel(data: bytes, calls: list[Call]) -> None:
    _same(data, calls)


@settings(max_examples=50, deadline=None)
@given(data=TAGGED_PACKETS, calls=st.lists(st.one_of(PUSH, POP), min_size=1, max_size=6))
def test_tags_nest_as_in_the_kernel(data: bytes, calls: list[Call]) -> None:
    _same(data, calls)


@settings(max_examples=30, deadline=None)
@given(data=PACKETS, calls=st.lists(st.one_of(SMALL_HEAD, SMALL_TAIL), min_size=1, max_size=4))
def test_a_packet_without_its_link_layer_header_changes_as_in_the_kernel(data: bytes, calls: list[Call]) -> None:
    _same(data, calls, ProgramType.LWT_XMIT)


@settings(max_examples=37, deadline=None)
@given(data=PACKETS, calls=st.lists(CHANGES, min_size=1, max_size=3))
def test_a_packet_that_is_to_be_segmented_changes_as_in_the_kernel(data: bytes, calls: list[Call]) -> None:
    context = bytearray(192)
    struct.pack_into("<I", context, 164, 2)
    struct.pack_into("<I", context, 176, 1000)
    _same(data, calls, given=bytes(context))
