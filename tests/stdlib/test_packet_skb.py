"""Helpers that read and write socket buffers and keep checksums right do what the running kernel does."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.objects.kinds import ProgramType
from tests.programs import kernel_oracle as kernel
from tests.stdlib.packet_calls import Call, Room, here, in_kernel
from tests.stdlib.packets import EDGES, IP_PACKETS, PACKETS

pytestmark = pytest.mark.skipif(
    not kernel.available() or kernel.version() != (6, 18), reason="needs bpf(2) of Linux 6.18"
)
TC = ProgramType.SCHED_CLS
READERS = [TC, ProgramType.SCHED_ACT, ProgramType.CGROUP_SKB, ProgramType.SOCKET_FILTER]
OFFSETS = st.one_of(st.integers(0, 90), EDGES)
WORDS = st.one_of(st.integers(0, 0xFFFFFFFF), EDGES)
CSUM_FLAGS = st.one_of(
    st.integers(0, 0x1FF), st.sampled_from([0, 2, 4, 0x10, 0x12, 0x14, 0x20, 0x34, 0x62, 0x94]), EDGES
)


def _same(data: bytes, *calls: Call, program: ProgramType = TC) -> None:
    assert here(program, data, calls) == in_kernel(program, data, calls)


@settings(max_examples=83, deadline=None)
@given(data=PACKETS, at=OFFSETS, size=st.integers(1, 20), program=st.sampled_from(READERS[:2]))
def test_loading_bytes_fills_the_memory_as_in_the_kernel(
    data: bytes, at: int, size: int, program: ProgramType
) -> None:
    _same(data, Call("skb_load_bytes", (at, Room(), size)), program=program)


@settings(max_examples=83, deadline=None)
@given(data=PACKETS, at=OFFSETS, size=st.integers(1, 20), start=st.one_of(st.integers(0, 3), EDGES))
def test_loading_bytes_from_a_header_fills_the_memory_as_in_the_kernel(
    data: bytes, at: int, size: int, start: int
) -> None:
    _same(data, Call("skb_load_bytes_relative", (at, Room(), size, start)))


@settings(max_examples=83, deadline=None)
@given(data=PACKETS, at=OFFSETS, source=st.binary(min_size=1, max_size=40), flags=st.one_of(st.integers(0, 5), EDGES))
def test_storing_bytes_changes_the_packet_as_in_the_kernel(data: bytes, at: int, source: bytes, flags: int) -> None:
    _same(data, Call("skb_store_bytes", (at, source, len(source), flags)))


@settings(max_examples=100, deadline=None)
@given(data=PACKETS, at=OFFSETS, before=WORDS, after=WORDS, flags=CSUM_FLAGS)
@pytest.mark.parametrize("helper", ["l3_csum_replace", "l4_csum_replace"])
def test_checksums_are_replaced_as_in_the_kernel(
    helper: str, data: bytes, at: int, before: int, after: int, flags: int
) -> None:
    _same(data, Call(helper, (at, before, after, flags)))


@settings(max_examples=100, deadline=None)
@given(
    old=st.sampled_from([0, 1, 0x7FFF, 0xFFFE, 0xFFFF]),
    before=st.sampled_from([0, 1, 0xFFFF, 0x10000, 0xFFFF0000, 0xFFFFFFFF]),
    after=st.sampled_from([0, 1, 0xFFFF, 0x10000, 0xFFFF0000, 0xFFFFFFFF]),
    flags=st.sampled_from([0, 2, 4, 0x10, 0x12, 0x14, 0x20, 0x22, 0x24, 0x60, 0x62, 0x64]),
)
@pytest.mark.parametrize("helper", ["l3_csum_replace", "l4_csum_replace"])
def test_sums_at_the_ends_of_the_range_are_the_kernels(
    helper: str, old: int, before: int, after: int, flags: int
) -> None:
    data = bytes(20) + old.to_bytes(2, "little") + bytes(10)
    _same(data, Call(helper, (20, before, after, flags)))


@settings(max_examples=100, deadline=None)
@given(
    source=st.one_of(st.binary(max_size=128), st.sampled_from([b"\xff" * 4, b"\xff" * 128, bytes(64)])),
    target=st.one_of(st.binary(max_size=128), st.sampled_from([b"\xff" * 4, b"\xff" * 128, bytes(64)])),
    seed=WORDS,
)
def test_differences_of_checksums_are_the_kernels(source: bytes, target: bytes, seed: int) -> None:
    for arguments in (
        (source, len(source), target, len(target), seed),
        (0, 0, target, len(target), seed),
        (source, len(source), 0, 0, seed),
        (0, 0, 0, 0, seed),
    ):
        _same(bytes(64), Call("csum_diff", arguments))


@settings(max_examples=50, deadline=None)
@given(data=PACKETS, size=st.one_of(st.integers(0, 100), EDGES), program=st.sampled_from([TC, ProgramType.LWT_IN]))
def test_pulling_data_is_refused_as_in_the_kernel(data: bytes, size: int, program: ProgramType) -> None:
    _same(data, Call("skb_pull_data", (size,)), program=program)


@settings(max_examples=30, deadline=None)
@given(data=PACKETS, first=st.one_of(st.integers(0, 5), EDGES), second=st.integers(0, 4))
def test_the_packet_type_changes_as_in_the_kernel(data: bytes, first: int, second: int) -> None:
    _same(data, Call("skb_change_type", (first,)), Call("skb_change_type", (second,)))


@settings(max_examples=33, deadline=None)
@given(operations=st.lists(st.one_of(st.integers(0, 4), EDGES), min_size=1, max_size=8))
def test_the_checksum_level_is_the_kernels(operations: list[int]) -> None:
    _same(bytes(64), *(Call("csum_level", (operation,)) for operation in operations), Call("csum_level", (0,)))


@settings(max_examples=30, deadline=None)
@given(data=PACKETS, tstamp=st.integers(0, 2), kind=st.one_of(st.integers(0, 4), EDGES))
def test_setting_the_time_stamp_is_refused_as_in_the_kernel(data: bytes, tstamp: int, kind: int) -> None:
    _same(data, Call("skb_set_tstamp", (tstamp, kind)))


def test_a_sum_of_the_whole_packet_is_never_there() -> None:
    _same(bytes(64), Call("csum_update", (5,)))


@pytest.mark.parametrize("value", [0, 1, 0xFFFFFFFF])
def test_a_hash_that_was_set_is_the_hash(value: int) -> None:
    _same(bytes(64), Call("set_hash", (value,)), Call("get_hash_recalc"))


@given(data=IP_PACKETS)
def test_a_computed_hash_is_the_same_in_both_directions(data: bytes) -> None:
    if data[12:14] == b"\x08\x00":
        turned = data[:26] + data[30:34] + data[26:30] + data[36:38] + data[34:36] + data[38:]
    else:
        turned = data[:22] + data[38:54] + data[22:38] + data[56:58] + data[54:56] + data[58:]
    if len(turned) != len(data):
        return
    first = here(TC, data, [Call("get_hash_recalc")]).value
    assert first != 0
    assert len(data) < 58 or here(TC, turned, [Call("get_hash_recalc")]).value == first
    assert here(TC, data, [Call("set_hash", (7,)), Call("set_hash_invalid"), Call("get_hash_recalc")]).value == first


@pytest.mark.parametrize(
    ("helper", "arguments"),
    [
        ("redirect", (1, 0)),
        ("redirect", (1, 1)),
        ("redirect", (1, 2)),
        ("redirect_peer", (1, 0)),
        ("redirect_peer", (1, 1)),
        ("redirect_neigh", (1, 0, 0, 0)),
        ("redirect_neigh", (1, bytes(20), 20, 0)),
        ("redirect_neigh", (1, bytes(20), 19, 0)),
        ("redirect_neigh", (1, 0, 0, 1)),
    ],
)
def test_redirecting_returns_what_the_kernel_returns(helper: str, arguments: tuple[int | bytes, ...]) -> None:
    _same(bytes(64), Call(helper, arguments))


def test_a_udp_checksum_of_zero_is_written_as_all_ones_on_request() -> None:
    data = bytes(20) + struct.pack("<H", 0xFFFE) + bytes(10)
    changed = here(TC, data, [Call("l4_csum_replace", (20, 0, 1, 0x20))])
    assert changed.packet[20:22] == b"\xff\xff" or changed.packet[20:22] == b"\xfd\xff"
