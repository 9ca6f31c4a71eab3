"""Helpers on XDP frames do what the running kernel does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.objects.kinds import ProgramType
from tests.programs import kernel_oracle as kernel
from tests.stdlib.packet_calls import Call, Room, here, in_kernel

pytestmark = pytest.mark.skipif(
    not kernel.available() or kernel.version() != (6, 18), reason="needs bpf(2) of Linux 6.18"
)
XDP = ProgramType.XDP
#: Around every limit: the header, metadata, headroom, tailroom, and numbers that do not fit.
STEPS = st.one_of(
    st.integers(-300, 300),
    st.integers(3300, 3540),
    st.sampled_from([-(1 << 31), (1 << 31) - 1, 1 << 31, (1 << 32) - 4, 1 << 32, -(1 << 40), 0xFFFF, 0x10000]),
)
MOVES = st.builds(
    lambda name, delta: Call(f"xdp_adjust_{name}", (delta,)), st.sampled_from(["head", "tail", "meta"]), STEPS
)
PACKETS = st.binary(min_size=14, max_size=80)


@settings(max_examples=133, deadline=None)
@given(data=PACKETS, moves=st.lists(MOVES, min_size=1, max_size=4))
def test_the_ends_of_a_frame_move_as_in_the_kernel(data: bytes, moves: list[Call]) -> None:
    calls = [*moves, Call("xdp_get_buff_len")]
    assert here(XDP, data, moves) == in_kernel(XDP, data, moves)
    assert here(XDP, data, calls) == in_kernel(XDP, data, calls)


@settings(max_examples=33, deadline=None)
@given(data=st.binary(min_size=64, max_size=80), metadata=st.integers(0, 12), moves=st.lists(MOVES, max_size=2))
def test_metadata_given_with_the_packet_moves_with_it(data: bytes, metadata: int, moves: list[Call]) -> None:
    context = (4 * metadata).to_bytes(4, "little")
    calls = [*moves, Call("xdp_adjust_head", (-8,))]
    assert here(XDP, data, calls, context) == in_kernel(XDP, data, calls, context)


@settings(max_examples=66, deadline=None)
@given(
    data=PACKETS,
    at=st.one_of(st.integers(0, 100), st.sampled_from([0xFFFF, 0x10000, (1 << 32) - 1, 1 << 32])),
    source=st.binary(min_size=1, max_size=64),
    back=st.integers(0, 80),
)
def test_bytes_go_in_and_out_as_in_the_kernel(data: bytes, at: int, source: bytes, back: int) -> None:
    store = Call("xdp_store_bytes", (at, source, len(source)))
    assert here(XDP, data, [store]) == in_kernel(XDP, data, [store])
    calls = [
        store,
        Call("xdp_load_bytes", (back, Room(), 20)),
        # What was read is written back to the front, where the comparison sees it.
    ]
    assert here(XDP, data, calls) == in_kernel(XDP, data, calls)


@pytest.mark.parametrize(("ifindex", "flags"), [(1, 0), (7, 0), (0, 0), (1, 1), (1, 1 << 40)])
def test_redirecting_returns_what_the_kernel_returns(ifindex: int, flags: int) -> None:
    calls = [Call("redirect", (ifindex, flags))]
    assert here(XDP, bytes(64), calls).value == in_kernel(XDP, bytes(64), calls).value
